/*
 * The HTTP client against a scripted server, above all: never HTTP_UNSENT where a request may have
 * arrived.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/http/client.h"
#include "tests/unit/common/base/http/stub_http.h"

struct report {
    int times;
    enum http_result result;
    bool too_long;
    int status;
    int64_t date;
    double seconds;
    char body[256], error[256], kind[64];
    struct http_call *to_cancel; /* when report */
    struct http_client *client;  /* to start another call with when report, `next` to tell */
    const char *url;
    struct report *next;
};

struct fixture {
    struct loop *loop;
    struct http_client *client;
    struct stub stub;
};

static void on_answer(void *arg, const struct http_answer *a);

static struct http_request post(const char *url, const char *body) {
    return (struct http_request){.method = "POST",
                                 .url = url,
                                 .body = body,
                                 .body_len = strlen(body),
                                 .connect_timeout_ms = 3000,
                                 .timeout_ms = 8000,
                                 .answer_max = 65536};
}

static struct http_call *start(struct http_client *client, const char *url, struct report *report) {
    struct http_request r = post(url, "hello");
    struct http_call *call = http_start(client, &r, on_answer, report);
    assert_non_null(call);
    assert_int_equal(report->times, 0);
    return call;
}

static void on_answer(void *arg, const struct http_answer *a) {
    struct report *t = arg;
    t->times++;
    t->result = a->result;
    t->too_long = a->too_long;
    t->status = a->status;
    t->date = a->date;
    t->seconds = a->seconds;
    snprintf(t->body, sizeof t->body, "%s", a->body);
    snprintf(t->error, sizeof t->error, "%s", a->error);
    const char *kind = http_answer_header(a, "X-Kind");
    snprintf(t->kind, sizeof t->kind, "%s", kind != NULL ? kind : "none");
    if (t->to_cancel != NULL)
        http_cancel(t->to_cancel);
    if (t->client != NULL)
        start(t->client, t->url, t->next);
}

static void set_up(struct fixture *f, const struct stub_reply *script, size_t count) {
    struct http_client_settings settings = {.connections_max = 8};
    f->loop = loop_open();
    assert_non_null(f->loop);
    f->client = http_client_open(f->loop, &settings);
    assert_non_null(f->client);
    stub_open(&f->stub, f->loop, script, count);
}

static void tear_down(struct fixture *f) {
    http_client_close(f->client);
    stub_close(&f->stub);
    loop_close(f->loop);
}

#define SET_UP(f, script) set_up(&(f), script, sizeof(script) / sizeof *(script))

static bool is_told(void *arg) {
    return ((struct report *)arg)->times > 0;
}

static void wait_for(struct fixture *f, struct report *report) {
    assert_true(stub_run_until(f->loop, is_told, report));
    assert_int_equal(report->times, 1);
}

static void assert_header(const struct stub_request *r, const char *name, const char *value) {
    char *found = stub_header(r, name);
    if (value == NULL)
        assert_null(found);
    else
        assert_string_equal(found, value);
    free(found);
}

/* --- what is sent and what comes back --------------------------------------------------------- */

static void test_a_request_and_its_answer(void **state) {
    (void)state;
    static const struct stub_reply script[] = {
        {.status = 418,
         .headers = "Date: Thu, 01 Jan 2026 00:00:10 GMT\r\nx-kind: teapot\r\n",
         .body = "short and stout"}};
    struct fixture f;
    struct report report = {0};
    SET_UP(f, script);
    struct http_header headers[] = {{"X-One", "1"}, {"X-Empty", ""}, {"Content-Type", "a/b"}};
    struct http_request r = post(f.stub.url, "{}");
    r.headers = headers;
    r.header_count = 3;
    assert_non_null(http_start(f.client, &r, on_answer, &report));
    wait_for(&f, &report);
    assert_int_equal(report.result, HTTP_ANSWERED);
    assert_int_equal(report.status, 418);
    assert_int_equal(report.date, 1767225610);
    assert_string_equal(report.body, "short and stout");
    assert_string_equal(report.error, "");
    assert_string_equal(report.kind, "teapot");
    assert_true(report.seconds > 0 && report.seconds < 8);

    const struct stub_request *seen = &f.stub.requests[0];
    assert_int_equal(f.stub.request_count, 1);
    assert_memory_equal(seen->head, "POST / HTTP/1.1\r\n", 17);
    assert_string_equal(seen->body, "{}");
    assert_header(seen, "X-One", "1");
    assert_header(seen, "X-Empty", "");
    assert_header(seen, "Content-Type", "a/b");
    assert_header(seen, "Expect", NULL);
    tear_down(&f);
}

static void test_methods(void **state) {
    (void)state;
    static const struct {
        const char *method, *body, *line, *length;
    } cases[] = {
        {"GET", "", "GET /x?a=b HTTP/1.1\r\n", NULL},
        {"PUT", "", "PUT /x?a=b HTTP/1.1\r\n", "0"},
        {"PUT", "abc", "PUT /x?a=b HTTP/1.1\r\n", "3"},
        {"POST", "", "POST /x?a=b HTTP/1.1\r\n", "0"},
    };
    static const struct stub_reply script[] = {{.status = 200}};
    struct fixture f;
    SET_UP(f, script);
    char url[128];
    snprintf(url, sizeof url, "%sx?a=b", f.stub.url);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct report report = {0};
        struct http_request r = post(url, cases[i].body);
        r.method = cases[i].method;
        assert_non_null(http_start(f.client, &r, on_answer, &report));
        wait_for(&f, &report);
        assert_int_equal(report.result, HTTP_ANSWERED);
        const struct stub_request *seen = &f.stub.requests[i];
        assert_memory_equal(seen->head, cases[i].line, strlen(cases[i].line));
        assert_string_equal(seen->body, cases[i].body);
        assert_header(seen, "Content-Length", cases[i].length);
        assert_header(seen, "Content-Type", NULL);
    }
    tear_down(&f);
}

static void test_a_large_body_goes_at_once(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 200}};
    enum {
        LARGE = 2 << 20
    };
    struct fixture f;
    struct report report = {0};
    SET_UP(f, script);
    char *large = mem_alloc(LARGE + 1);
    memset(large, 'x', LARGE);
    large[LARGE] = '\0';
    struct http_request r = post(f.stub.url, large);
    assert_non_null(http_start(f.client, &r, on_answer, &report));
    memset(large, 'y', LARGE); /* it was copied */
    wait_for(&f, &report);
    assert_int_equal(report.result, HTTP_ANSWERED);
    assert_int_equal(f.stub.requests[0].body_len, LARGE);
    assert_int_equal(strspn(f.stub.requests[0].body, "x"), LARGE);
    assert_header(&f.stub.requests[0], "Expect", NULL);
    free(large);
    tear_down(&f);
}

static void test_no_redirects(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 307, .headers = "Location: /else\r\n"}};
    struct fixture f;
    struct report report = {0};
    SET_UP(f, script);
    start(f.client, f.stub.url, &report);
    wait_for(&f, &report);
    assert_int_equal(report.result, HTTP_ANSWERED);
    assert_int_equal(report.status, 307);
    assert_int_equal(f.stub.request_count, 1);
    tear_down(&f);
}

static void test_what_cannot_be_a_request(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 200}};
    static const char *const urls[] = {"",
                                       "localhost/",
                                       "ftp://localhost/",
                                       "http://",
                                       "file:///etc/passwd",
                                       "http://a b/",
                                       "http://u:p@localhost/"};
    static const struct http_header headers[] = {
        {"", "x"}, {"A:", "x"}, {"A", "x\r\nB: y"}, {"A\n", "x"}, {"A", "\x7f"}};
    struct fixture f;
    struct report report = {0};
    SET_UP(f, script);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct http_request r = post(urls[i], "");
        assert_null(http_start(f.client, &r, on_answer, &report));
    }
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct http_request r = post(f.stub.url, "");
        r.headers = &headers[i];
        r.header_count = 1;
        assert_null(http_start(f.client, &r, on_answer, &report));
    }
    tear_down(&f);
    assert_int_equal(report.times, 0);
}

static void test_the_proxy_of_the_environment(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 200}};
    struct fixture f;
    struct report report = {0}, direct = {0};
    SET_UP(f, script);
    setenv("http_proxy", f.stub.url, 1);
    setenv("no_proxy", "127.0.0.1", 1);
    start(f.client, "http://athena.invalid/", &report);
    wait_for(&f, &report);
    start(f.client, f.stub.url, &direct);
    wait_for(&f, &direct);
    stub_no_proxies();
    assert_int_equal(report.result, HTTP_ANSWERED);
    assert_memory_equal(f.stub.requests[0].head, "POST http://athena.invalid/ HTTP/1.1", 36);
    assert_memory_equal(f.stub.requests[1].head, "POST / HTTP/1.1", 15);
    tear_down(&f);
}

/* --- sent or not ------------------------------------------------------------------------------ */

static char *long_answer(size_t n) {
    char *text = mem_alloc(n + 1);
    memset(text, 'a', n);
    text[n] = '\0';
    return text;
}

static void test_lost(void **state) {
    (void)state;
    char *too_long = long_answer(65537);
    const struct {
        struct stub_reply reply;
        int64_t timeout_ms;
    } cases[] = {
        {{.what = STUB_CUT}, 8000},
        {{.what = STUB_CUT, .raw = "HTTP/1.1 200 OK\r\nContent-Len"}, 8000},
        {{.what = STUB_CUT, .raw = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n"}, 8000},
        {{.what = STUB_CUT, .raw = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc"}, 8000},
        {{.what = STUB_CUT,
          .raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n"},
         8000},
        {{.what = STUB_CUT, .raw = "nonsense\r\n\r\n"}, 8000},
        {{.what = STUB_SILENT}, 150},
        {{.what = STUB_ANSWER, .delay_ms = 5000}, 150},
        {{.what = STUB_ANSWER, .body = too_long}, 8000},
        {{.what = STUB_SILENT, .raw = NULL, .stop_listening = true}, 150},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct report report = {0};
        set_up(&f, &cases[i].reply, 1);
        struct http_request r = post(f.stub.url, "hello");
        r.timeout_ms = cases[i].timeout_ms;
        assert_non_null(http_start(f.client, &r, on_answer, &report));
        wait_for(&f, &report);
        if (report.result != HTTP_LOST || report.error[0] == '\0')
            fail_msg("case %zu: result %d, error \"%s\"", i, report.result, report.error);
        assert_true(report.too_long == (cases[i].reply.body == too_long));
        assert_int_equal(f.stub.request_count, 1);
        tear_down(&f);
    }
    free(too_long);
}

static void test_as_long_as_may_be_is_an_answer(void **state) {
    (void)state;
    char *long_enough = long_answer(65536);
    const struct stub_reply script[] = {{.body = long_enough}};
    struct fixture f;
    struct report report = {0};
    SET_UP(f, script);
    start(f.client, f.stub.url, &report);
    wait_for(&f, &report);
    assert_int_equal(report.result, HTTP_ANSWERED);
    assert_false(report.too_long);
    free(long_enough);
    tear_down(&f);
}

static void assert_unsent(struct fixture *f, const char *url, int64_t connect_timeout_ms) {
    struct report report = {0};
    struct http_request r = post(url, "hello");
    r.connect_timeout_ms = connect_timeout_ms;
    assert_non_null(http_start(f->client, &r, on_answer, &report));
    assert_int_equal(report.times, 0);
    wait_for(f, &report);
    if (report.result != HTTP_UNSENT || report.error[0] == '\0')
        fail_msg("%s: result %d, error \"%s\"", url, report.result, report.error);
    assert_int_equal(report.date, -1);
    assert_string_equal(report.body, "");
}

static void test_unsent(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.what = STUB_CUT}};
    struct fixture f;
    char url[128];
    SET_UP(f, script);
    assert_unsent(&f, "http://no-such-host.invalid/", 3000);
    /* TLS to one that speaks none; it sees no request in it. */
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", f.stub.port);
    assert_unsent(&f, url, 300);
    assert_int_equal(f.stub.request_count, 0);
    stub_stop_listening(&f.stub);
    assert_unsent(&f, f.stub.url, 3000);
    tear_down(&f);
}

/* With its queue full, a listener does not answer: the connection takes for ever. */
static void test_unsent_when_connecting_takes_too_long(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 200}};
    enum {
        FILL = 4
    };
    struct fixture f;
    SET_UP(f, script);
    uint16_t port;
    int listener = stub_listen(0, &port), fill[FILL];
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < FILL; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(fill[i] >= 0);
        (void)connect(fill[i], (struct sockaddr *)&to, sizeof to); /* in progress */
    }
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    assert_unsent(&f, url, 200);
    for (int i = 0; i < FILL; i++)
        close(fill[i]);
    close(listener);
    tear_down(&f);
}

/* --- connections ------------------------------------------------------------------------------ */

static void test_connections_are_used_again(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 200}};
    struct fixture f;
    SET_UP(f, script);
    for (int i = 0; i < 5; i++) {
        struct report report = {0};
        start(f.client, f.stub.url, &report);
        wait_for(&f, &report);
        assert_int_equal(report.result, HTTP_ANSWERED);
    }
    assert_int_equal(f.stub.request_count, 5);
    assert_int_equal(f.stub.connection_count, 1);
    tear_down(&f);
}

/* libcurl sends it again. The header says so, and request tokens are there for it. */
static void test_a_reused_connection_that_dies(void **state) {
    (void)state;
    static const struct stub_reply script[] = {
        {.status = 200}, {.what = STUB_CUT}, {.body = "the second time"}};
    struct fixture f;
    struct report first = {0}, second = {0};
    SET_UP(f, script);
    start(f.client, f.stub.url, &first);
    wait_for(&f, &first);
    start(f.client, f.stub.url, &second);
    wait_for(&f, &second);
    assert_int_equal(second.result, HTTP_ANSWERED);
    assert_string_equal(second.body, "the second time");
    assert_int_equal(f.stub.request_count, 3);
    assert_int_equal(f.stub.requests[1].connection, 0);
    assert_int_equal(f.stub.requests[2].connection, 1);
    tear_down(&f);
}

/* The server has the request, though libcurl's last word is that it cannot connect. */
static void test_a_reused_connection_that_dies_with_its_server(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 200},
                                               {.what = STUB_CUT, .stop_listening = true}};
    struct fixture f;
    struct report first = {0}, second = {0};
    SET_UP(f, script);
    start(f.client, f.stub.url, &first);
    wait_for(&f, &first);
    start(f.client, f.stub.url, &second);
    wait_for(&f, &second);
    assert_int_equal(f.stub.request_count, 2);
    assert_int_equal(second.result, HTTP_LOST);
    tear_down(&f);
}

static bool are_told(void *arg) {
    for (struct report *t = arg; t->url != NULL; t++)
        if (t->times == 0)
            return false;
    return true;
}

static void test_many_at_once(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 200, .delay_ms = 20}};
    enum {
        MANY = 100
    };
    struct fixture f;
    SET_UP(f, script);
    static struct report report[MANY + 1];
    memset(report, 0, sizeof report);
    for (int i = 0; i < MANY; i++) {
        start(f.client, f.stub.url, &report[i]);
        report[i].url = "one of many";
    }
    assert_true(stub_run_until(f.loop, are_told, report));
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(report[i].times, 1);
        assert_int_equal(report[i].result, HTTP_ANSWERED);
    }
    assert_int_equal(f.stub.connection_count, MANY);
    tear_down(&f);
}

/* --- cancel and close ------------------------------------------------------------------------- */

static void test_cancel(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.what = STUB_SILENT}, {.status = 200}};
    struct fixture f;
    struct report at_once = {0}, under_way = {0}, later = {0};
    SET_UP(f, script);
    http_cancel(start(f.client, f.stub.url, &at_once));
    struct http_call *call = start(f.client, f.stub.url, &under_way);
    while (f.stub.request_count == 0)
        assert_true(loop_run_once(f.loop));
    http_cancel(call);
    start(f.client, f.stub.url, &later);
    wait_for(&f, &later);
    assert_int_equal(at_once.times, 0);
    assert_int_equal(under_way.times, 0);
    assert_int_equal(f.stub.request_count, 2);
    tear_down(&f);
}

/* Both refused in one turn of the loop, so that the second has ended when the first cancels it. */
static void test_cancel_one_that_has_ended_from_within_another(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 200}};
    struct fixture f;
    struct report a = {0}, b = {0}, last = {0};
    SET_UP(f, script);
    char dead[64];
    uint16_t port;
    close(stub_listen(1, &port));
    snprintf(dead, sizeof dead, "http://127.0.0.1:%d/", port);
    struct http_call *call_a = start(f.client, dead, &a), *call_b = start(f.client, dead, &b);
    a.to_cancel = call_b;
    b.to_cancel = call_a;
    start(f.client, f.stub.url, &last);
    wait_for(&f, &last);
    while (a.times + b.times == 0)
        assert_true(loop_run_once(f.loop));
    assert_int_equal(a.times + b.times, 1);
    tear_down(&f);
}

static void test_cancel_and_start_from_within(void **state) {
    (void)state;
    static const struct stub_reply script[] = {
        {.what = STUB_SILENT}, {.status = 200}, {.body = "the next"}};
    struct fixture f;
    struct report silent = {0}, first = {0}, next = {0};
    SET_UP(f, script);
    struct http_call *call = start(f.client, f.stub.url, &silent);
    while (f.stub.request_count == 0)
        assert_true(loop_run_once(f.loop));
    first.to_cancel = call;
    first.client = f.client;
    first.url = f.stub.url;
    first.next = &next;
    start(f.client, f.stub.url, &first);
    wait_for(&f, &next);
    assert_int_equal(first.times, 1);
    assert_string_equal(next.body, "the next");
    assert_int_equal(silent.times, 0);
    tear_down(&f);
}

static void test_a_call_may_cancel_itself(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 200}};
    struct fixture f;
    struct report report = {0};
    SET_UP(f, script);
    report.to_cancel = start(f.client, f.stub.url, &report);
    wait_for(&f, &report);
    tear_down(&f);
}

static void test_close_with_calls_under_way(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.what = STUB_SILENT}};
    struct fixture f;
    struct report report[3] = {0};
    SET_UP(f, script);
    start(f.client, f.stub.url, &report[0]);
    start(f.client, f.stub.url, &report[1]);
    while (f.stub.request_count < 2)
        assert_true(loop_run_once(f.loop));
    start(f.client, f.stub.url, &report[2]);
    tear_down(&f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(report[i].times, 0);
    http_client_close(NULL);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_and_its_answer),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_a_large_body_goes_at_once),
        cmocka_unit_test(test_no_redirects),
        cmocka_unit_test(test_what_cannot_be_a_request),
        cmocka_unit_test(test_the_proxy_of_the_environment),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_as_long_as_may_be_is_an_answer),
        cmocka_unit_test(test_unsent),
        cmocka_unit_test(test_unsent_when_connecting_takes_too_long),
        cmocka_unit_test(test_connections_are_used_again),
        cmocka_unit_test(test_a_reused_connection_that_dies),
        cmocka_unit_test(test_a_reused_connection_that_dies_with_its_server),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_one_that_has_ended_from_within_another),
        cmocka_unit_test(test_cancel_and_start_from_within),
        cmocka_unit_test(test_a_call_may_cancel_itself),
        cmocka_unit_test(test_close_with_calls_under_way),
    };
    stub_no_proxies();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
