/* Admission, step by step and at random. The model of it is in test_admission_model.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>

#include "executor/limit/admission.h"

#define LONG 1000000 /* a backlog worth every probe */

/* --- step by step ----------------------------------------------------------------------------- */

static struct admission_permit want(struct admission *a, int64_t now_ms) {
    struct admission_permit permit;
    assert_true(admission_acquire(a, now_ms, LONG, &permit));
    return permit;
}

static void refuse(struct admission *a, int64_t now_ms) {
    struct admission_permit permit;
    assert_false(admission_acquire(a, now_ms, LONG, &permit));
}

/* Not cold any more, `n` running and a limit of `n`. */
static struct admission learned(int n, int64_t now_ms) {
    struct admission a;
    admission_init(&a);
    for (int i = 0; i < n; i++) {
        struct admission_permit permit = want(&a, now_ms);
        admission_started(&a, &permit);
    }
    struct admission_permit permit = want(&a, now_ms);
    admission_throttled(&a, now_ms, &permit);
    admission_sweep_begins(&a);
    admission_swept(&a, n);
    assert_int_equal(a.limit, n);
    assert_int_equal(a.running, n);
    return a;
}

/* One more at once for each three that run: each of them may be one too many. */
static void test_calls_while_cold(void **state) {
    (void)state;
    static const struct {
        int running, calls;
    } rows[] = {{0, 1}, {2, 1}, {3, 2}, {6, 3}, {9, 4}, {100, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct admission a;
        admission_init(&a);
        for (int n = 0; n < rows[i].running; n++) {
            struct admission_permit permit = want(&a, 0);
            admission_started(&a, &permit);
        }
        for (int n = 0; n < rows[i].calls; n++)
            want(&a, 0);
        refuse(&a, 49);
        /* Where answers take long they do not hold up the next call, up to four. */
        for (int n = rows[i].calls; n < 4; n++) {
            int64_t now_ms = 50 * (1 + n - rows[i].calls);
            want(&a, now_ms);
            refuse(&a, now_ms + 49);
        }
        refuse(&a, 1000000);
    }
}

/* Towards the end of a backlog a refused query would come back when all else is done. */
static void test_no_probe_at_the_end_of_a_backlog(void **state) {
    (void)state;
    struct admission_permit permit;
    struct admission a = learned(10, 0);
    for (int i = 0; i < 30; i++) {
        admission_ended(&a, 1);
        permit = want(&a, 1000);
        assert_false(permit.probe);
        admission_started(&a, &permit);
    }
    assert_false(admission_acquire(&a, 1000, 59, &permit));
    assert_true(admission_acquire(&a, 1000, 60, &permit));
    assert_true(permit.probe);
    admission_throttled(&a, 1000, &permit);
    assert_false(admission_acquire(&a, 120999, 1, &permit));
    assert_true(admission_acquire(&a, 121000, 1, &permit)); /* the quota may have grown meanwhile */
    assert_true(permit.probe);
}

/* Governed, the share is what counts, and after a throttle what is held. */
static void test_governed(void **state) {
    (void)state;
    struct admission a = learned(10, 0);
    struct admission_permit permit;
    admission_govern(&a, 12, 7);
    want(&a, 0);
    permit = want(&a, 0);
    refuse(&a, 1000000);
    assert_int_equal(permit.version, 7);
    admission_throttled(&a, 0, &permit);
    assert_int_equal(a.share, 11);
    assert_int_equal(a.throttles, 2);
    assert_int_equal(a.throttled_version, 7);
    refuse(&a, 0);
    admission_govern(&a, 12, 7); /* the same grant again */
    refuse(&a, 0);
    admission_govern(&a, 12, 8);
    admission_started(&a, &permit);
    want(&a, 0);
    refuse(&a, 0);
    assert_int_equal(a.limit, 10); /* nothing is learned here */
    admission_govern(&a, 5, 9);
    admission_ended(&a, 6);
    refuse(&a, 0);
    admission_learn_alone(&a, 0, 20, true);
    want(&a, 0);
}

/* Of several throttles at once only the first changes the limit. */
static void test_older_throttles_change_nothing(void **state) {
    (void)state;
    struct admission a;
    admission_init(&a);
    struct admission_permit permits[4];
    for (int i = 0; i < 18; i++) {
        permits[0] = want(&a, 0);
        admission_started(&a, &permits[0]);
    }
    for (int i = 0; i < 4; i++)
        permits[i] = want(&a, 0);
    for (int i = 0; i < 4; i++)
        admission_throttled(&a, 0, &permits[i]);
    assert_int_equal(a.calls, 0);
    assert_int_equal(a.limit, 18);
    refuse(&a, 0);
    admission_ended(&a, 1);
    want(&a, 0);
    refuse(&a, 0);
}

/* Others took slots: the limit is what is held, then three quarters of it; one call at a time. */
static void test_throttled_below_the_limit(void **state) {
    (void)state;
    struct admission a = learned(20, 0);
    admission_ended(&a, 4);
    struct admission_permit permit = want(&a, 0);
    admission_throttled(&a, 0, &permit);
    assert_int_equal(a.limit, 16);
    refuse(&a, 0);
    admission_ended(&a, 4);
    permit = want(&a, 0);
    refuse(&a, 0);
    admission_throttled(&a, 0, &permit);
    assert_int_equal(a.limit, 9);
    admission_ended(&a, 6);
    permit = want(&a, 0);
    refuse(&a, 0);
    admission_started(&a, &permit); /* it works again: the limit was cut too far */
    want(&a, 0);
    refuse(&a, 0);
    assert_true(a.growing);
}

/* `n` more end and as many are started, none of them as a probe. */
static void replace(struct admission *a, int n) {
    for (int i = 0; i < n; i++) {
        refuse(a, 0);
        admission_ended(a, 1);
        struct admission_permit permit = want(a, 0);
        assert_false(permit.probe);
        admission_started(a, &permit);
    }
}

static void test_probe_after_starts(void **state) {
    (void)state;
    struct admission a = learned(20, 0);
    replace(&a, 30);
    struct admission_permit permit = want(&a, 0);
    assert_true(permit.probe);
    refuse(&a, INT64_MAX / 2);
    admission_ended(&a, 2);
    admission_throttled(&a, 0, &permit);
    assert_int_equal(a.limit, 20); /* it says nothing about slots below the limit */
    want(&a, 0);
    want(&a, 0);
    refuse(&a, 0);
}

/* Others take one slot of `limit`. */
static void lose_one(struct admission *a, int limit) {
    assert_int_equal(a->limit, limit);
    admission_ended(a, 1);
    struct admission_permit permit = want(a, 0);
    admission_throttled(a, 0, &permit);
    assert_int_equal(a->limit, limit - 1);
    admission_ended(a, 1);
    permit = want(a, 0);
    admission_started(a, &permit);
}

static void refuse_probe(struct admission *a) {
    struct admission_permit permit = want(a, 0);
    assert_true(permit.probe);
    admission_throttled(a, 0, &permit);
}

/* After a loss probes are close together, and further apart with each that is throttled. */
static void test_gap_after_a_loss(void **state) {
    (void)state;
    static const int gaps[] = {5,  6,  7,  7,  8,  9,  9,  10, 11, 12,
                               13, 15, 16, 18, 19, 21, 23, 26, 28, 30};
    struct admission a = learned(20, 0);
    lose_one(&a, 20);
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
        replace(&a, gaps[i] - (i == 0)); /* one start came after the loss */
        refuse_probe(&a);
    }
    for (int i = 0; i < 3; i++) {
        replace(&a, 30);
        refuse_probe(&a);
    }
}

static void find(struct admission *a, int from, int to) {
    struct admission_permit permit;
    for (int i = from; i < to; i++) {
        permit = want(a, 0);
        assert_true(permit.probe);
        admission_started(a, &permit);
    }
    refuse_probe(a);
    admission_sweep_begins(a);
    admission_swept(a, to);
    assert_int_equal(a->limit, to);
    assert_false(a->growing); /* the quota is known: no second start is throttled to find it */
}

/* What was taken is back: probes are far apart again. */
static void test_gap_when_all_is_back(void **state) {
    (void)state;
    struct admission a = learned(20, 0);
    lose_one(&a, 20);
    lose_one(&a, 19);
    replace(&a, 4);
    find(&a, 18, 19);
    replace(&a, 5);
    find(&a, 19, 20);
    replace(&a, 30);
    refuse_probe(&a);
}

/* A probe that told nothing is made again. */
static void test_cancelled_probe(void **state) {
    (void)state;
    struct admission a = learned(5, 0);
    replace(&a, 30);
    assert_true(want(&a, 0).probe);
    refuse(&a, 0);
    admission_cancelled(&a);
    assert_true(want(&a, 0).probe);
}

/* Probes that start something follow each other, one call at a time, until a sweep tells. */
static void test_probes_that_work(void **state) {
    (void)state;
    struct admission a = learned(5, 0);
    replace(&a, 30);
    for (int i = 0; i < 3; i++) {
        struct admission_permit permit = want(&a, 0);
        assert_true(permit.probe);
        refuse(&a, 0);
        admission_started(&a, &permit);
    }
    admission_sweep_begins(&a);
    admission_ended(&a, 2);
    admission_swept(&a, 5); /* they took the places of some that had ended */
    assert_int_equal(a.limit, 5);
    assert_int_equal(a.unconfirmed_probes, 1);
    refuse_probe(&a);
    refuse(&a, 0);
}

/* A sweep decides about the probes that had started when it began. */
static void test_sweeps_keep_up_with_probes(void **state) {
    (void)state;
    struct admission a = learned(5, 0);
    replace(&a, 30);
    struct admission_permit permit = want(&a, 0);
    admission_started(&a, &permit);
    admission_sweep_begins(&a);
    permit = want(&a, 0);
    admission_started(&a, &permit);
    admission_swept(&a, 5); /* it found room that nobody had seen */
    assert_int_equal(a.limit, 5);
    assert_false(a.growing);
    admission_sweep_begins(&a);
    permit = want(&a, 0);
    admission_started(&a, &permit);
    admission_swept(&a, 7); /* it had seen the second, and not the third */
    assert_int_equal(a.limit, 7);
    assert_true(a.growing);
}

/* A sweep over a probe decides nothing when slots are taken meanwhile. */
static void test_a_loss_after_a_probe(void **state) {
    (void)state;
    struct admission a = learned(20, 0);
    replace(&a, 30);
    struct admission_permit permit = want(&a, 0);
    admission_started(&a, &permit);
    admission_sweep_begins(&a);
    admission_ended(&a, 3);
    permit = want(&a, 0);
    admission_throttled(&a, 0, &permit);
    assert_int_equal(a.limit, 18);
    admission_swept(&a, 21);
    assert_int_equal(a.limit, 18);
    assert_false(a.growing);
}

/* All that was taken is back, as only the sweep shows: the gap follows the sweep. */
static void test_gap_follows_the_check(void **state) {
    (void)state;
    struct admission a = learned(20, 0);
    lose_one(&a, 20);
    a.growing = true;
    struct admission_permit permit = want(&a, 0);
    admission_started(&a, &permit);
    permit = want(&a, 0);
    admission_ended(&a, 1);
    admission_throttled(&a, 0, &permit);
    assert_true(a.limit < 20);
    admission_sweep_begins(&a);
    admission_swept(&a, 20);
    assert_int_equal(a.limit, 20);
    permit = want(&a, 0);
    admission_started(&a, &permit);
    replace(&a, 29);
    refuse_probe(&a);
}

static void test_probe_after_time(void **state) {
    (void)state;
    struct admission a = learned(5, 1000);
    int64_t now_ms = 1000;
    static const int64_t waits_ms[] = {60000, 120000, 240000, 240000};
    for (size_t i = 0; i < sizeof waits_ms / sizeof *waits_ms; i++) {
        refuse(&a, now_ms + waits_ms[i] - 1);
        now_ms += waits_ms[i];
        struct admission_permit permit = want(&a, now_ms);
        assert_true(permit.probe);
        admission_throttled(&a, now_ms, &permit);
    }
}

static void test_probe_when_idle(void **state) {
    (void)state;
    struct admission a = learned(1, 1000);
    admission_ended(&a, 1);
    struct admission_permit permit = want(&a, 1000);
    admission_throttled(&a, 1000, &permit);
    assert_int_equal(a.limit, 0);
    refuse(&a, 2999);
    permit = want(&a, 3000);
    assert_true(permit.probe);
    admission_throttled(&a, 3000, &permit);
    refuse(&a, 4999);
    assert_true(want(&a, 5000).probe);
}

static void test_probe_needs_a_real_rise(void **state) {
    (void)state;
    struct admission a = learned(5, 0);
    struct admission_permit permit = want(&a, 60000);
    admission_sweep_begins(&a); /* before the probe was answered, so it decides nothing */
    admission_started(&a, &permit);
    admission_swept(&a, 6);
    assert_int_equal(a.limit, 5);
    admission_sweep_begins(&a);
    admission_swept(&a, 5); /* it filled the slot of one that had ended */
    assert_int_equal(a.limit, 5);
    assert_false(a.growing);
    admission_sweep_begins(&a);
    admission_swept(&a, 6); /* it was decided before */
    assert_int_equal(a.limit, 5);

    admission_ended(&a, 1);
    permit = want(&a, 120000);
    admission_started(&a, &permit);
    admission_sweep_begins(&a);
    admission_swept(&a, 6);
    assert_int_equal(a.limit, 6);
    assert_true(a.growing);
    for (int i = 0; i < 8; i++) { /* on, one call at a time, … */
        permit = want(&a, 120000);
        assert_false(permit.probe);
        refuse(&a, 120000);
        admission_started(&a, &permit);
    }
    want(&a, 120000); /* … and faster the further it goes */
    want(&a, 120000);
    refuse(&a, 120000);
}

/* The quota that a throttle has shown is what ran at the last submission, not what runs now. */
static void test_edge(void **state) {
    (void)state;
    struct admission a;
    admission_init(&a);
    for (int i = 0; i < 7; i++) {
        struct admission_permit permit = want(&a, 0);
        admission_started(&a, &permit);
    }
    struct admission_permit permit = want(&a, 0);
    admission_ended(&a, 2);
    admission_throttled(&a, 0, &permit);
    assert_int_equal(a.limit, 5);
    admission_swept(&a, 3); /* of a sweep that began before */
    assert_int_equal(a.limit, 5);
    admission_sweep_begins(&a);
    admission_swept(&a, 7);
    assert_int_equal(a.limit, 7);

    a = learned(7, 0);
    a.growing = true;
    permit = want(&a, 0);
    admission_throttled(&a, 0, &permit);
    admission_ended(&a, 2);
    permit = want(&a, 0);
    admission_throttled(&a, 0, &permit); /* newer than what the sweep will show */
    assert_int_equal(a.limit, 5);
    admission_ended(&a, 1);
    permit = want(&a, 0);
    refuse(&a, 0);
    admission_throttled(&a, 0, &permit); /* nobody took slots: the quota was not known yet */
    assert_int_equal(a.limit, 4);
    assert_int_equal(a.probing.news[PROBING_TAKEN], 0);
    struct admission raised = a;
    admission_sweep_begins(&raised);
    admission_swept(&raised, 7);
    assert_int_equal(raised.limit, 4);
    admission_sweep_begins(&a);
    admission_swept(&a, 3);
    assert_int_equal(a.limit, 3);
}

/* An outage does not fill the executor with queries that perhaps run. */
static void test_uncertain_ones_do_not_grow(void **state) {
    (void)state;
    struct admission a;
    struct admission_permit permit;
    int out = 0;
    admission_init(&a);
    for (; admission_acquire(&a, out, LONG, &permit) && out < 100; out++)
        admission_uncertain(&a);
    assert_int_equal(out, 5);
    assert_int_equal(a.running, 5);
    admission_confirmed(&a); /* they run after all */
    assert_int_equal(a.limit, 5);
    want(&a, 0);

    a = learned(5, 0);
    replace(&a, 30);
    permit = want(&a, 0);
    assert_true(permit.probe);
    admission_uncertain(&a);
    admission_sweep_begins(&a);
    admission_swept(&a, 5);
    refuse(&a, INT64_MAX / 2);

    a = learned(5, 0);
    admission_uncertain(&a);
    a.calls = 0;
    admission_confirmed(&a);
    assert_int_equal(a.limit, 5); /* it does not grow, so that changes nothing */
}

static void test_found(void **state) {
    (void)state;
    struct admission a = learned(2, 0);
    admission_found(&a);
    admission_ended(&a, 1);
    refuse(&a, 0);
    admission_ended(&a, 1);
    want(&a, 0);
}

/* Full: what waits then waits for the quota, and not for calls under way. */
static void test_full(void **state) {
    (void)state;
    static const struct {
        const char *what;
        struct admission a;
        bool want;
    } cases[] = {
        {"below the limit", {.limit = 3, .running = 2}, false},
        {"at the limit", {.limit = 3, .running = 3}, true},
        {"above it", {.limit = 3, .running = 4}, true},
        {"with a call under way", {.limit = 3, .running = 2, .calls = 1}, true},
        {"others have it all", {.limit = 0}, true},
        {"cold: nobody knows", {.limit = 1, .calls = 4, .cold = true, .growing = true}, false},
        {"growing: nobody knows", {.limit = 3, .running = 3, .growing = true}, false},
        {"its share is taken", {.limit = 9, .running = 3, .governed = true, .share = 3}, true},
        {"its share is not", {.limit = 1, .running = 2, .governed = true, .share = 3}, false},
        {"no share", {.limit = 9, .governed = true}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (admission_is_full(&cases[i].a) != cases[i].want)
            fail_msg("%s", cases[i].what);
}

static void test_clock_goes_back(void **state) {
    (void)state;
    struct admission a = learned(5, 3600000);
    refuse(&a, 1000);
    refuse(&a, 60999);
    assert_true(want(&a, 61000).probe);
}

/* --- at random: the counts agree whatever comes ----------------------------------------------- */

enum {
    PERMITS_MOST = 64
};

/* splitmix64 */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void random_walk(uint64_t seed) {
    uint64_t random = seed;
    struct admission a;
    struct admission_permit permits[PERMITS_MOST];
    int pending = 0, held = 0;
    int64_t now_ms = 1000000;
    admission_init(&a);
    for (int step = 0; step < 2000; step++) {
        uint64_t r = next_random(&random);
        now_ms += (int64_t)(r >> 40) % 900 - (r >> 32) % 16 * 50;
        int at = pending > 0 ? (int)((r >> 8) % (unsigned)pending) : 0;
        unsigned what = (unsigned)(r % 10);
        if (what < 4 && pending < PERMITS_MOST &&
            admission_acquire(&a, now_ms, LONG, &permits[pending])) {
            pending++;
            assert_true(a.growing || held + pending <= a.limit + a.unconfirmed_probes + 1);
            assert_true(!permits[pending - 1].probe || pending == 1);
            assert_true(a.calls <= 4);
            assert_true(a.cold || !a.growing || held + pending <= a.limit + 4);
        } else if (what >= 4 && what < 8 && pending > 0) {
            struct admission_permit permit = permits[at];
            permits[at] = permits[--pending];
            held += what == 4 || what == 6;
            if (what == 4)
                admission_started(&a, &permit);
            else if (what == 5)
                admission_throttled(&a, now_ms, &permit);
            else if (what == 6)
                admission_uncertain(&a);
            else
                admission_cancelled(&a);
        } else if (what == 8 && held > 0) {
            int n = 1 + (int)((r >> 16) % (unsigned)held);
            held -= n;
            admission_ended(&a, n);
        } else if (what == 9) {
            bool found = (r >> 16) % 8 == 0;
            held += found;
            if (found)
                admission_found(&a);
            else if ((r >> 20) % 2 == 0)
                admission_sweep_begins(&a);
            else
                admission_swept(&a, held > 0 ? (int)((r >> 24) % (unsigned)(held + 1)) : 0);
        }
        if (a.calls != pending || a.running != held || a.limit < 0)
            fail_msg("seed %" PRIu64 " step %d: pending %d/%d held %d/%d limit %d", seed, step,
                     a.calls, pending, a.running, held, a.limit);
    }
    /* All is given back: sooner or later one may start. */
    for (; pending > 0; pending--)
        admission_cancelled(&a);
    admission_ended(&a, held);
    if (!admission_acquire(&a, now_ms + 2000, LONG, &permits[0])) /* the clock had gone back */
        want(&a, now_ms + 4000);
}

static void test_random_walks(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++)
        random_walk(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_while_cold),
        cmocka_unit_test(test_no_probe_at_the_end_of_a_backlog),
        cmocka_unit_test(test_governed),
        cmocka_unit_test(test_older_throttles_change_nothing),
        cmocka_unit_test(test_throttled_below_the_limit),
        cmocka_unit_test(test_probe_after_starts),
        cmocka_unit_test(test_gap_when_all_is_back),
        cmocka_unit_test(test_probes_that_work),
        cmocka_unit_test(test_sweeps_keep_up_with_probes),
        cmocka_unit_test(test_a_loss_after_a_probe),
        cmocka_unit_test(test_gap_follows_the_check),
        cmocka_unit_test(test_cancelled_probe),
        cmocka_unit_test(test_gap_after_a_loss),
        cmocka_unit_test(test_probe_after_time),
        cmocka_unit_test(test_probe_when_idle),
        cmocka_unit_test(test_probe_needs_a_real_rise),
        cmocka_unit_test(test_edge),
        cmocka_unit_test(test_uncertain_ones_do_not_grow),
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_clock_goes_back),
        cmocka_unit_test(test_random_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
