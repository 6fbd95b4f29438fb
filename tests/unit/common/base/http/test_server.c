#include "common/base/http/server.h"

#include "common/base/http/listen.h"
#include "tests/unit/common/base/http/loop_client.h"

/* --- a server whose handler does what the target says ----------------------------------------- */

enum {
    BODY_MAX = 100,
    REQUEST_TIMEOUT_MS = 300
};

static const char *const header_names[] = {"x-api-key"};

/* The handler's own of each request. */
struct own {
    int heads; /* zeroed when the request begins */
};

struct fixture {
    struct ticking_loop ticking;
    struct http_server *server;
    char bound[LISTEN_ADDRESS_MAX];
    struct server_request *waiting; /* `whole` has put it off */
    int responded[600];             /* how often, by status */
    char body[BODY_MAX + 1];        /* of the last request that was whole */
};

static bool fixture_head(void *arg, struct server_request *r, struct http_response *response) {
    (void)arg;
    struct own *own = r->state;
    assert_int_equal(own->heads++, 0);
    if (strcmp(r->target, "/refused") != 0)
        return true;
    http_response_problem(response, 403, r->headers[0] != NULL ? r->headers[0] : "no key");
    return false;
}

static bool fixture_whole(void *arg, struct server_request *r, struct http_response *response) {
    struct fixture *f = arg;
    struct own *own = r->state;
    assert_int_equal(own->heads, 1);
    snprintf(f->body, sizeof f->body, "%s", buffer_text(&r->body));
    if (strcmp(r->target, "/later") == 0) {
        f->waiting = r;
        return false;
    }
    http_response_problem(response, 404, r->method);
    return true;
}

static void fixture_responded(void *arg, int status, int64_t took_ms) {
    struct fixture *f = arg;
    assert_true(took_ms >= 0);
    f->responded[status]++;
}

static void open_fixture(struct fixture *f, unsigned connections_max) {
    char error[256] = "";
    *f = (struct fixture){0};
    ticking_loop_open(&f->ticking);
    struct http_server_settings settings = {
        .listen_fd = http_listen("127.0.0.1:0", f->bound, sizeof f->bound, error, sizeof error),
        .connections_max = connections_max,
        .body_max = BODY_MAX,
        .request_timeout_ms = REQUEST_TIMEOUT_MS};
    struct http_handler handler = {.header_names = header_names,
                                   .header_count = 1,
                                   .state_size = sizeof(struct own),
                                   .head = fixture_head,
                                   .whole = fixture_whole,
                                   .responded = fixture_responded,
                                   .arg = f};
    f->server = http_server_open(f->ticking.loop, &settings, &handler);
    assert_non_null(f->server);
}

static void close_fixture(struct fixture *f) {
    http_server_close(f->server);
    loop_close(f->ticking.loop);
}

static void run_until_waiting(struct fixture *f) {
    int64_t deadline = loop_wall() + PATIENCE_MS;
    while (f->waiting == NULL && loop_wall() < deadline)
        assert_true(loop_run_once(f->ticking.loop));
    assert_non_null(f->waiting);
}

static void respond_to_waiting(struct fixture *f) {
    struct http_response response = {0};
    http_response_problem(&response, 503, "later");
    http_respond(f->waiting, &response);
    assert_null(response.body.data); /* it was taken */
    f->waiting = NULL;
}

/* --- one request, one response ---------------------------------------------------------------- */

#define CHUNK_OF_101 "65\r\n%0101d\r\n0\r\n\r\n"

static const struct {
    const char *request, *begin, *contains;
    bool closes;
} cases[] = {
    {"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", "\"detail\":\"GET\"", false},
    {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 404 ", "POST", false},
    {"POST /refused HTTP/1.1\r\nHost: x\r\nX-Api-Key: mine\r\nContent-Length: 2\r\n\r\nhi",
     "HTTP/1.1 403 ", "\"detail\":\"mine\"", false},
    {"GET /refused HTTP/1.1\r\nHost: x\r\nx-api-key: a\r\nx-api-key: b\r\n\r\n", "HTTP/1.1 403 ",
     "no key", false},
    {"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "HTTP/1.1 400 ", "one Host", true},
    {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
     "HTTP/1.1 400 ", "together", true},
    {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n", "HTTP/1.1 413 ",
     "MAX_BODY_BYTES", true},
    {"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" CHUNK_OF_101,
     "HTTP/1.1 413 ", "MAX_BODY_BYTES", true},
};

static void test_responses(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f, 8);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[1024], got[2048];
        snprintf(request, sizeof request, cases[i].request, 0);
        int fd = dial(f.bound);
        send_text(fd, request);
        receive(f.ticking.loop, fd, cases[i].closes ? NULL : "}\n", got, sizeof got);
        if (strncmp(got, cases[i].begin, strlen(cases[i].begin)) != 0 ||
            strstr(got, cases[i].contains) == NULL)
            fail_msg("case %zu: responded \"%s\"", i, got);
        close(fd);
    }
    assert_int_equal(f.responded[404], 2);
    assert_int_equal(f.responded[403], 2);
    assert_int_equal(f.responded[400], 2);
    assert_int_equal(f.responded[413], 2);
    close_fixture(&f);
}

static void test_body_in_pieces(void **state) {
    (void)state;
    struct fixture f;
    char got[2048];
    open_fixture(&f, 8);
    int fd = dial(f.bound);
    send_text(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
    for (int i = 0; i < 3; i++)
        assert_true(loop_run_once(f.ticking.loop));
    assert_int_equal(http_server_requests(f.server), 1);
    send_text(fd, "llo");
    receive(f.ticking.loop, fd, "}\n", got, sizeof got);
    assert_string_equal(f.body, "hello");
    close(fd);
    close_fixture(&f);
}

/* --- responses that are put off, deadlines, the end ------------------------------------------- */

static void test_response_later(void **state) {
    (void)state;
    struct fixture f;
    char got[2048];
    open_fixture(&f, 8);
    int fd = dial(f.bound);
    for (int i = 0; i < 2; i++) { /* on one connection */
        send_text(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
        run_until_waiting(&f);
        respond_to_waiting(&f);
        receive(f.ticking.loop, fd, "\"later\"}\n", got, sizeof got);
        assert_int_equal(strncmp(got, "HTTP/1.1 503 ", 13), 0);
    }
    close(fd);
    close_fixture(&f);
}

static void test_response_to_a_client_that_has_left(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f, 8);
    int fd = dial(f.bound);
    send_text(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    run_until_waiting(&f);
    close(fd);
    for (int i = 0; i < 3; i++)
        assert_true(loop_run_once(f.ticking.loop));
    respond_to_waiting(&f);
    int64_t deadline = loop_wall() + PATIENCE_MS;
    while (http_server_connections(f.server) > 0 && loop_wall() < deadline)
        assert_true(loop_run_once(f.ticking.loop));
    assert_int_equal(http_server_connections(f.server), 0);
    assert_int_equal(http_server_requests(f.server), 0);
    close_fixture(&f);
}

/* A byte now and then does not extend the deadline. */
static void test_trickle_is_timed_out(void **state) {
    (void)state;
    struct fixture f;
    char got[2048] = "";
    size_t len = 0;
    open_fixture(&f, 8);
    int fd = dial(f.bound);
    send_text(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n");
    int64_t deadline = loop_wall() + PATIENCE_MS;
    for (ssize_t n = -1; n != 0 && loop_wall() < deadline;) {
        send(fd, "x", f.responded[408] == 0 ? 1 : 0, MSG_NOSIGNAL);
        for (int i = 0; i < 5; i++) /* 99 bytes are more than the deadline has ticks */
            assert_true(loop_run_once(f.ticking.loop));
        n = recv(fd, got + len, sizeof got - 1 - len, 0);
        len += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(strncmp(got, "HTTP/1.1 408 ", 13), 0);
    assert_int_equal(f.responded[408], 1);
    close(fd);
    close_fixture(&f);
}

static void test_quiesced_server_ends_connections(void **state) {
    (void)state;
    struct fixture f;
    char got[2048];
    open_fixture(&f, 8);
    int idle = dial(f.bound), busy = dial(f.bound);
    send_text(busy, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    run_until_waiting(&f);
    http_server_quiesce(f.server);
    receive(f.ticking.loop, idle, NULL, got, sizeof got);
    assert_string_equal(got, "");
    respond_to_waiting(&f);
    receive(f.ticking.loop, busy, NULL, got, sizeof got);
    assert_non_null(strstr(got, "Connection: close\r\n"));
    assert_int_equal(http_server_connections(f.server), 0);
    close(idle);
    close(busy);
    close_fixture(&f);
}

static void test_closed_with_a_response_just_given(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f, 8);
    int fd = dial(f.bound);
    send_text(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    run_until_waiting(&f);
    respond_to_waiting(&f);
    struct loop *loop = f.ticking.loop;
    http_server_close(f.server);
    char got[2048] = "";
    assert_true(recv(fd, got, sizeof got - 1, 0) > 0);
    assert_int_equal(strncmp(got, "HTTP/1.1 503 ", 13), 0);
    close(fd);
    loop_close(loop);
}

static void test_accepts_again_after_the_limit(void **state) {
    (void)state;
    struct fixture f;
    char got[2048];
    int fds[2];
    open_fixture(&f, 2);
    for (size_t i = 0; i < 2; i++) {
        fds[i] = dial(f.bound);
        send_text(fds[i], "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
        receive(f.ticking.loop, fds[i], "}\n", got, sizeof got);
    }
    for (int i = 0; i < 3; i++)
        assert_true(loop_run_once(f.ticking.loop));
    for (size_t i = 0; i < 2; i++)
        close(fds[i]);
    int fd = dial(f.bound);
    send_text(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    receive(f.ticking.loop, fd, "}\n", got, sizeof got);
    close(fd);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_body_in_pieces),
        cmocka_unit_test(test_response_later),
        cmocka_unit_test(test_response_to_a_client_that_has_left),
        cmocka_unit_test(test_trickle_is_timed_out),
        cmocka_unit_test(test_quiesced_server_ends_connections),
        cmocka_unit_test(test_closed_with_a_response_just_given),
        cmocka_unit_test(test_accepts_again_after_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
