#include "common/base/http/server.h"

#include "common/base/http/listen.h"
#include "tests/unit/common/base/http/loop_client.h"

/* --- a server whose handler does what the target says ----------------------------------------- */

enum {
    BODY_MAX = 100,
    REQUEST_TIMEOUT_MS = 300,
    IDLE_TIMEOUT_MS = 60000
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
        .request_timeout_ms = REQUEST_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS};
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
    ticking_loop_close(&f->ticking);
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
    http_server_close(f.server);
    char got[2048] = "";
    assert_true(recv(fd, got, sizeof got - 1, 0) > 0);
    assert_int_equal(strncmp(got, "HTTP/1.1 503 ", 13), 0);
    close(fd);
    ticking_loop_close(&f.ticking);
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

/* --- heads ------------------------------------------------------------------------------------ */

/* A request whose head has `bytes` bytes, in headers whose values have `value` bytes each. */
static char *make_head(size_t bytes, size_t value) {
    static const char begin[] = "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n",
                      name[] = "x-filler-: ";
    size_t line = strlen(name) + value + 2, end = bytes - 2;
    char *head = malloc(bytes + 1);
    assert_non_null(head);
    size_t len = strlen(strcpy(head, begin));
    while (len < end) {
        /* The last one takes what is left, where another one would not fit behind it. */
        size_t size = end - len < 2 * line ? end - len : line;
        assert_true(size > strlen(name) + 2);
        memcpy(head + len, name, strlen(name));
        memset(head + len + strlen(name), 'v', size - strlen(name) - 2);
        memcpy(head + len + size - 2, "\r\n", 2);
        len += size;
    }
    memcpy(head + len, "\r\n", 3);
    return head;
}

static int status_for(const char *head) {
    struct http_head h;
    http_head_begin(&h, header_names, 1, 0);
    h.bytes = strlen(head);
    for (const char *at = strchr(head, '\n'); at != NULL; at = strchr(at + 1, '\n'))
        h.lines++;
    h.lines -= 2; /* the request line and the empty one */
    return http_head_fits(&h) ? 404 : 431;
}

/* A head that fits is taken, another one is refused, and nowhere is there no response. */
static void test_every_head_is_responded_to(void **state) {
    (void)state;
    static const size_t values[] = {1, 30, 100, 1000, 20000};
    enum {
        FROM = 7000,
        TO = 20000,
        STEP = 61
    };
    struct fixture f;
    char got[2048];
    open_fixture(&f, 8);
    for (size_t v = 0; v < sizeof values / sizeof *values; v++)
        for (size_t bytes = FROM; bytes < TO; bytes += STEP) {
            char *head = make_head(bytes, values[v]);
            int fd = dial(f.bound), status = status_for(head);
            send_text(fd, head);
            receive(f.ticking.loop, fd, NULL, got, sizeof got);
            if (atoi(got + strlen("HTTP/1.1 ")) != status)
                fail_msg("%zu bytes, values of %zu: responded \"%s\"", bytes, values[v], got);
            close(fd);
            free(head);
        }
    close_fixture(&f);
}

/* --- clients that only hold their connections ------------------------------------------------- */

static void test_one_more_takes_the_place_of_the_idlest(void **state) {
    (void)state;
    enum {
        MOST = 4,
        HELD = 40
    };
    struct fixture f;
    int busy, held[HELD];
    char got[2048];
    open_fixture(&f, MOST);
    busy = dial(f.bound);
    send_text(busy, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    run_until_waiting(&f);
    for (size_t i = 0; i < HELD; i++) {
        held[i] = dial(f.bound);
        send_text(held[i], i % 2 == 0 ? "" : "GET /a HT");
        assert_true(loop_run_once(f.ticking.loop));
    }
    int fd = dial(f.bound);
    send_text(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    receive(f.ticking.loop, fd, "}\n", got, sizeof got);
    assert_int_equal(strncmp(got, "HTTP/1.1 404 ", 13), 0);
    assert_in_range(http_server_connections(f.server), 2, MOST + 1);
    respond_to_waiting(&f); /* a request that is whole is not given up */
    receive(f.ticking.loop, busy, "\"later\"}\n", got, sizeof got);
    for (size_t i = 0; i < HELD; i++)
        close(held[i]);
    close(busy);
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
        cmocka_unit_test(test_every_head_is_responded_to),
        cmocka_unit_test(test_one_more_takes_the_place_of_the_idlest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
