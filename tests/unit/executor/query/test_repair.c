/* States that a late record has covered are published again, once, after a while. */
#include "tests/unit/executor/parts.h"

#include "executor/query/repair.h"

enum {
    AFTER_MS = 2000,
    REPAIRS_MAX = 10000
};

static struct repairs repairs;

static int begin(void **state) {
    parts_begin(state);
    repair_init(&repairs, t.loop, t.view, &t.settler);
    return 0;
}

static int end(void **state) {
    repair_close(&repairs);
    assert_int_equal(repairs.count, 0);
    return parts_end(state);
}

static struct status queued(char *query_id) {
    return (struct status){.user_id = "u", .query_id = query_id, .state = STATUS_QUEUED};
}

/* A receiver's QUEUED comes in behind what the pair has become; the view ignores it. */
static void come_late(char *query_id) {
    const struct status late = queued(query_id);
    assert_false(status_view_apply(t.view, &late));
    repair_later(&repairs, &late);
}

static void test_published_again(void **state) {
    (void)state;
    parts_know("u", "q", STATUS_SUCCEEDED, "e", "SELECT 1");
    come_late("q");
    stub_run(t.loop, AFTER_MS - STUB_STEP_MS);
    assert_int_equal(stub_producer.count, 0);
    stub_run(t.loop, STUB_STEP_MS);
    assert_int_equal(stub_producer.count, 1);
    assert_string_equal(stub_producer.sends[0].topic, PARTS_STATUS);
    assert_string_equal(stub_producer.sends[0].key, "u/q");
    assert_non_null(strstr(stub_producer.sends[0].value, "\"state\":\"SUCCEEDED\""));
    assert_false(stub_producer.sends[0].open); /* nobody waits for it */
    stub_run(t.loop, 10 * AFTER_MS);
    assert_int_equal(stub_producer.count, 1);
    assert_int_equal(repairs.count, 0);
}

/* Most late records have what they cover behind them. */
static void test_what_was_covered_has_come(void **state) {
    (void)state;
    parts_know("u", "q", STATUS_STARTED, "e", "SELECT 1");
    come_late("q");
    stub_run(t.loop, AFTER_MS / 2);
    parts_know("u", "q", STATUS_SUCCEEDED, "e", "SELECT 1"); /* the topic's last record now */
    stub_run(t.loop, AFTER_MS);
    assert_int_equal(stub_producer.count, 0);
}

static void test_what_is_forgotten_by_then(void **state) {
    (void)state;
    parts_know("u", "q", STATUS_STARTED, "e", "SELECT 1");
    come_late("q");
    status_view_forget(t.view, "u", "q");
    stub_run(t.loop, AFTER_MS);
    assert_int_equal(stub_producer.count, 0);
    assert_int_equal(repairs.count, 0);
}

/* Once for each state, or two executors that disagree would write for ever. */
static void test_covered_twice(void **state) {
    (void)state;
    parts_know("u", "q", STATUS_STARTED, "e", "SELECT 1");
    come_late("q");
    come_late("q");
    stub_run(t.loop, AFTER_MS);
    come_late("q");
    stub_run(t.loop, AFTER_MS);
    assert_int_equal(stub_producer.count, 1);
}

/* Each after its own time. */
static void test_several(void **state) {
    (void)state;
    char *const query_ids[] = {"a", "b", "c"};
    for (size_t i = 0; i < COUNT(query_ids); i++) {
        parts_know("u", query_ids[i], STATUS_STARTED, "e", "SELECT 1");
        come_late(query_ids[i]);
        stub_run(t.loop, 500);
    }
    for (size_t sent = 1; sent <= COUNT(query_ids); sent++) {
        stub_run(t.loop, 500);
        assert_int_equal(stub_producer.count, sent);
    }
}

/* What the producer does not take is lost: a state to come, or another repair, says it. */
static void test_not_taken(void **state) {
    (void)state;
    parts_know("u", "q", STATUS_STARTED, "e", "SELECT 1");
    come_late("q");
    stub_producer.refuses = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    stub_run(t.loop, AFTER_MS);
    assert_int_equal(stub_producer.count, 0);
    assert_int_equal(repairs.count, 0);
}

static void test_bounded(void **state) {
    (void)state;
    const struct status late = queued("q");
    for (int i = 0; i < REPAIRS_MAX + 10; i++)
        repair_later(&repairs, &late);
    assert_int_equal(repairs.count, REPAIRS_MAX);
    stub_run(t.loop, AFTER_MS);
    assert_int_equal(repairs.count, 0);
    repair_later(&repairs, &late); /* there is room again; the close frees it */
    assert_int_equal(repairs.count, 1);
}

static void test_close_of_what_was_not_opened(void **state) {
    (void)state;
    struct repairs zeroed;
    memset(&zeroed, 0, sizeof zeroed);
    repair_close(&zeroed);
}

#define WITH_REPAIRS(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_REPAIRS(test_published_again),
        WITH_REPAIRS(test_what_was_covered_has_come),
        WITH_REPAIRS(test_what_is_forgotten_by_then),
        WITH_REPAIRS(test_covered_twice),
        WITH_REPAIRS(test_several),
        WITH_REPAIRS(test_not_taken),
        WITH_REPAIRS(test_bounded),
        cmocka_unit_test(test_close_of_what_was_not_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
