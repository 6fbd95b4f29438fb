#include "receiver/queue/queued.h"

#include "tests/unit/receiver/queue/stub_producer.h"

struct fixture {
    struct status_view *view;
    struct queued *queued;
};

static void open_fixture(struct fixture *f) {
    memset(&stub, 0, sizeof stub);
    f->view = status_view_open(10);
    f->queued = queued_open(NULL, "states", f->view);
}

static void close_fixture(struct fixture *f) {
    queued_close(f->queued);
    status_view_close(f->view);
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
    assert_int_equal(stub.count, 3);
    assert_int_equal(queued_written(f.queued), 3);
    assert_int_equal(state_of(&f, "c"), STATUS_QUEUED);
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
    assert_int_equal(queued_written(f.queued), 0);
    assert_int_equal(state_of(&f, "a"), STATUS_QUEUED); /* this receiver knows it all the same */
    close_fixture(&f);
}

static void test_closed_with_some_waiting(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    announce(&f, "a");
    announce(&f, "b");
    close_fixture(&f);
    assert_int_equal(stub.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_for_the_view),
        cmocka_unit_test(test_only_where_nothing_is_known),
        cmocka_unit_test(test_refused_by_the_producer),
        cmocka_unit_test(test_closed_with_some_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
