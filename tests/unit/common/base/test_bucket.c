/* So many a second, however often it is asked and however long it was not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/bucket.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* How many are taken from `from_ms` on, for `ms` milliseconds, by somebody who never rests. */
static int64_t take_for(struct bucket *b, int64_t from_ms, int64_t ms) {
    int64_t taken = 0;
    for (int64_t now_ms = from_ms; now_ms < from_ms + ms;) {
        int64_t wait_ms = bucket_wait_ms(b, now_ms);
        if (wait_ms > 0) {
            now_ms += wait_ms;
            continue;
        }
        bucket_take(b);
        taken++;
    }
    return taken;
}

static void test_keeps_the_rate(void **state) {
    (void)state;
    static const int64_t rates[] = {1, 2, 3, 7, 10, 99, 1000, 12345, 250000};
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct bucket b;
        double per_s = (double)rates[i];
        bucket_init(&b, per_s, per_s / 10, 5000);
        int64_t taken = take_for(&b, 5000, 20000), want = rates[i] * 20;
        int64_t burst = rates[i] / 10 > 1 ? rates[i] / 10 : 1;
        if (taken > want + burst || taken < want - want / 20 - 1)
            fail_msg("%lld/s: %lld in 20 s", (long long)rates[i], (long long)taken);
    }
}

static void test_saves_no_more_than_its_room(void **state) {
    (void)state;
    struct bucket b;
    bucket_init(&b, 100, 10, 0);
    assert_int_equal(take_for(&b, 0, 1), 10);
    assert_int_equal(take_for(&b, 3600000, 1), 10); /* an hour later */
}

/* One step each: what is asked at a time, and the wait that is answered; 0 takes one. */
static void test_waits(void **state) {
    (void)state;
    static const struct {
        double per_s, room;
        int64_t now_ms[6], wait_ms[6];
    } cases[] = {
        {2, 1, {0, 0, 499, 500, 500, 1000}, {0, 500, 1, 0, 500, 0}},
        {2, 3, {0, 0, 0, 0, 400, 500}, {0, 0, 0, 500, 100, 0}},
        {2, 1, {1000, 1000, 500, 1500, 1400, 1500}, {0, 500, 500, 0, 500, 500}}, /* back, too */
        {3, 0, {0, 0, 333, 334, 334, 10000}, {0, 334, 1, 0, 334, 0}},
        {0.5, 1, {0, 0, 1000, 1999, 2000, 2000}, {0, 2000, 1000, 1, 0, 2000}},
        {0,
         2,
         {0, 0, 0, 1000000, 1000000, 1000000},
         {0, 0, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bucket b;
        bucket_init(&b, cases[i].per_s, cases[i].room, cases[i].now_ms[0]);
        for (size_t s = 0; s < COUNT(cases[i].now_ms); s++) {
            int64_t wait_ms = bucket_wait_ms(&b, cases[i].now_ms[s]);
            if (wait_ms != cases[i].wait_ms[s])
                fail_msg("case %zu, step %zu: wait %lld", i, s, (long long)wait_ms);
            if (wait_ms == 0)
                bucket_take(&b);
        }
    }
}

static void test_another_rate(void **state) {
    (void)state;
    struct bucket b;
    bucket_init(&b, 10, 10, 0);
    bucket_empty(&b, 0);
    assert_int_equal(bucket_wait_ms(&b, 0), 100);
    bucket_set_rate(&b, 2, 4, 50); /* half a token of the old rate */
    assert_int_equal(bucket_wait_ms(&b, 50), 250);
    assert_int_equal(take_for(&b, 100000, 1), 4);
    bucket_set_rate(&b, 2, 0, 200000); /* four tokens do not fit any more */
    assert_int_equal(take_for(&b, 200000, 1), 1);
}

static void test_goes_on_with_another(void **state) {
    (void)state;
    struct bucket old, full, small;
    bucket_init(&old, 1, 5, 0);
    bucket_init(&full, 1, 9, 0);
    bucket_init(&small, 1, 2, 0);
    assert_int_equal(take_for(&old, 1000, 1), 5);
    bucket_inherit(&full, &old);
    assert_int_equal(bucket_wait_ms(&full, 1000), 1000);
    bucket_init(&old, 1, 5, 0);
    bucket_inherit(&small, &old);
    assert_int_equal(take_for(&small, 1000, 1), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_the_rate),
        cmocka_unit_test(test_saves_no_more_than_its_room),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_another_rate),
        cmocka_unit_test(test_goes_on_with_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
