/* How often running queries are looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <math.h>

#include "executor/query/poll_pace.h"

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
        int64_t got_ms = poll_pace_interval_ms(intervals[i].median_s);
        if (got_ms != intervals[i].want_ms)
            fail_msg("%g s: %d ms", intervals[i].median_s, (int)got_ms);
    }
    assert_int_equal(poll_pace_interval_ms(INFINITY), 1000);
}

/* Never beyond rand x min(2^i, 20 s), always some way towards it, and from the failure on. */
static void test_back_off(void **state) {
    (void)state;
    for (int credentials = 0; credentials <= 1; credentials++) {
        int64_t longest_ms[12] = {0};
        for (int round = 0; round < 200; round++) {
            struct poll_pace p = {.spacing_ms = 100, .rests_since_ms = 1};
            for (int i = 0; i < 12; i++) {
                poll_pace_failed(&p, 1000 + i, credentials);
                assert_int_equal(p.rests_since_ms, 1000 + i);
                assert_true(p.spacing_ms >= 100);
                if (p.spacing_ms > longest_ms[i])
                    longest_ms[i] = p.spacing_ms;
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
    struct poll_pace p = {.failures = INT_MAX};
    poll_pace_failed(&p, 0, false);
    assert_in_range(p.spacing_ms, 100, 20000);
}

static void test_sweeps_follow_from_the_median(void **state) {
    (void)state;
    struct poll_pace p;
    poll_pace_init(&p, 0);
    assert_int_equal(poll_pace_sweep_ms(&p), 100); /* not known yet */
    for (int i = 0; i < POLL_PACE_DURATIONS; i++)
        poll_pace_ended(&p, i < POLL_PACE_DURATIONS / 2 ? 2 : 10);
    assert_int_equal(poll_pace_sweep_ms(&p), 500);
    for (int i = 0; i < POLL_PACE_DURATIONS; i++)
        poll_pace_ended(&p, 4);
    assert_int_equal(poll_pace_sweep_ms(&p), 200);
    poll_pace_init(&p, 7000);
    poll_pace_ended(&p, 4);
    assert_int_equal(poll_pace_sweep_ms(&p), 7000);
}

static void test_delays(void **state) {
    (void)state;
    struct poll_pace p;
    poll_pace_init(&p, 1000);
    poll_pace_swept(&p, 5000);
    poll_pace_called(&p, 5000);
    assert_int_equal(poll_pace_delay_ms(&p, 5000, false), 100); /* ten calls a second at the most */
    assert_int_equal(poll_pace_delay_ms(&p, 5030, false), 70);
    assert_int_equal(poll_pace_delay_ms(&p, 5200, false), 0);
    assert_int_equal(poll_pace_delay_ms(&p, 5030, true), 970);
    assert_false(poll_pace_sweep_is_due(&p, 5999));
    assert_true(poll_pace_sweep_is_due(&p, 6000));
    poll_pace_called(&p, 5950); /* the last call of that sweep */
    assert_int_equal(poll_pace_delay_ms(&p, 6000, true), 50);
    assert_int_equal(poll_pace_delay_ms(&p, 9000, true), 0);
    poll_pace_failed(&p, 9000, false);
    assert_in_range(poll_pace_delay_ms(&p, 9000, false), 100, 2000);
    poll_pace_worked(&p, 20);
    assert_int_equal(poll_pace_delay_ms(&p, 9050, false), 50);
}

/* Four executors share 20 calls a second, 40 at once; each answer takes 50 ms. */
static void test_pace_by_the_rate_of_the_api(void **state) {
    (void)state;
    enum {
        EXECUTORS = 4,
        ANSWER_MS = 50
    };
    struct poll_pace paces[EXECUTORS];
    int64_t answered_ms[EXECUTORS] = {0};
    bool works[EXECUTORS] = {false};
    int worked = 0, throttled = 0;
    double bucket = 40;
    for (int i = 0; i < EXECUTORS; i++)
        poll_pace_init(&paces[i], 0);
    for (int64_t now_ms = 1000; now_ms < 301000; now_ms++) {
        bucket = bucket + 0.02 < 40 ? bucket + 0.02 : 40;
        for (int i = 0; i < EXECUTORS; i++) {
            if (answered_ms[i] == now_ms && works[i])
                poll_pace_worked(&paces[i], ANSWER_MS);
            else if (answered_ms[i] == now_ms)
                poll_pace_throttled(&paces[i], now_ms);
            if (answered_ms[i] > now_ms || poll_pace_delay_ms(&paces[i], now_ms, false) > 0)
                continue;
            poll_pace_called(&paces[i], now_ms);
            answered_ms[i] = now_ms + ANSWER_MS;
            works[i] = bucket >= 1;
            bucket -= works[i];
            worked += works[i] && now_ms >= 21000;
            throttled += !works[i] && now_ms >= 21000;
        }
    }
    print_message("%d worked, %d throttled in 280 s\n", worked, throttled);
    assert_true(throttled * 20 < worked);
    assert_true(worked > 280 * 20 * 85 / 100);
    for (int i = 0; i < 500; i++)
        poll_pace_worked(&paces[0], ANSWER_MS);
    assert_int_equal(paces[0].spacing_ms, 100);
}

/* Nine tenths of the shortest of the last queries, less the latency. */
static void test_what_has_hardly_ended(void **state) {
    (void)state;
    struct poll_pace p;
    poll_pace_init(&p, 0);
    assert_int_equal(poll_pace_least_ms(&p), 0); /* nothing is known */
    poll_pace_ended(&p, 3);
    poll_pace_ended(&p, 2);
    poll_pace_ended(&p, 4);
    assert_int_equal(poll_pace_least_ms(&p), 1800);
    for (int i = 0; i < 50; i++)
        poll_pace_worked(&p, 250);
    assert_int_equal(poll_pace_least_ms(&p), 1550);
    for (int i = 0; i < 100; i++)
        poll_pace_worked(&p, 1100);
    assert_in_range(poll_pace_least_ms(&p), 700, 710);
    poll_pace_ended(&p, 0.5);
    assert_int_equal(poll_pace_least_ms(&p), 0);
    for (int i = 0; i < POLL_PACE_DURATIONS; i++)
        poll_pace_ended(&p, 60);
    assert_in_range(poll_pace_least_ms(&p), 52900, 53000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_back_off),
        cmocka_unit_test(test_sweeps_follow_from_the_median),
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_pace_by_the_rate_of_the_api),
        cmocka_unit_test(test_what_has_hardly_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
