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

static uint64_t sweep; /* the last one that began */

static void begin_sweep(struct admission *a) {
    admission_sweep_begins(a, ++sweep);
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
        admission_started(&a, now_ms, &permit);
    }
    struct admission_permit permit = want(&a, now_ms);
    admission_throttled(&a, now_ms, &permit);
    begin_sweep(&a);
    admission_swept(&a, sweep, n);
    assert_int_equal(a.limit, n);
    assert_int_equal(a.running, n);
    return a;
}

/* How many calls may be out while nothing is known, with so many running and a call every ms. */
static void test_calls_while_cold(void **state) {
    (void)state;
    static const struct {
        int running;
        int64_t backlog, latency_ms;
        int calls;
    } rows[] = {
        /* Answers come at once: few calls, more the more has started. */
        {0, 100, 0, 1},
        {2, 100, 0, 1},
        {3, 100, 0, 2},
        {6, 100, 0, 3},
        {9, 100, 0, 4},
        {100, 1000000, 0, 4},
        /* Answers take long: as many as have started, from four on, up to ten … */
        {0, 100, 250, 4},
        {5, 95, 250, 5},
        {8, 92, 250, 8},
        {20, 80, 250, 10},
        {0, 40, 400, 4},
        {4, 36, 400, 4},
        {12, 28, 400, 10},
        /* … or from a share of the burst up to another share of it. */
        {0, 1000, 250, 20},
        {10, 990, 250, 20},
        {20, 980, 250, 21},
        {30, 970, 250, 27},
        {100, 900, 250, 33},
        {500, 500, 250, 37},
        {0, 100000, 250, 20},
        {100, 6300, 250, 101},
        /* In between, a part of that. */
        {10, 990, 15, 6},
        {10, 990, 30, 12},
        {10, 990, 60, 20},
        {100, 900, 15, 8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct admission a;
        struct admission_permit permit;
        int calls = 0;
        admission_init(&a);
        for (int n = 0; n < rows[i].running; n++) {
            assert_true(admission_acquire(&a, 1000, rows[i].backlog, &permit));
            admission_started(&a, 1000 + rows[i].latency_ms - 1, &permit);
        }
        int64_t now_ms = 1000;
        for (; admission_acquire(&a, now_ms, rows[i].backlog, &permit); calls++)
            now_ms = 1000 + rows[i].latency_ms;
        if (calls != rows[i].calls)
            fail_msg("%d running, backlog %d, latency %d ms: %d calls, not %d", rows[i].running,
                     (int)rows[i].backlog, (int)rows[i].latency_ms, calls, rows[i].calls);
    }
}

/* Before the first answer the time that it has taken so far is the least that calls take. */
static void test_calls_before_the_first_answer(void **state) {
    (void)state;
    static const int calls[] = {1, 3, 6, 10, 13, 16, 20, 20};
    struct admission a;
    struct admission_permit permit;
    admission_init(&a);
    int out = 0;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        while (admission_acquire(&a, 1000 + (int64_t)i * 8, 1000, &permit))
            out++;
        assert_int_equal(out, calls[i]);
    }
}

/* Below the limit as many calls are out as slots are free, whatever is still to be learned. */
static void test_free_slots_are_used_at_once(void **state) {
    (void)state;
    struct admission a = learned(40, 0);
    admission_ended(&a, 40);
    for (int i = 0; i < 40; i++)
        assert_false(want(&a, 0).probe);
    refuse(&a, 0);

    admission_init(&a); /* cold, and so many have run at once */
    for (int i = 0; i < 8; i++) {
        struct admission_permit permit = want(&a, 0);
        admission_started(&a, 0, &permit);
    }
    admission_ended(&a, 8);
    for (int i = 0; i < 8; i++)
        want(&a, 0);
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
        admission_started(&a, 0, &permit);
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
    admission_started(&a, 0, &permit);
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
        admission_started(&a, 0, &permits[0]);
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
    admission_started(&a, 0, &permit); /* it works again: the limit was cut too far */
    assert_true(a.growing);
    for (int i = 7; i < 9 + 2; i++) /* what is free, and two more */
        want(&a, 0);
    refuse(&a, 0);
}

/* `n` more end and as many are started, none of them as a probe. */
static void replace(struct admission *a, int n) {
    for (int i = 0; i < n; i++) {
        refuse(a, 0);
        admission_ended(a, 1);
        struct admission_permit permit = want(a, 0);
        assert_false(permit.probe);
        admission_started(a, 0, &permit);
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
    admission_started(a, 0, &permit);
}

static void refuse_probe(struct admission *a) {
    struct admission_permit permit = want(a, 0);
    assert_true(permit.probe);
    admission_throttled(a, 0, &permit);
}

/* After a loss probes are close together, and further apart with each that is throttled. */
static void test_gap_after_a_loss(void **state) {
    (void)state;
    static const int gaps[] = {5,  6,  8,  9,  11, 13, 15, 18,  22, 26,
                               31, 38, 45, 54, 65, 78, 93, 100, 100};
    struct admission a = learned(20, 0);
    lose_one(&a, 20);
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
        replace(&a, gaps[i] - (i == 0)); /* one start came after the loss */
        refuse_probe(&a);
    }
}

static void find(struct admission *a, int from, int to) {
    struct admission_permit permit;
    for (int i = from; i < to; i++) {
        permit = want(a, 0);
        assert_true(permit.probe);
        admission_started(a, 0, &permit);
    }
    refuse_probe(a);
    begin_sweep(a);
    admission_swept(a, sweep, to);
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
    struct admission_permit permit = want(&a, 0);
    assert_true(permit.probe);
    refuse(&a, 0);
    admission_cancelled(&a, &permit);
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
        admission_started(&a, 0, &permit);
    }
    begin_sweep(&a);
    admission_ended(&a, 2);
    admission_swept(&a, sweep, 5); /* they took the places of some that had ended */
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
    admission_started(&a, 0, &permit);
    begin_sweep(&a);
    permit = want(&a, 0);
    admission_started(&a, 0, &permit);
    admission_swept(&a, sweep, 5); /* it found room that nobody had seen */
    assert_int_equal(a.limit, 5);
    assert_false(a.growing);
    begin_sweep(&a);
    permit = want(&a, 0);
    admission_started(&a, 0, &permit);
    admission_swept(&a, sweep, 7); /* it had seen the second, and not the third */
    assert_int_equal(a.limit, 7);
    assert_true(a.growing);
}

/* A sweep over a probe decides nothing when slots are taken meanwhile. */
static void test_a_loss_after_a_probe(void **state) {
    (void)state;
    struct admission a = learned(20, 0);
    replace(&a, 30);
    struct admission_permit permit = want(&a, 0);
    admission_started(&a, 0, &permit);
    begin_sweep(&a);
    admission_ended(&a, 3);
    permit = want(&a, 0);
    admission_throttled(&a, 0, &permit);
    assert_int_equal(a.limit, 18);
    admission_swept(&a, sweep, 21);
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
    admission_started(&a, 0, &permit);
    permit = want(&a, 0);
    admission_ended(&a, 1);
    admission_throttled(&a, 0, &permit);
    assert_true(a.limit < 20);
    begin_sweep(&a);
    admission_swept(&a, sweep, 20);
    assert_int_equal(a.limit, 20);
    permit = want(&a, 0);
    admission_started(&a, 0, &permit);
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
    begin_sweep(&a); /* before the probe was answered, so it decides nothing */
    admission_started(&a, 60000, &permit);
    admission_swept(&a, sweep, 6);
    assert_int_equal(a.limit, 5);
    admission_ended(&a, 1);
    begin_sweep(&a);
    admission_swept(&a, sweep, 5); /* it filled the slot of one that had ended */
    assert_int_equal(a.limit, 5);
    assert_false(a.growing);

    permit = want(&a, 120000);
    assert_true(permit.probe);
    admission_started(&a, 120000, &permit);
    begin_sweep(&a);
    admission_swept(&a, sweep, 6);
    assert_int_equal(a.limit, 6);
    assert_true(a.growing);
}

/* After a rise few calls at once, and more the more have started. */
static void test_calls_after_a_rise(void **state) {
    (void)state;
    static const int64_t latency_ms = 100;
    static const int windows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10};
    struct admission a = learned(5, 0);
    struct admission_permit permit = want(&a, 60000);
    admission_started(&a, 60000 + latency_ms, &permit);
    begin_sweep(&a);
    admission_swept(&a, sweep, 6);
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        struct admission now = a;
        int calls = 0;
        for (; admission_acquire(&now, 61000, 400 - (int64_t)i, &permit); calls++)
            assert_false(permit.probe);
        assert_int_equal(calls, windows[i]);
        assert_true(admission_acquire(&a, 61000, 400 - (int64_t)i, &permit));
        admission_started(&a, 61000 + latency_ms, &permit);
    }
}

/* A rise that is hidden: each probe fills the slot of a query whose end was not seen. */
static void test_probes_that_decide_nothing(void **state) {
    (void)state;
    struct admission a = learned(5, 0);
    struct admission_permit permit;
    replace(&a, 30);
    for (int i = 0; i < 3; i++) {
        permit = want(&a, 0);
        assert_true(permit.probe);
        admission_started(&a, 0, &permit);
        begin_sweep(&a);
        admission_swept(&a, sweep, 5);
    }
    admission_ended(&a, 2); /* what was taken is used like the limit, … */
    permit = want(&a, 0);
    assert_false(permit.probe);
    admission_started(&a, 0, &permit);
    permit = want(&a, 0);
    assert_false(permit.probe);
    admission_started(&a, 0, &permit);
    assert_int_equal(a.running, 8);
    permit = want(&a, 0); /* … and probed beyond */
    assert_true(permit.probe);
    admission_throttled(&a, 0, &permit);
    assert_int_equal(a.limit, 5);
    assert_int_equal(a.unconfirmed_probes, 0);
    admission_ended(&a, 3);
    refuse(&a, 0);
}

/* All have ended at once and are replaced: slots are held, so there is no hurry to probe. */
static void test_no_probe_beside_the_next_ones(void **state) {
    (void)state;
    struct admission_permit permit;
    struct admission a = learned(3, 0);
    admission_ended(&a, 3);
    for (int i = 0; i < 3; i++)
        want(&a, 3000);
    assert_false(admission_acquire(&a, 3000, 10, &permit));
}

/* With calls under way any of them may be the one that is throttled for the probe. */
static void test_probe_beside_other_calls(void **state) {
    (void)state;
    struct admission a = learned(5, 0);
    replace(&a, 30);
    admission_ended(&a, 3);
    struct admission_permit calls[3];
    for (int i = 0; i < 3; i++)
        calls[i] = want(&a, 0);
    struct admission_permit probe = want(&a, 0);
    assert_true(probe.probe && !calls[2].probe);
    admission_throttled(&a, 0, &calls[1]);
    assert_int_equal(a.limit, 5);
    assert_int_equal(a.probing.news[PROBING_TAKEN], 0);
    assert_int_equal(a.probing.news[PROBING_REFUSED], 1);
    admission_started(&a, 0, &probe);
    assert_int_equal(a.unconfirmed_probes, 0);
    admission_throttled(&a, 0, &calls[0]); /* that is one too many: others have taken a slot */
    admission_started(&a, 0, &calls[2]);
    assert_int_equal(a.running, 4);
    assert_int_equal(a.limit, 4);
}

/* Others take slots while many calls are out: the limit is what is held in the end. */
static void test_loss_beside_other_calls(void **state) {
    (void)state;
    struct admission a = learned(10, 0);
    admission_ended(&a, 6);
    struct admission_permit calls[6];
    for (int i = 0; i < 6; i++)
        calls[i] = want(&a, 0);
    admission_throttled(&a, 0, &calls[0]);
    assert_int_equal(a.limit, 9);
    admission_started(&a, 0, &calls[1]);
    admission_throttled(&a, 0, &calls[2]);
    admission_throttled(&a, 0, &calls[3]);
    admission_cancelled(&a, &calls[4]);
    admission_throttled(&a, 0, &calls[5]);
    assert_int_equal(a.running, 5);
    assert_int_equal(a.limit, 6); /* of one call it is not known */
    assert_int_equal(a.probing.news[PROBING_TAKEN], 1);
}

/* Sweeps overlap where answers take long; the first that began after the throttle decides. */
static void test_overlapping_sweeps(void **state) {
    (void)state;
    struct admission a;
    admission_init(&a);
    struct admission_permit permits[3];
    for (int i = 0; i < 7; i++) {
        permits[0] = want(&a, 0);
        admission_started(&a, 0, &permits[0]);
    }
    for (int i = 0; i < 3; i++)
        permits[i] = want(&a, 0);
    admission_sweep_begins(&a, 101);
    admission_throttled(&a, 0, &permits[0]);
    admission_sweep_begins(&a, 102); /* two calls of then are out: it cannot see them all */
    admission_throttled(&a, 0, &permits[1]);
    admission_started(&a, 0, &permits[2]);
    assert_int_equal(a.limit, 8);
    admission_sweep_begins(&a, 103);
    admission_sweep_begins(&a, 104);
    admission_swept(&a, 101, 3);
    admission_swept(&a, 102, 4);
    admission_swept(&a, 104, 5);
    assert_int_equal(a.limit, 8);
    admission_swept(&a, 103, 6);
    assert_int_equal(a.limit, 6);
}

/* The quota that a throttle has shown is what ran at the last submission, not what runs now. */
static void test_edge(void **state) {
    (void)state;
    struct admission a;
    admission_init(&a);
    for (int i = 0; i < 7; i++) {
        struct admission_permit permit = want(&a, 0);
        admission_started(&a, 0, &permit);
    }
    struct admission_permit permit = want(&a, 0);
    admission_ended(&a, 2);
    admission_throttled(&a, 0, &permit);
    assert_int_equal(a.limit, 5);
    admission_swept(&a, sweep, 3); /* of a sweep that began before */
    assert_int_equal(a.limit, 5);
    begin_sweep(&a);
    admission_swept(&a, sweep, 7);
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
    begin_sweep(&raised);
    admission_swept(&raised, sweep, 7);
    assert_int_equal(raised.limit, 4);
    begin_sweep(&a);
    admission_swept(&a, sweep, 3);
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
        admission_uncertain(&a, &permit);
    assert_int_equal(out, 4);
    assert_int_equal(a.running, 4);
    admission_confirmed(&a); /* they run after all */
    assert_int_equal(a.limit, 4);
    want(&a, 0);

    a = learned(5, 0);
    replace(&a, 30);
    permit = want(&a, 0);
    assert_true(permit.probe);
    admission_uncertain(&a, &permit);
    begin_sweep(&a);
    admission_swept(&a, sweep, 5);
    refuse(&a, INT64_MAX / 2);

    a = learned(5, 0);
    admission_uncertain(&a, &permit);
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
        now_ms += (int64_t)(r >> 40) % 300;
        int at = pending > 0 ? (int)((r >> 8) % (unsigned)pending) : 0;
        unsigned what = (unsigned)(r % 10);
        if (what < 4 && pending < PERMITS_MOST &&
            admission_acquire(&a, now_ms, LONG, &permits[pending])) {
            pending++;
            assert_true(a.growing || held + pending <= a.limit + a.unconfirmed_probes + 1);
            assert_true(a.probes <= 1);
        } else if (what >= 4 && what < 8 && pending > 0) {
            struct admission_permit permit = permits[at];
            permits[at] = permits[--pending];
            held += what == 4 || what == 6;
            if (what == 4)
                admission_started(&a, now_ms, &permit);
            else if (what == 5)
                admission_throttled(&a, now_ms, &permit);
            else if (what == 6)
                admission_uncertain(&a, &permit);
            else
                admission_cancelled(&a, &permit);
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
                begin_sweep(&a);
            else
                admission_swept(&a, sweep, held > 0 ? (int)((r >> 24) % (unsigned)(held + 1)) : 0);
        }
        if (a.calls != pending || a.running != held || a.limit < 0)
            fail_msg("seed %" PRIu64 " step %d: pending %d/%d held %d/%d limit %d", seed, step,
                     a.calls, pending, a.running, held, a.limit);
    }
    /* All is given back: sooner or later one may start. */
    while (pending > 0)
        admission_cancelled(&a, &permits[--pending]);
    admission_ended(&a, held);
    want(&a, now_ms + 2000);
}

static void test_random_walks(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++)
        random_walk(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_while_cold),
        cmocka_unit_test(test_calls_before_the_first_answer),
        cmocka_unit_test(test_free_slots_are_used_at_once),
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
        cmocka_unit_test(test_calls_after_a_rise),
        cmocka_unit_test(test_probes_that_decide_nothing),
        cmocka_unit_test(test_no_probe_beside_the_next_ones),
        cmocka_unit_test(test_probe_beside_other_calls),
        cmocka_unit_test(test_loss_beside_other_calls),
        cmocka_unit_test(test_overlapping_sweeps),
        cmocka_unit_test(test_edge),
        cmocka_unit_test(test_uncertain_ones_do_not_grow),
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_random_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
