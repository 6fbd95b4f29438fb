#include "receiver/queue/queued.h"

#include "tests/unit/receiver/queue/stub_producer.h"

struct fixture {
    struct loop *loop;
    struct status_view *view;
    struct queued *queued;
};

static void open_fixture(struct fixture *f) {
    memset(&stub, 0, sizeof stub);
    f->loop = loop_open();
    assert_non_null(f->loop);
    f->view = status_view_open(10);
    f->queued = queued_open(f->loop, NULL, "states", f->view);
}

static void close_fixture(struct fixture *f) {
    queued_close(f->queued);
    status_view_close(f->view);
    loop_close(f->loop);
}

static bool holds_nothing(void *arg) {
    return !queued_holds(arg);
}

/* Until what is held was sent. */
static void send_held(struct fixture *f) {
    assert_true(queued_holds(f->queued));
    assert_true(loop_run_until(f->loop, holds_nothing, f->queued, 10000));
}

static void announce(struct fixture *f, const char *query_id) {
    struct intake in = {.user_id = "u"};
    snprintf(in.query_id, sizeof in.query_id, "%s", query_id);
    queued_announce(f->queued, &in, 1000);
}

static enum status_state state_of(const struct fixture *f, const char *query_id) {
    struct status s;
    assert_true(status_view_find(f->view, "u", query_id, &s));
    return s.state;
}

static void test_waits_for_the_view(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    announce(&f, "a");
    announce(&f, "b");
    assert_int_equal(stub.count, 0);
    queued_begin(f.queued);
    assert_int_equal(stub.count, 2);
    assert_string_equal(stub.records[0].topic, "states");
    assert_non_null(strstr(stub.records[0].value, "\"queryId\":\"a\""));
    assert_non_null(strstr(stub.records[1].value, "\"queryId\":\"b\""));
    announce(&f, "c");
    assert_int_equal(state_of(&f, "c"), STATUS_QUEUED); /* at once */
    send_held(&f);
    assert_int_equal(stub.count, 3);
    assert_int_equal(queued_written(f.queued), 3);
    close_fixture(&f);
}

static void test_sent_together(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    queued_begin(f.queued);
    announce(&f, "a");
    announce(&f, "b");
    announce(&f, "c");
    assert_int_equal(stub.count, 0);
    send_held(&f);
    assert_int_equal(stub.count, 3);
    assert_non_null(strstr(stub.records[2].value, "\"queryId\":\"c\""));
    close_fixture(&f);
}

/* Its state may be in the topic before this QUEUED, which must not be the last record then. */
static void test_an_executor_was_faster(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct status started = {.user_id = (char *)(uintptr_t) "u",
                             .query_id = (char *)(uintptr_t) "a",
                             .query_execution_id = (char *)(uintptr_t) "id",
                             .state = STATUS_STARTED,
                             .updated_at_ms = 1001};
    queued_begin(f.queued);
    announce(&f, "a");
    announce(&f, "b");
    assert_true(status_view_apply(f.view, &started));
    send_held(&f);
    assert_int_equal(stub.count, 1);
    assert_non_null(strstr(stub.records[0].value, "\"queryId\":\"b\""));
    assert_int_equal(state_of(&f, "a"), STATUS_STARTED);
    close_fixture(&f);
}

static void test_only_where_nothing_is_known(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct status started = {.user_id = (char *)(uintptr_t) "u",
                             .query_id = (char *)(uintptr_t) "a",
                             .state = STATUS_STARTED,
                             .updated_at_ms = 1};
    announce(&f, "a");
    assert_true(status_view_apply(f.view, &started));
    queued_begin(f.queued);
    announce(&f, "b");
    announce(&f, "b");
    send_held(&f);
    assert_int_equal(stub.count, 1);
    assert_int_equal(state_of(&f, "a"), STATUS_STARTED);
    close_fixture(&f);
}

static void test_refused_by_the_producer(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    queued_begin(f.queued);
    stub.refuse = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    announce(&f, "a");
    send_held(&f);
    assert_int_equal(queued_written(f.queued), 0);
    assert_int_equal(state_of(&f, "a"), STATUS_QUEUED); /* this receiver knows it all the same */
    close_fixture(&f);
}

/* What it wrote is recognised once, whatever has been written since; nothing else is. */
static void test_own_records(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    queued_begin(f.queued);
    announce(&f, "a");
    announce(&f, "b");
    send_held(&f);
    const char *a = stub.records[0].value, *b = stub.records[1].value;
    assert_false(queued_is_own(f.queued, "", 0));
    assert_false(queued_is_own(f.queued, a, strlen(a) - 1));
    assert_true(queued_is_own(f.queued, b, strlen(b)));
    assert_true(queued_is_own(f.queued, a, strlen(a)));
    assert_false(queued_is_own(f.queued, a, strlen(a)));
    stub.refuse = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    announce(&f, "c");
    send_held(&f);
    assert_false(queued_is_own(f.queued, b, strlen(b)));
    close_fixture(&f);
}

static void test_closed_with_some_waiting(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    announce(&f, "a");
    announce(&f, "b");
    close_fixture(&f);
    open_fixture(&f);
    queued_begin(f.queued);
    announce(&f, "a");
    close_fixture(&f);
    assert_int_equal(stub.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_for_the_view),
        cmocka_unit_test(test_sent_together),
        cmocka_unit_test(test_an_executor_was_faster),
        cmocka_unit_test(test_only_where_nothing_is_known),
        cmocka_unit_test(test_refused_by_the_producer),
        cmocka_unit_test(test_own_records),
        cmocka_unit_test(test_closed_with_some_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
