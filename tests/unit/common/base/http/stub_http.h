/*
 * An HTTP server with a script, on the loop of the client under test: no thread, no waiting.
 *
 * The n-th request, over all connections, is answered by the n-th reply of the script; the last one
 * serves all that follow. What came in is kept to be looked at.
 */
#ifndef TESTS_UNIT_COMMON_BASE_HTTP_STUB_HTTP_H
#define TESTS_UNIT_COMMON_BASE_HTTP_STUB_HTTP_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/loop.h"
#include "common/base/memory.h"

enum {
    STUB_CONNECTIONS_MAX = 256,
    STUB_REQUESTS_MAX = 512,
    STUB_BYTES_MAX = 8 << 20,
    STUB_PATIENCE_MS = 10000
};

enum stub_what {
    STUB_ANSWER,
    STUB_CUT,   /* `raw`, or nothing, and the connection ends */
    STUB_SILENT /* nothing, ever */
};

struct stub_reply {
    enum stub_what what;
    int status;          /* 0: 200 */
    const char *headers; /* whole lines, or NULL */
    const char *body;    /* or NULL */
    const char *raw;     /* in place of all these */
    int64_t delay_ms;
    bool stop_listening; /* from this request on, nobody can connect */
};

struct stub_request {
    char *head; /* up to the empty line, without it */
    char *body;
    size_t body_len;
    int connection;
};

struct stub_connection {
    struct stub *stub;
    int fd, number;
    struct buffer in, out;
    size_t written;
    bool end_after; /* close when `out` is written */
    struct loop_timer timer;
    const struct stub_reply *reply;
};

struct stub {
    struct loop *loop;
    int fd;
    uint16_t port;
    char url[64]; /* http://127.0.0.1:port/ */
    const struct stub_reply *script;
    size_t script_count;
    struct stub_connection *connections[STUB_CONNECTIONS_MAX];
    int connection_count; /* ever made */
    struct stub_request requests[STUB_REQUESTS_MAX];
    size_t request_count;
};

static inline void stub_end(struct stub_connection *c) {
    if (c->fd < 0)
        return;
    loop_timer_cancel(c->stub->loop, &c->timer);
    loop_unwatch(c->stub->loop, c->fd);
    close(c->fd);
    c->fd = -1;
}

static inline void stub_stop_listening(struct stub *s) {
    if (s->fd < 0)
        return;
    loop_unwatch(s->loop, s->fd);
    close(s->fd);
    s->fd = -1;
}

static void stub_on_connection(void *arg, uint32_t events);

static inline void stub_write(struct stub_connection *c) {
    while (c->written < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->written, c->out.len - c->written, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            assert_true(
                loop_watch(c->stub->loop, c->fd, EPOLLIN | EPOLLOUT, stub_on_connection, c));
            return;
        }
        if (n < 0) {
            stub_end(c);
            return;
        }
        c->written += (size_t)n;
    }
    assert_true(loop_watch(c->stub->loop, c->fd, EPOLLIN, stub_on_connection, c));
    buffer_clear(&c->out);
    c->written = 0;
    if (c->end_after)
        stub_end(c);
}

static inline void stub_answer(void *arg) {
    struct stub_connection *c = arg;
    const struct stub_reply *r = c->reply;
    if (r->what == STUB_SILENT)
        return;
    c->end_after = r->what == STUB_CUT;
    if (r->raw != NULL) {
        buffer_puts(&c->out, r->raw);
    } else if (r->what == STUB_ANSWER) {
        const char *body = r->body != NULL ? r->body : "";
        buffer_printf(&c->out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n",
                      r->status != 0 ? r->status : 200, strlen(body),
                      r->headers != NULL ? r->headers : "");
        buffer_puts(&c->out, body);
    }
    stub_write(c);
}

static inline size_t stub_content_length(const char *head) {
    const char *at = strcasestr(head, "\r\ncontent-length:");
    return at != NULL ? strtoul(at + 17, NULL, 10) : 0;
}

/* True when a whole request was taken off the connection. */
static inline bool stub_take_request(struct stub_connection *c) {
    struct stub *s = c->stub;
    const char *text = buffer_text(&c->in), *end = strstr(text, "\r\n\r\n");
    if (end == NULL || s->request_count == STUB_REQUESTS_MAX)
        return false;
    size_t head_len = (size_t)(end - text);
    char *head = mem_bytes(text, head_len);
    size_t body_len = stub_content_length(head);
    if (c->in.len < head_len + 4 + body_len) {
        free(head);
        return false;
    }
    size_t n = s->request_count++;
    s->requests[n] = (struct stub_request){head, mem_bytes(end + 4, body_len), body_len, c->number};
    size_t whole = head_len + 4 + body_len;
    memmove(c->in.data, c->in.data + whole, c->in.len - whole + 1);
    c->in.len -= whole;
    c->reply = &s->script[n < s->script_count ? n : s->script_count - 1];
    if (c->reply->stop_listening)
        stub_stop_listening(s);
    loop_timer_set(s->loop, &c->timer, c->reply->delay_ms, stub_answer, c);
    return true;
}

static inline void stub_on_connection(void *arg, uint32_t events) {
    struct stub_connection *c = arg;
    if ((events & EPOLLOUT) != 0)
        stub_write(c);
    char piece[16384];
    while (c->fd >= 0) {
        ssize_t n = recv(c->fd, piece, sizeof piece, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            stub_end(c);
            return;
        }
        buffer_add(&c->in, piece, (size_t)n);
    }
    while (c->fd >= 0 && stub_take_request(c)) {
    }
}

static inline void stub_on_listener(void *arg, uint32_t events) {
    (void)events;
    struct stub *s = arg;
    int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 || s->connection_count == STUB_CONNECTIONS_MAX)
        abort();
    struct stub_connection *c = mem_zero(sizeof *c);
    c->stub = s;
    c->fd = fd;
    c->number = s->connection_count;
    buffer_init(&c->in, STUB_BYTES_MAX);
    buffer_init(&c->out, STUB_BYTES_MAX);
    s->connections[s->connection_count++] = c;
    assert_true(loop_watch(s->loop, fd, EPOLLIN, stub_on_connection, c));
}

/* A port of 127.0.0.1 that is listened on. */
static inline int stub_listen(int backlog, uint16_t *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, backlog) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        abort();
    *port = ntohs(address.sin_port);
    return fd;
}

static inline void stub_open(struct stub *s, struct loop *loop, const struct stub_reply *script,
                             size_t count) {
    memset(s, 0, sizeof *s);
    s->loop = loop;
    s->script = script;
    s->script_count = count;
    s->fd = stub_listen(128, &s->port);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/", s->port);
    assert_true(loop_watch(loop, s->fd, EPOLLIN, stub_on_listener, s));
}

static inline void stub_close(struct stub *s) {
    stub_stop_listening(s);
    for (int i = 0; i < s->connection_count; i++) {
        stub_end(s->connections[i]);
        buffer_free(&s->connections[i]->in);
        buffer_free(&s->connections[i]->out);
        free(s->connections[i]);
    }
    for (size_t i = 0; i < s->request_count; i++) {
        free(s->requests[i].head);
        free(s->requests[i].body);
    }
}

/* The value of a header, in any case of its name; NULL: none. The caller frees. */
static inline char *stub_header(const struct stub_request *r, const char *name) {
    char wanted[128];
    snprintf(wanted, sizeof wanted, "\r\n%s:", name);
    const char *at = strcasestr(r->head, wanted);
    if (at == NULL)
        return NULL;
    at += strlen(wanted);
    at += strspn(at, " ");
    return mem_bytes(at, strcspn(at, "\r"));
}

static inline void stub_too_late(void *arg) {
    *(bool *)arg = true;
}

/* Runs the loop until `done` says so; false when it did not within STUB_PATIENCE_MS. */
static inline bool stub_run_until(struct loop *loop, bool (*done)(void *arg), void *arg) {
    bool late = false;
    struct loop_timer guard = {0};
    loop_timer_set(loop, &guard, STUB_PATIENCE_MS, stub_too_late, &late);
    while (!late && !done(arg))
        if (!loop_run_once(loop))
            abort();
    loop_timer_cancel(loop, &guard);
    return !late;
}

/* What a proxy would do to the calls is not what is tested. */
static inline void stub_no_proxies(void) {
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
}

#endif
