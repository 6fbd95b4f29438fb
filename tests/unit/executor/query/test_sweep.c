/* How many ran when the last was submitted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "executor/query/sweep.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
    const char *what;
    struct sweep_seen seen[5];
    size_t count;
    int dml, ddl;
} peaks[] = {
    {"none", {{LANE_DML, 0, 0}}, 0, 0, 0},
    {"one that runs", {{LANE_DML, 10, 0}}, 1, 1, 0},
    {"one that has ended", {{LANE_DML, 10, 12}}, 1, 1, 0},
    {"all run", {{LANE_DML, 10, 0}, {LANE_DML, 11, 0}, {LANE_DML, 12, 0}}, 3, 3, 0},
    {"one ended before the last came",
     {{LANE_DML, 10, 11.5}, {LANE_DML, 11, 0}, {LANE_DML, 12, 0}},
     3,
     2,
     0},
    {"one ended after the last came",
     {{LANE_DML, 10, 12.5}, {LANE_DML, 11, 0}, {LANE_DML, 12, 0}},
     3,
     3,
     0},
    {"one ended as the last came: its slot", {{LANE_DML, 10, 12}, {LANE_DML, 12, 0}}, 2, 1, 0},
    {"in any order", {{LANE_DML, 12, 0}, {LANE_DML, 10, 11.5}, {LANE_DML, 11, 12.5}}, 3, 2, 0},
    {"the last has ended too", {{LANE_DML, 10, 11}, {LANE_DML, 12, 13}}, 2, 1, 0},
    {"lanes apart",
     {{LANE_DML, 10, 11.5}, {LANE_DDL, 12, 0}, {LANE_DML, 11, 0}, {LANE_DDL, 9, 11}},
     4,
     2,
     1},
    {"the other lane only", {{LANE_DDL, 10, 0}, {LANE_DDL, 11, 0}}, 2, 0, 2},
    {"milliseconds of today",
     {{LANE_DML, 1767225600.123, 1767225601.456}, {LANE_DML, 1767225601.457, 0}},
     2,
     1,
     0},
    {"no times at all", {{LANE_DML, 0, 0}, {LANE_DML, 0, 0}}, 2, 2, 0},
};

static void test_peaks(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(peaks); i++) {
        int dml = sweep_peak(peaks[i].seen, peaks[i].count, LANE_DML);
        int ddl = sweep_peak(peaks[i].seen, peaks[i].count, LANE_DDL);
        if (dml != peaks[i].dml || ddl != peaks[i].ddl)
            fail_msg("%s: %d and %d", peaks[i].what, dml, ddl);
    }
    assert_int_equal(sweep_peak(NULL, 0, LANE_DML), 0);
}

/* The last that ended are remembered, as many as the ring holds. */
static void test_those_that_have_ended(void **state) {
    (void)state;
    struct sweep s = {0};
    assert_int_equal(sweep_ended_active_at(&s, LANE_DML, 10), 0);
    for (int i = 0; i < SWEEP_ENDED + 10; i++)
        sweep_add_ended(&s, (struct sweep_seen){i % 2 ? LANE_DDL : LANE_DML, i, i + 20});
    assert_int_equal(sweep_ended_active_at(&s, LANE_DML, 100), 10);
    assert_int_equal(sweep_ended_active_at(&s, LANE_DDL, 100), 10);
    assert_int_equal(sweep_ended_active_at(&s, LANE_DML, 5), 0); /* pushed out by later ones */
}

static void test_a_sweep_begins_with_nothing(void **state) {
    (void)state;
    struct sweep s = {0};
    for (int round = 0; round < 2; round++) {
        sweep_begin(&s);
        assert_int_equal(sweep_peak(s.seen, s.count, LANE_DML), 0);
        for (int i = 0; i < 200; i++)
            sweep_add(&s, (struct sweep_seen){.lane = LANE_DML, .submitted = i});
        assert_int_equal(sweep_peak(s.seen, s.count, LANE_DML), 200);
    }
    sweep_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peaks),
        cmocka_unit_test(test_those_that_have_ended),
        cmocka_unit_test(test_a_sweep_begins_with_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
