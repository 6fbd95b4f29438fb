/* How often running queries are looked at, and how many ran when the last was submitted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <math.h>

#include "executor/query/tracker.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
    double median_s;
    int64_t want_ms;
} intervals[] = {
    {0, 100}, /* not known yet */
    {-1, 100}, {0.001, 50},  {0.5, 50},  {1, 50},    {1.5, 75},    {2, 100},
    {10, 500}, {19.98, 999}, {20, 1000}, {21, 1000}, {1800, 1000}, {1e300, 1000},
};

static void test_intervals(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(intervals); i++) {
        int64_t got_ms = tracker_interval_ms(intervals[i].median_s);
        if (got_ms != intervals[i].want_ms)
            fail_msg("%g s: %d ms", intervals[i].median_s, (int)got_ms);
    }
    assert_int_equal(tracker_interval_ms(INFINITY), 1000);
}

static const struct {
    const char *what;
    struct tracker_seen seen[5];
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
        int dml = tracker_peak(peaks[i].seen, peaks[i].count, LANE_DML);
        int ddl = tracker_peak(peaks[i].seen, peaks[i].count, LANE_DDL);
        if (dml != peaks[i].dml || ddl != peaks[i].ddl)
            fail_msg("%s: %d and %d", peaks[i].what, dml, ddl);
    }
    assert_int_equal(tracker_peak(NULL, 0, LANE_DML), 0);
}

/* Never beyond rand x min(2^i, 20 s), always some way towards it, and from the failure on. */
static void test_back_off(void **state) {
    (void)state;
    for (int credentials = 0; credentials <= 1; credentials++) {
        int64_t longest_ms[12] = {0};
        for (int round = 0; round < 200; round++) {
            struct tracker t = {.spacing_ms = 100, .rests_since_ms = 1};
            for (int i = 0; i < 12; i++) {
                tracker_back_off(&t, 1000 + i, credentials);
                assert_int_equal(t.rests_since_ms, 1000 + i);
                assert_true(t.spacing_ms >= 100);
                if (t.spacing_ms > longest_ms[i])
                    longest_ms[i] = t.spacing_ms;
            }
        }
        for (int i = 0; i < 12; i++) {
            int64_t most_ms = i < 5 ? 1000 << i : 20000;
            if (credentials && most_ms > 5000)
                most_ms = 5000;
            /* 200 times below 9/10 of it: 7 in 10^10. */
            assert_in_range(longest_ms[i], most_ms * 9 / 10, most_ms);
        }
    }
    struct tracker t = {.failures = INT_MAX};
    tracker_back_off(&t, 0, false);
    assert_in_range(t.spacing_ms, 100, 20000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_peaks),
        cmocka_unit_test(test_back_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
