/* Every row of the executor's metrics is there, and each outcome counts in its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "executor/metrics.h"

static void test_every_row_has_a_name(void **state) {
    (void)state;
    struct metric rows[EXECUTOR_METRICS];
    executor_metrics_init(rows);
    for (int i = 0; i < EXECUTOR_METRICS; i++)
        if (rows[i].name == NULL || rows[i].help == NULL)
            fail_msg("row %d has no name", i);
}

static void test_each_outcome_has_its_row(void **state) {
    (void)state;
    struct metric rows[EXECUTOR_METRICS];
    executor_metrics_init(rows);
    assert_int_equal(METRIC_ANSWERS_LAST - METRIC_ANSWERS + 1, OUTCOMES);
    for (int outcome = 0; outcome < OUTCOMES; outcome++) {
        char labels[64];
        snprintf(labels, sizeof labels, "outcome=\"%s\"", outcome_name((enum outcome)outcome));
        const struct metric *row = &rows[METRIC_ANSWERS + outcome];
        assert_string_equal(row->name, "athena_query_start_answers_total");
        assert_string_equal(row->labels, labels);
    }
}

static void test_each_lane_has_its_rows(void **state) {
    (void)state;
    struct metric rows[EXECUTOR_METRICS];
    executor_metrics_init(rows);
    const int of_lanes[] = {METRIC_LIMIT, METRIC_SHARE, METRIC_HELD};
    for (int lane = 0; lane < LANES; lane++) {
        char labels[32];
        snprintf(labels, sizeof labels, "lane=\"%s\"", lane_name((enum lane)lane));
        for (size_t i = 0; i < sizeof of_lanes / sizeof *of_lanes; i++)
            assert_string_equal(rows[of_lanes[i] + lane].labels, labels);
        for (int news = 0; news < PROBING_NEWS; news++)
            assert_int_equal(strncmp(rows[METRIC_NEWS + lane * PROBING_NEWS + news].labels, labels,
                                     strlen(labels)),
                             0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_has_a_name),
        cmocka_unit_test(test_each_outcome_has_its_row),
        cmocka_unit_test(test_each_lane_has_its_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
