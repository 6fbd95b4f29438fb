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

#include "common/base/http/admin.h"
#include "common/base/http/listen.h"
#include "common/base/options.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    PATIENCE_MS = 10000,
    TICK_MS = 5
};

/* --- a server, and a client in the same thread ------------------------------------------------ */

struct server {
    struct loop *loop;
    struct admin *admin;
    struct loop_timer tick; /* so that no wait lasts for ever */
    bool ready;
    int asked_ready, asked_metrics;
    size_t metrics_bytes;
};

static bool tell_ready(void *arg, struct buffer *why) {
    struct server *s = arg;
    s->asked_ready++;
    if (!s->ready)
        buffer_puts(why, "no broker\nno topics\n");
    return s->ready;
}

static void tell_metrics(void *arg, struct buffer *out) {
    struct server *s = arg;
    s->asked_metrics++;
    for (size_t i = 0; i < s->metrics_bytes; i++)
        buffer_putc(out, i + 1 == s->metrics_bytes ? '\n' : 'm');
}

static void on_tick(void *arg) {
    struct server *s = arg;
    loop_timer_set(s->loop, &s->tick, TICK_MS, on_tick, s);
}

static void start(struct server *s, const char *listen, const char *stage) {
    *s = (struct server){.metrics_bytes = 4};
    s->loop = loop_open();
    assert_non_null(s->loop);
    char error[256] = "";
    struct admin_source source = {tell_ready, tell_metrics, s, stage};
    s->admin = admin_open(s->loop, listen, &source, error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(s->admin);
    on_tick(s);
}

static void stop(struct server *s) {
    admin_close(s->admin);
    loop_close(s->loop);
}

static int dial(const char *address) {
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

/* Turns the loop until the answer ends with `end`, or, where that is NULL, the server closes. */
static void receive(struct server *s, int fd, const char *end, char *out, size_t size) {
    int64_t deadline = loop_wall() + PATIENCE_MS;
    size_t len = 0;
    out[0] = '\0';
    while (loop_wall() < deadline) {
        assert_true(loop_run_once(s->loop));
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
    fail_msg("no whole answer: \"%s\"", out);
}

static void ask(struct server *s, const char *method, const char *path, char *out, size_t size) {
    char request[256];
    int n = snprintf(request, sizeof request,
                     "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    int fd = dial(admin_address(s->admin));
    assert_int_equal(send(fd, request, (size_t)n, 0), n);
    receive(s, fd, NULL, out, size);
    close(fd);
}

/* --- requests --------------------------------------------------------------------------------- */

static const struct {
    const char *method, *path;
    bool ready;
    int status;
    const char *header, *body;
} requests[] = {
    {"GET", "/healthz", false, 200, "Content-Type: text/plain; charset=utf-8\r\n", "ok\n"},
    {"GET", "/healthz?x=1", false, 200, "Cache-Control: no-store\r\n", "ok\n"},
    {"HEAD", "/healthz", false, 200, "Content-Length: 3\r\n", ""},
    {"GET", "/readyz", true, 200, "Content-Type: text/plain; charset=utf-8\r\n", "ready\n"},
    {"GET", "/readyz", false, 503, "Content-Length: 20\r\n", "no broker\nno topics\n"},
    {"HEAD", "/readyz", false, 503, "Content-Length: 20\r\n", ""},
    {"GET", "/metrics", false, 200, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
     "mmm\n"},
    {"HEAD", "/metrics", false, 200, "Content-Length: 4\r\n", ""},
    {"POST", "/healthz", false, 405, "Allow: GET, HEAD\r\n", "GET and HEAD only\n"},
    {"DELETE", "/metrics", false, 405, "Allow: GET, HEAD\r\n", "GET and HEAD only\n"},
    {"OPTIONS", "/readyz", false, 405, "Allow: GET, HEAD\r\n", "GET and HEAD only\n"},
    {"get", "/healthz", false, 405, "Allow: GET, HEAD\r\n", "GET and HEAD only\n"},
    {"GET", "/", false, 404, "Content-Type: text/plain; charset=utf-8\r\n",
     "/healthz, /readyz and /metrics only\n"},
    {"GET", "/healthz/", false, 404, "", "/healthz, /readyz and /metrics only\n"},
    {"GET", "/dev/healthz", false, 404, "", "/healthz, /readyz and /metrics only\n"},
    {"POST", "/x", false, 404, "", "/healthz, /readyz and /metrics only\n"},
};

static void check_answer(const char *what, const char *got, int status, const char *header,
                         const char *body) {
    char first[32];
    int n = snprintf(first, sizeof first, "HTTP/1.1 %d ", status);
    const char *end = strstr(got, "\r\n\r\n");
    if (strncmp(got, first, (size_t)n) != 0 || end == NULL || strstr(got, header) == NULL ||
        strcmp(end + 4, body) != 0)
        fail_msg("%s: answered \"%s\"", what, got);
}

static void test_requests(void **state) {
    (void)state;
    struct server s;
    start(&s, "127.0.0.1:0", NULL);
    for (size_t i = 0; i < COUNT(requests); i++) {
        char got[2048], what[64];
        s.ready = requests[i].ready;
        snprintf(what, sizeof what, "%s %s", requests[i].method, requests[i].path);
        ask(&s, requests[i].method, requests[i].path, got, sizeof got);
        check_answer(what, got, requests[i].status, requests[i].header, requests[i].body);
    }
    assert_int_equal(s.asked_ready, 3);
    assert_int_equal(s.asked_metrics, 2);
    stop(&s);
}

static void test_stage(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int status;
    } rows[] = {{"/dev/healthz", 200}, {"/healthz", 200},    {"/dev", 404},
                {"/dev/", 404},        {"/devhealthz", 404}, {"/dev/dev/healthz", 404},
                {"/test/healthz", 404}};
    struct server s;
    start(&s, "127.0.0.1:0", "dev");
    for (size_t i = 0; i < COUNT(rows); i++) {
        char got[2048];
        ask(&s, "GET", rows[i].path, got, sizeof got);
        if (atoi(got + strlen("HTTP/1.1 ")) != rows[i].status)
            fail_msg("%s: answered \"%s\"", rows[i].path, got);
    }
    stop(&s);
}

static void test_connection_is_kept(void **state) {
    (void)state;
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char with_body[] =
        "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    struct server s;
    start(&s, "127.0.0.1:0", "");
    int fd = dial(admin_address(s.admin));
    char got[2048];
    for (int i = 0; i < 6; i++) {
        const char *text = i % 2 == 0 ? request : with_body;
        assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
        receive(&s, fd, "\r\n\r\nok\n", got, sizeof got);
        check_answer("kept", got, 200, "Content-Length: 3\r\n", "ok\n");
    }
    close(fd);
    stop(&s);
}

/* Larger than what a socket takes at once. */
static void test_large_metrics(void **state) {
    (void)state;
    enum {
        BYTES = 1 << 20
    };
    struct server s;
    start(&s, "127.0.0.1:0", NULL);
    char *got = malloc(BYTES + 4096);
    assert_non_null(got);
    s.metrics_bytes = BYTES;
    ask(&s, "GET", "/metrics", got, BYTES + 4096);
    assert_int_equal(strlen(strstr(got, "\r\n\r\n") + 4), BYTES);
    s.metrics_bytes = BYTES + 1;
    ask(&s, "GET", "/metrics", got, BYTES + 4096);
    check_answer("too many", got, 500, "", "too many metrics\n");
    free(got);
    stop(&s);
}

/* No thread of its own: who waits for its own time-out must be woken by the loop alone. */
static void test_idle_connection_is_closed(void **state) {
    (void)state;
    struct server s;
    start(&s, "127.0.0.1:0", NULL);
    loop_timer_cancel(s.loop, &s.tick);
    int fd = dial(admin_address(s.admin));
    assert_int_equal(send(fd, "GET /heal", 9, 0), 9);
    int64_t begin = loop_wall();
    char byte;
    ssize_t n;
    do {
        assert_true(loop_run_once(s.loop));
        n = recv(fd, &byte, 1, 0);
    } while (n < 0 && errno == EAGAIN && loop_wall() < begin + 2 * PATIENCE_MS);
    assert_int_equal(n, 0);
    assert_in_range(loop_wall() - begin, 3000, PATIENCE_MS);
    close(fd);
    stop(&s);
}

static void test_closed_under_way(void **state) {
    (void)state;
    struct server s;
    start(&s, "127.0.0.1:0", NULL);
    int fd = dial(admin_address(s.admin));
    assert_int_equal(send(fd, "GET /healthz HTTP/1.1\r\n", 23, 0), 23);
    for (int i = 0; i < 3; i++)
        assert_true(loop_run_once(s.loop));
    char address[LISTEN_ADDRESS_MAX];
    snprintf(address, sizeof address, "%s", admin_address(s.admin));
    admin_close(s.admin);
    assert_true(loop_run_once(s.loop)); /* nothing of it is left in the loop */
    char error[256] = "", bound[LISTEN_ADDRESS_MAX];
    int again = http_listen(address, bound, sizeof bound, error, sizeof error);
    assert_string_equal(error, "");
    assert_string_equal(bound, address);
    close(again);
    close(fd);
    loop_close(s.loop);
    admin_close(NULL);
}

/* --- listening -------------------------------------------------------------------------------- */

static const struct {
    const char *listen, *bound; /* before the port; NULL: refused */
} listens[] = {
    {"127.0.0.1:0", "127.0.0.1:"},
    {"0.0.0.0:0", "0.0.0.0:"},
    {"[::1]:0", "[::1]:"},
    {"", NULL},
    {"8080", NULL},
    {"127.0.0.1", NULL},
    {"127.0.0.1:", NULL},
    {"127.0.0.1:65536", NULL},
    {"127.0.0.1:http", NULL},
    {"::1:0", NULL},
    {"no.such.host.invalid:0", NULL},
    {"192.0.2.1:0", NULL}, /* not of this machine: RFC 5737 */
};

static bool has_ipv6(void) {
    char error[256], bound[LISTEN_ADDRESS_MAX];
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0)
        return false;
    close(fd);
    fd = http_listen("[::1]:0", bound, sizeof bound, error, sizeof error);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void test_listening(void **state) {
    (void)state;
    bool ipv6 = has_ipv6();
    for (size_t i = 0; i < COUNT(listens); i++) {
        if (listens[i].listen[0] == '[' && !ipv6)
            continue;
        char error[256] = "", bound[LISTEN_ADDRESS_MAX] = "";
        int fd = http_listen(listens[i].listen, bound, sizeof bound, error, sizeof error);
        if (listens[i].bound == NULL) {
            if (fd >= 0 || error[0] == '\0')
                fail_msg("%s: %d, \"%s\"", listens[i].listen, fd, error);
            continue;
        }
        if (fd < 0 || strncmp(bound, listens[i].bound, strlen(listens[i].bound)) != 0 ||
            atoi(bound + strlen(listens[i].bound)) <= 0)
            fail_msg("%s: %d, \"%s\", \"%s\"", listens[i].listen, fd, bound, error);
        int on = 0;
        socklen_t size = sizeof on;
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, &size), 0);
        assert_int_equal(on, 1);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size), 0);
        assert_int_equal(on, 1);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close(fd);
    }
}

static void test_name(void **state) {
    (void)state;
    char error[256] = "", bound[LISTEN_ADDRESS_MAX];
    int fd = http_listen("localhost:0", bound, sizeof bound, error, sizeof error);
    assert_true(fd >= 0);
    assert_true(strncmp(bound, "127.0.0.1:", 10) == 0 || strncmp(bound, "[::1]:", 6) == 0);
    close(fd);
}

static void test_taken_port(void **state) {
    (void)state;
    struct server s;
    start(&s, "127.0.0.1:0", NULL);
    char error[256] = "";
    struct admin_source source = {tell_ready, tell_metrics, &s, NULL};
    assert_null(admin_open(s.loop, admin_address(s.admin), &source, error, sizeof error));
    assert_non_null(strstr(error, admin_address(s.admin)));
    assert_non_null(strstr(error, strerror(EADDRINUSE)));
    stop(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_stage),
        cmocka_unit_test(test_connection_is_kept),
        cmocka_unit_test(test_large_metrics),
        cmocka_unit_test(test_idle_connection_is_closed),
        cmocka_unit_test(test_closed_under_way),
        cmocka_unit_test(test_listening),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_taken_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
