#include "receiver/api/look_up.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    RESPONSES_MAX = 8,
    LONG_MS = 3600000
};

/* In place of the server: what was responded, in its order. */
static struct {
    const struct server_request *request;
    int status;
    int64_t retry_after_s;
} responses[RESPONSES_MAX];
static size_t response_count;

void http_respond(struct server_request *r, struct http_response *response) {
    assert_true(response_count < RESPONSES_MAX);
    responses[response_count].request = r;
    responses[response_count].status = response->status;
    responses[response_count++].retry_after_s = response->retry_after_s;
    http_response_free(response);
}

struct fixture {
    struct loop *loop;
    struct status_view *view;
    struct look_ups *all;
    struct server_request requests[3];
    struct route routes[3];
    struct look_up_wait waits[3];
};

static void open_fixture(struct fixture *f, int64_t timeout_ms) {
    *f = (struct fixture){0};
    response_count = 0;
    f->loop = loop_open();
    f->view = status_view_open(10);
    f->all = look_ups_open(f->loop, f->view, timeout_ms);
    struct status s = {.user_id = (char *)(uintptr_t) "",
                       .query_id = (char *)(uintptr_t) "q1",
                       .state = STATUS_QUEUED,
                       .updated_at_ms = 1};
    assert_true(status_view_apply(f->view, &s));
    for (size_t i = 0; i < 3; i++)
        snprintf(f->routes[i].query_id, sizeof f->routes[i].query_id, "q%zu", i);
}

static void close_fixture(struct fixture *f) {
    look_ups_close(f->all);
    status_view_close(f->view);
    loop_close(f->loop);
}

static bool serve(struct fixture *f, size_t i, struct http_response *response) {
    return look_up_serve(f->all, &f->requests[i], &f->routes[i], &f->waits[i], response);
}

static void test_at_once(void **state) {
    (void)state;
    static const int statuses[] = {404, 200, 404};
    struct fixture f;
    open_fixture(&f, LONG_MS);
    look_ups_begin(f.all);
    for (size_t i = 0; i < 3; i++) {
        struct http_response response = {0};
        assert_true(serve(&f, i, &response));
        assert_int_equal(response.status, statuses[i]);
        http_response_free(&response);
    }
    assert_int_equal(response_count, 0);
    close_fixture(&f);
}

static void test_waits_for_the_view(void **state) {
    (void)state;
    struct fixture f;
    struct http_response none = {0};
    open_fixture(&f, LONG_MS);
    for (size_t i = 0; i < 3; i++)
        assert_false(serve(&f, i, &none));
    assert_int_equal(response_count, 0);
    look_ups_begin(f.all);
    assert_int_equal(response_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(responses[i].request, &f.requests[i]);
        assert_int_equal(responses[i].status, i == 1 ? 200 : 404);
    }
    look_ups_give_up(f.all); /* nothing waits any more */
    assert_int_equal(response_count, 3);
    close_fixture(&f);
}

static void test_waits_no_longer_than_its_timeout(void **state) {
    (void)state;
    struct fixture f;
    struct http_response none = {0};
    open_fixture(&f, 1);
    assert_false(serve(&f, 1, &none));
    while (response_count == 0)
        assert_true(loop_run_once(f.loop));
    assert_int_equal(responses[0].status, 503);
    assert_int_equal(responses[0].retry_after_s, 1);
    look_ups_begin(f.all);
    assert_int_equal(response_count, 1);
    close_fixture(&f);
}

static void test_give_up(void **state) {
    (void)state;
    struct fixture f;
    struct http_response none = {0};
    open_fixture(&f, LONG_MS);
    for (size_t i = 0; i < 2; i++)
        assert_false(serve(&f, i, &none));
    look_ups_give_up(f.all);
    assert_int_equal(response_count, 2);
    assert_int_equal(responses[0].status, 503);
    assert_int_equal(responses[1].status, 503);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_waits_for_the_view),
        cmocka_unit_test(test_waits_no_longer_than_its_timeout),
        cmocka_unit_test(test_give_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
