/*
 * A client of a server that runs on a loop in the same thread, for tests.
 */
#ifndef TESTS_LOOP_CLIENT_H
#define TESTS_LOOP_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/loop.h"
#include "common/base/options.h"

enum {
    PATIENCE_MS = 10000,
    TICK_MS = 5
};

/* A loop whose waits end after TICK_MS at the latest. */
struct ticking_loop {
    struct loop *loop;
    struct loop_timer tick;
};

static void on_tick(void *arg) {
    struct ticking_loop *t = arg;
    loop_timer_set(t->loop, &t->tick, TICK_MS, on_tick, t);
}

static inline void ticking_loop_open(struct ticking_loop *t) {
    *t = (struct ticking_loop){.loop = loop_open()};
    assert_non_null(t->loop);
    on_tick(t);
}

static inline void ticking_loop_close(struct ticking_loop *t) {
    loop_timer_cancel(t->loop, &t->tick);
    loop_close(t->loop);
}

/* A connection to HOST:PORT, non-blocking. */
static inline int dial(const char *address) {
    char host[64], service[8];
    uint16_t port;
    assert_true(options_address(address, host, sizeof host, &port));
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo *at, wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    assert_int_equal(getaddrinfo(host, service, &wanted, &at), 0);
    int fd = socket(at->ai_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, at->ai_addr, at->ai_addrlen), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    freeaddrinfo(at);
    return fd;
}

static inline void send_text(int fd, const char *text) {
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Runs the loop until the response ends with `end`, or, where that is NULL, the server closes. */
static inline void receive(struct loop *loop, int fd, const char *end, char *out, size_t size) {
    int64_t deadline = loop_wall() + PATIENCE_MS;
    size_t len = 0;
    out[0] = '\0';
    while (loop_wall() < deadline) {
        assert_true(loop_run_once(loop));
        ssize_t n = recv(fd, out + len, size - 1 - len, 0);
        if (n == 0 && end == NULL)
            return;
        if (n <= 0) {
            assert_true(n < 0 && errno == EAGAIN);
            continue;
        }
        len += (size_t)n;
        out[len] = '\0';
        if (end != NULL && len >= strlen(end) && strcmp(out + len - strlen(end), end) == 0)
            return;
    }
    fail_msg("no whole response: \"%s\"", out);
}

#endif
