/* So many a second, however often it is asked and however long it was not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redriver/pace.h"

/* How many are taken from `from_ms` on, for `ms` milliseconds, by somebody who never rests. */
static int64_t take_for(struct redrive_pace *p, int64_t from_ms, int64_t ms) {
    int64_t taken = 0;
    for (int64_t now_ms = from_ms; now_ms < from_ms + ms;) {
        int64_t wait_ms = redrive_pace_wait_ms(p, now_ms);
        if (wait_ms > 0) {
            now_ms += wait_ms;
            continue;
        }
        redrive_pace_take(p);
        taken++;
    }
    return taken;
}

static void keeps_the_rate(void **state) {
    (void)state;
    static const int64_t rates[] = {1, 2, 3, 7, 10, 99, 1000, 12345, 250000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct redrive_pace p;
        redrive_pace_init(&p, rates[i], 5000);
        int64_t taken = take_for(&p, 5000, 20000), want = rates[i] * 20;
        int64_t burst = rates[i] / 10 > 1 ? rates[i] / 10 : 1;
        if (taken > want + burst || taken < want - want / 20 - 1)
            fail_msg("%lld/s: %lld in 20 s", (long long)rates[i], (long long)taken);
    }
}

static void saves_nothing_up(void **state) {
    (void)state;
    struct redrive_pace p;
    redrive_pace_init(&p, 100, 0);
    assert_int_equal(take_for(&p, 0, 1), 10);
    assert_int_equal(take_for(&p, 3600000, 1), 10); /* an hour later */
}

static void waits_for_the_next(void **state) {
    (void)state;
    struct redrive_pace p;
    redrive_pace_init(&p, 2, 0);
    assert_int_equal(redrive_pace_wait_ms(&p, 0), 0);
    redrive_pace_take(&p);
    int64_t wait_ms = redrive_pace_wait_ms(&p, 0);
    assert_in_range(wait_ms, 500, 502);
    assert_int_equal(redrive_pace_wait_ms(&p, wait_ms), 0);
    redrive_pace_take(&p);
    assert_in_range(redrive_pace_wait_ms(&p, wait_ms - 50), 450,
                    502); /* a clock that was read earlier */
}

static void is_no_limit_at_zero(void **state) {
    (void)state;
    struct redrive_pace p;
    redrive_pace_init(&p, 0, 0);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(redrive_pace_wait_ms(&p, 0), 0);
        redrive_pace_take(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_rate),
        cmocka_unit_test(saves_nothing_up),
        cmocka_unit_test(waits_for_the_next),
        cmocka_unit_test(is_no_limit_at_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
