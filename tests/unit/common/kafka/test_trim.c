/* Before which offset records may be deleted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/kafka/trim.h"

enum {
    KEEP_MS = 1000
};

struct trim_case {
    const char *what;
    int64_t low, committed, since, end, keep_ms, before;
};

static const struct trim_case cases[] = {
    {"old and done with", 0, 100, 60, 200, KEEP_MS, 60},
    {"old and not done with", 0, 40, 60, 200, KEEP_MS, 40},
    {"all are old: what is done with", 0, 40, 200, 200, KEEP_MS, 40},
    {"all are done with: what is old", 0, 200, 150, 200, KEEP_MS, 150},
    {"nothing is old", 30, 100, 30, 200, KEEP_MS, -1},
    {"nothing was committed", 0, -1, 60, 200, KEEP_MS, -1},
    {"nothing is there", 200, 200, 200, 200, KEEP_MS, -1},
    {"all that is old is gone already", 60, 100, 60, 200, KEEP_MS, -1},
    {"the commit is below the beginning", 60, 20, 80, 200, KEEP_MS, -1},
    {"the commit is beyond the end: of another topic", 0, 300, 100, 200, KEEP_MS, -1},
    {"at once: whatever its age", 0, 100, -1, 200, 0, 100},
    {"at once: nothing new", 100, 100, -1, 200, 0, -1},
    {"at once: the commit is beyond the end", 0, 300, -1, 200, 0, -1},
};

static void test_what_is_old_and_done_with_is_deleted(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct trim_case *c = &cases[i];
        struct kafka_trim_mark mark = {.offset = -1};
        const struct kafka_position position = {
            .low = c->low, .committed = c->committed, .since = c->since, .end = c->end};
        int64_t before = kafka_trim_before(&position, KAFKA_TRIM_UNTRACKED, c->keep_ms, 5, &mark);
        if (before != c->before)
            fail_msg("%s: %lld", c->what, (long long)before);
    }
}

/* The member reads a topic that was created again from its start. */
static void test_what_the_member_has_not_finished_is_kept(void **state) {
    (void)state;
    struct kafka_trim_mark mark = {.offset = -1};
    const struct kafka_position position = {.low = 0, .committed = 100, .since = 80, .end = 200};
    assert_int_equal(kafka_trim_before(&position, 30, KEEP_MS, 5, &mark), 30);
    assert_int_equal(mark.offset, 30);
    assert_int_equal(kafka_trim_before(&position, 30, 0, 5, &mark), 30);
    assert_int_equal(kafka_trim_before(&position, -1, 0, 5, &mark), -1);
    assert_int_equal(kafka_trim_before(&position, 150, 0, 5, &mark), 100);
}

static void test_an_answer_with_an_error_deletes_nothing(void **state) {
    (void)state;
    struct kafka_trim_mark mark = {.offset = -1};
    const struct kafka_position position = {
        .committed = 100, .since = 100, .end = 100, .error = "no leader"};
    assert_int_equal(kafka_trim_before(&position, KAFKA_TRIM_UNTRACKED, KEEP_MS, 5, &mark), -1);
    assert_int_equal(kafka_trim_before(&position, KAFKA_TRIM_UNTRACKED, 0, 5, &mark), -1);
    assert_int_equal(mark.offset, -1);
}

/* The first record says that it is of the future: by timestamps nothing behind it is ever old. */
static void test_a_timestamp_of_the_future_holds_nothing_back_for_ever(void **state) {
    (void)state;
    struct kafka_trim_mark mark = {.offset = -1};
    struct kafka_position position = {.low = 0, .committed = 10, .since = 0, .end = 50};
    assert_int_equal(kafka_trim_before(&position, KAFKA_TRIM_UNTRACKED, KEEP_MS, 100, &mark), -1);
    position.committed = 30;
    assert_int_equal(
        kafka_trim_before(&position, KAFKA_TRIM_UNTRACKED, KEEP_MS, 100 + KEEP_MS - 1, &mark), -1);
    assert_int_equal(
        kafka_trim_before(&position, KAFKA_TRIM_UNTRACKED, KEEP_MS, 100 + KEEP_MS, &mark), 10);
    position.low = 10;
    assert_int_equal(
        kafka_trim_before(&position, KAFKA_TRIM_UNTRACKED, KEEP_MS, 100 + KEEP_MS + 1, &mark), -1);
    assert_int_equal(
        kafka_trim_before(&position, KAFKA_TRIM_UNTRACKED, KEEP_MS, 100 + 2 * KEEP_MS, &mark), 30);
}

/* A mark must not reach over what is committed after the group's offsets were set back. */
static void test_offsets_that_were_set_back_are_heeded(void **state) {
    (void)state;
    struct kafka_trim_mark mark = {.offset = -1};
    struct kafka_position position = {.low = 0, .committed = 40, .since = 0, .end = 50};
    assert_int_equal(kafka_trim_before(&position, KAFKA_TRIM_UNTRACKED, KEEP_MS, 0, &mark), -1);
    position.committed = 20;
    assert_int_equal(kafka_trim_before(&position, KAFKA_TRIM_UNTRACKED, KEEP_MS, KEEP_MS, &mark),
                     20);
}

static void test_how_often_the_broker_is_asked(void **state) {
    (void)state;
    assert_int_equal(kafka_trim_every_ms(0), 1000);
    assert_int_equal(kafka_trim_every_ms(30000), 3000);
    assert_int_equal(kafka_trim_every_ms(604800000), 60000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_old_and_done_with_is_deleted),
        cmocka_unit_test(test_what_the_member_has_not_finished_is_kept),
        cmocka_unit_test(test_an_answer_with_an_error_deletes_nothing),
        cmocka_unit_test(test_a_timestamp_of_the_future_holds_nothing_back_for_ever),
        cmocka_unit_test(test_offsets_that_were_set_back_are_heeded),
        cmocka_unit_test(test_how_often_the_broker_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
