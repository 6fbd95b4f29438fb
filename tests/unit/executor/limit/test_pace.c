/* The pace, step by step and against an API that allows 20 calls a second, 80 in a burst. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "executor/limit/pace.h"

static void test_no_pace_before_the_first_throttle(void **state) {
    (void)state;
    struct pace p;
    pace_init(&p);
    for (int i = 0; i < 10000; i++) {
        assert_true(pace_open(&p, 1000));
        pace_take(&p, 1000);
        pace_worked(&p);
    }
    assert_true(pace_open(&p, 0));
}

/* Calls within `ms` after `from_ms`, as many as it lets pass; `worked`: each of them went well. */
static int calls_in(struct pace *p, int64_t from_ms, int64_t ms, bool worked) {
    int calls = 0;
    for (int64_t now_ms = from_ms; now_ms < from_ms + ms; now_ms += 5)
        while (pace_open(p, now_ms) && calls < 100000) {
            pace_take(p, now_ms);
            if (worked)
                pace_worked(p);
            calls++;
        }
    return calls;
}

static struct pace throttled_after(int calls, int64_t now_ms) {
    struct pace p;
    pace_init(&p);
    for (int i = 0; i < calls; i++) {
        pace_take(&p, now_ms);
        pace_worked(&p);
    }
    pace_throttled(&p, now_ms);
    return p;
}

static void test_pace_after_a_throttle(void **state) {
    (void)state;
    struct pace p = throttled_after(20, 5000);
    assert_false(pace_open(&p, 5000));
    assert_false(pace_open(&p, 5070));
    assert_true(pace_open(&p, 5072)); /* 14 a second */
    assert_in_range(calls_in(&p, 5072, 10000, false), 138, 142);

    assert_in_range(calls_in(&p, 1000000, 5, false), 14, 14); /* a rest saves up one second */
    assert_true(pace_open(&p, 1002000));
    pace_throttled(&p, 1002000); /* what was saved is gone */
    assert_false(pace_open(&p, 1002000));

    p = throttled_after(1, 5000); /* never slower than one call in two seconds */
    for (int i = 1; i < 50; i++)
        pace_throttled(&p, 5000 + i * 1000);
    assert_false(pace_open(&p, 54000 + 1999));
    assert_true(pace_open(&p, 54000 + 2000));
    assert_in_range(calls_in(&p, 56000, 10000, false), 5, 6);
    assert_true(calls_in(&p, 1000000, 5, false) == 1); /* a rest saves up one second */
}

static void test_one_cut_a_second(void **state) {
    (void)state;
    struct pace p = throttled_after(20, 5000);
    for (int i = 0; i < 30; i++)
        pace_throttled(&p, 5999);
    assert_in_range(calls_in(&p, 6000, 10000, false), 138, 156);
    p = throttled_after(20, 5000);
    pace_throttled(&p, 6000);
    assert_in_range(calls_in(&p, 6000, 10000, false), 96, 99);
}

/* The rate is told from the second before, where this one has only begun. */
static void test_pace_counts_whole_seconds(void **state) {
    (void)state;
    struct pace p;
    pace_init(&p);
    for (int i = 0; i < 50; i++) {
        pace_take(&p, 10000 + i * 20);
        pace_worked(&p);
    }
    pace_take(&p, 11001);
    pace_throttled(&p, 11002);
    assert_in_range(calls_in(&p, 11002, 1000, false), 34, 35);

    pace_init(&p); /* long ago is no news */
    for (int i = 0; i < 50; i++)
        pace_take(&p, 10000 + i * 20);
    for (int i = 0; i < 10; i++) {
        pace_take(&p, 20000);
        pace_worked(&p);
    }
    pace_throttled(&p, 20000);
    assert_in_range(calls_in(&p, 20000, 1000, false), 6, 7);
}

/* A cut goes below what has worked, though not far below what was called. */
static void test_pace_follows_what_works(void **state) {
    (void)state;
    static const struct {
        int calls, worked, rate;
    } rows[] = {{100, 100, 70}, {100, 80, 56}, {100, 20, 35}, {100, 0, 35}, {1, 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pace p;
        pace_init(&p);
        for (int n = 0; n < rows[i].calls; n++) {
            pace_take(&p, 5000);
            if (n < rows[i].worked)
                pace_worked(&p);
        }
        pace_throttled(&p, 5000);
        assert_int_equal((int)(p.rate + 0.001), rows[i].rate);
    }
}

static void test_pace_rises(void **state) {
    (void)state;
    struct pace p = throttled_after(10, 5000);
    assert_in_range(calls_in(&p, 5000, 1000, true), 6, 8);
    assert_in_range(calls_in(&p, 6000, 9000, true), 9 * 11, 9 * 14); /* 8 to 17 a second */
    calls_in(&p, 15000, 200000, true);
    assert_true(p.rate <= 0); /* far beyond any cap: free again */
}

/* Ten calls at once, 50 ms each, as many as may be, for five minutes. */
static void test_pace_against_the_api(void **state) {
    (void)state;
    enum {
        CALLS = 10,
        RTT_MS = 50
    };
    int64_t ends_ms[CALLS] = {0};
    double bucket = 80;
    int worked = 0, throttled = 0, second_calls = 0, seconds_below = 0;
    bool well[CALLS] = {false}, out[CALLS] = {false};
    struct pace p;
    pace_init(&p);
    for (int64_t now_ms = 10000; now_ms < 310000; now_ms += 5) {
        bucket = bucket + 0.1 < 80 ? bucket + 0.1 : 80;
        for (int i = 0; i < CALLS; i++) {
            if (out[i] && now_ms >= ends_ms[i]) {
                out[i] = false;
                if (well[i])
                    pace_worked(&p);
                else
                    pace_throttled(&p, now_ms);
            }
            if (out[i] || !pace_open(&p, now_ms))
                continue;
            pace_take(&p, now_ms);
            second_calls++;
            out[i] = true;
            ends_ms[i] = now_ms + RTT_MS;
            well[i] = bucket >= 1;
            bucket -= well[i];
            if (now_ms >= 30000) {
                worked += well[i];
                throttled += !well[i];
            }
        }
        if (now_ms % 1000 == 995) {
            seconds_below += now_ms > 30000 && second_calls < 20;
            second_calls = 0;
        }
    }
    if (throttled * 20 > worked || worked < 280 * 20 * 85 / 100 || seconds_below == 0)
        fail_msg("%d worked, %d throttled, %d s below the cap", worked, throttled, seconds_below);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_pace_before_the_first_throttle),
        cmocka_unit_test(test_pace_after_a_throttle),
        cmocka_unit_test(test_one_cut_a_second),
        cmocka_unit_test(test_pace_counts_whole_seconds),
        cmocka_unit_test(test_pace_follows_what_works),
        cmocka_unit_test(test_pace_rises),
        cmocka_unit_test(test_pace_against_the_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
