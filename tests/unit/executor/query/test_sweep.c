/* Sweeps that overlap, and how many queries were active at a moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "executor/query/sweep.h"

static void test_one_sweep(void **state) {
    (void)state;
    struct sweeps s = {.last = 0};
    assert_null(sweeps_asking(&s));
    struct sweep *one = sweeps_begin(&s, 500, 7);
    assert_int_equal(one->number, 1);
    assert_int_equal(one->began_ms, 500);
    assert_int_equal(one->dropped, 7);
    assert_ptr_equal(sweeps_asking(&s), one);
    one->calls = 2;
    assert_false(sweep_is_over(one));
    one->asked_all = true;
    assert_null(sweeps_asking(&s));
    assert_false(sweep_is_over(one));
    one->calls = 0;
    assert_true(sweep_is_over(one));
}

/* They end in any order; their places are used again. */
static void test_sweeps_overlap(void **state) {
    (void)state;
    struct sweeps s = {.last = 0};
    struct sweep *each[SWEEPS_MAX];
    for (size_t i = 0; i < SWEEPS_MAX; i++) {
        each[i] = sweeps_begin(&s, 0, 0);
        assert_int_equal(each[i]->number, i + 1);
        assert_ptr_equal(sweeps_asking(&s), each[i]);
        each[i]->asked_all = true;
    }
    assert_null(sweeps_begin(&s, 0, 0));
    each[3]->number = 0;
    struct sweep *next = sweeps_begin(&s, 0, 0);
    assert_ptr_equal(next, each[3]);
    assert_int_equal(next->number, SWEEPS_MAX + 1);
    assert_ptr_equal(sweeps_asking(&s), next);
}

static void test_last_submission(void **state) {
    (void)state;
    struct sweeps s = {.last = 0};
    assert_true(sweeps_ended_submitted(&s, LANE_DML, INT64_MAX) <= 0);
    sweeps_add_ended(&s, (struct sweep_ended){LANE_DML, 1, 100, 200, 0});
    sweeps_add_ended(&s, (struct sweep_ended){LANE_DML, 1, 99, 200, 0});
    sweeps_add_ended(&s, (struct sweep_ended){LANE_DDL, 1, 150, 200, 0});
    sweeps_add_ended(&s, (struct sweep_ended){LANE_DML, 2, 110, 200, 7});
    assert_int_equal(sweeps_ended_submitted(&s, LANE_DML, INT64_MAX), 110);
    assert_int_equal(sweeps_ended_submitted(&s, LANE_DML, 8), 110);
    assert_int_equal(sweeps_ended_submitted(&s, LANE_DML, 7), 100);
    assert_int_equal(sweeps_ended_submitted(&s, LANE_DML, 0), 0);
}

/* The most that were active when a query of a generation of permits was submitted. */
static void test_most_active(void **state) {
    (void)state;
    struct sweeps s = {.last = 0};
    static struct sweep_change changes[2 * SWEEP_ENDED];
    static const struct sweep_ended ended[] = {
        {LANE_DML, 1, 10, 20, 0},
        {LANE_DML, 1, 11, 21, 0},
        {LANE_DML, 1, 12, 22, 0}, /* three at 12 */
        {LANE_DML, 2, 20, 30, 0},
        {LANE_DML, 2, 22, 30, 0}, /* each takes the slot of one that ends */
        {LANE_DML, 3, 23, 40, 0},
        {LANE_DML, 3, 24, 40, 0}, /* four at 24 */
        {LANE_DML, 4, 35, 40, 0}, /* two have ended */
        {LANE_DDL, 1, 12, 200, 0},
        {LANE_DML, 5, 0, 0, 0}, /* no time stamps */
    };
    static const struct {
        uint32_t generation;
        int most;
    } rows[] = {{0, 0}, {1, 3}, {2, 3}, {3, 4}, {4, 3}, {5, 0}};
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        sweeps_add_ended(&s, ended[i]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t count = sweeps_ended_changes(&s, LANE_DML, rows[i].generation, changes);
        assert_int_equal(count, 16);
        assert_int_equal(sweep_most_active(changes, count), rows[i].most);
    }
}

static const struct {
    const char *what;
    double submitted, completed, at;
    int active;
} cases[] = {
    {"it ran", 10, 20, 15, 1},
    {"it was not submitted yet", 10, 20, 9.999, 0},
    {"it was submitted then", 10, 20, 10, 1},
    {"it had ended", 10, 20, 20.001, 0},
    {"it ended then: its slot was free", 10, 20, 20, 0},
    {"nobody asks", 10, 20, 0, 0},
};

static void test_active_at(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sweeps s = {.last = 0};
        sweeps_add_ended(
            &s, (struct sweep_ended){LANE_DML, 0, cases[i].submitted, cases[i].completed, 0});
        if (sweeps_ended_active_at(&s, LANE_DML, cases[i].at) != cases[i].active)
            fail_msg("%s", cases[i].what);
        assert_int_equal(sweeps_ended_active_at(&s, LANE_DDL, cases[i].at), 0);
    }
}

/* The last that ended are remembered, as many as the ring holds. */
static void test_those_that_have_ended(void **state) {
    (void)state;
    struct sweeps s = {.last = 0};
    assert_int_equal(sweeps_ended_active_at(&s, LANE_DML, 10), 0);
    for (int i = 0; i < SWEEP_ENDED + 10; i++)
        sweeps_add_ended(&s, (struct sweep_ended){i % 2 ? LANE_DDL : LANE_DML, 0, i, i + 20, 0});
    assert_int_equal(sweeps_ended_active_at(&s, LANE_DML, 100), 10);
    assert_int_equal(sweeps_ended_active_at(&s, LANE_DDL, 100), 10);
    assert_int_equal(sweeps_ended_active_at(&s, LANE_DML, 5), 0); /* pushed out by later ones */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_sweep),       cmocka_unit_test(test_sweeps_overlap),
        cmocka_unit_test(test_last_submission), cmocka_unit_test(test_most_active),
        cmocka_unit_test(test_active_at),       cmocka_unit_test(test_those_that_have_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
