#include "common/base/http/admin.h"

#include "common/base/http/listen.h"
#include "tests/unit/common/base/http/loop_client.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- a server, and a client in the same thread ------------------------------------------------ */

struct server {
    struct ticking_loop ticking;
    struct loop *loop;
    struct admin *admin;
    bool ready;
    int asked_ready, asked_metrics;
    size_t metrics_bytes;
};

static bool report_ready(void *arg, struct buffer *why) {
    struct server *s = arg;
    s->asked_ready++;
    if (!s->ready)
        buffer_puts(why, "no broker\nno topics\n");
    return s->ready;
}

static void report_metrics(void *arg, struct buffer *out) {
    struct server *s = arg;
    s->asked_metrics++;
    for (size_t i = 0; i < s->metrics_bytes; i++)
        buffer_putc(out, i + 1 == s->metrics_bytes ? '\n' : 'm');
}

static void start(struct server *s, const char *listen, const char *stage) {
    *s = (struct server){.metrics_bytes = 4};
    ticking_loop_open(&s->ticking);
    s->loop = s->ticking.loop;
    char error[256] = "";
    struct admin_source source = {report_ready, report_metrics, s, stage};
    s->admin = admin_open(s->loop, listen, &source, error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(s->admin);
}

static void stop(struct server *s) {
    admin_close(s->admin);
    ticking_loop_close(&s->ticking);
}

static void ask(struct server *s, const char *method, const char *path, char *out, size_t size) {
    char request[256];
    int n = snprintf(request, sizeof request,
                     "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    int fd = dial(admin_address(s->admin));
    assert_int_equal(send(fd, request, (size_t)n, 0), n);
    receive(s->loop, fd, NULL, out, size);
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

static void check_response(const char *what, const char *got, int status, const char *header,
                           const char *body) {
    char first[32];
    int n = snprintf(first, sizeof first, "HTTP/1.1 %d ", status);
    const char *end = strstr(got, "\r\n\r\n");
    if (strncmp(got, first, (size_t)n) != 0 || end == NULL || strstr(got, header) == NULL ||
        strcmp(end + 4, body) != 0)
        fail_msg("%s: responded \"%s\"", what, got);
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
        check_response(what, got, requests[i].status, requests[i].header, requests[i].body);
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
            fail_msg("%s: responded \"%s\"", rows[i].path, got);
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
        receive(s.loop, fd, "\r\n\r\nok\n", got, sizeof got);
        check_response("kept", got, 200, "Content-Length: 3\r\n", "ok\n");
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
    check_response("too many", got, 500, "", "too many metrics\n");
    free(got);
    stop(&s);
}

/* No thread of its own: who waits for its own time-out must be woken by the loop alone. */
static void test_half_a_request_is_timed_out(void **state) {
    (void)state;
    struct server s;
    start(&s, "127.0.0.1:0", NULL);
    loop_timer_cancel(s.loop, &s.ticking.tick);
    int fd = dial(admin_address(s.admin));
    assert_int_equal(send(fd, "GET /heal", 9, 0), 9);
    int64_t begin = loop_wall();
    char got[512] = "";
    size_t len = 0;
    ssize_t n;
    do {
        assert_true(loop_run_once(s.loop));
        n = recv(fd, got + len, sizeof got - 1 - len, 0);
        len += n > 0 ? (size_t)n : 0;
    } while (n != 0 && loop_wall() < begin + 2 * PATIENCE_MS);
    assert_int_equal(n, 0);
    assert_int_equal(strncmp(got, "HTTP/1.1 408 ", 13), 0);
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
    ticking_loop_close(&s.ticking);
    admin_close(NULL);
}

/* At its limit libmicrohttpd stops listening; it must listen again once connections have ended. */
static void test_accepts_again_after_the_limit(void **state) {
    (void)state;
    enum {
        CONNECTIONS = 64 /* CONNECTIONS_MAX of admin.c */
    };
    struct server s;
    int fds[CONNECTIONS];
    char got[2048];
    start(&s, "127.0.0.1:0", NULL);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        fds[i] = dial(admin_address(s.admin));
        send_text(fds[i], "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        receive(s.loop, fds[i], "ok\n", got, sizeof got);
    }
    for (int i = 0; i < 3; i++)
        assert_true(loop_run_once(s.loop));
    for (size_t i = 0; i < CONNECTIONS; i++)
        close(fds[i]); /* all of them end in one iteration of the loop */
    ask(&s, "GET", "/healthz", got, sizeof got);
    check_response("after the limit", got, 200, "", "ok\n");
    stop(&s);
}

/* All connections are held by clients that send a byte now and then. */
static void test_trickling_clients_do_not_keep_others_out(void **state) {
    (void)state;
    enum {
        CONNECTIONS = 200 /* more than CONNECTIONS_MAX of admin.c */
    };
    struct server s;
    int fds[CONNECTIONS];
    char got[2048];
    start(&s, "127.0.0.1:0", NULL);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        fds[i] = dial(admin_address(s.admin));
        send_text(fds[i], "G");
        assert_true(loop_run_once(s.loop));
    }
    ask(&s, "GET", "/healthz", got, sizeof got);
    check_response("beside them", got, 200, "", "ok\n");
    for (size_t i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
    stop(&s);
}

static void test_taken_port(void **state) {
    (void)state;
    struct server s;
    start(&s, "127.0.0.1:0", NULL);
    char error[256] = "";
    struct admin_source source = {report_ready, report_metrics, &s, NULL};
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
        cmocka_unit_test(test_half_a_request_is_timed_out),
        cmocka_unit_test(test_closed_under_way),
        cmocka_unit_test(test_accepts_again_after_the_limit),
        cmocka_unit_test(test_trickling_clients_do_not_keep_others_out),
        cmocka_unit_test(test_taken_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
