#include "standins/athena_sim/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/memory.h"

enum {
    SECOND = 1000000
};

static struct sim_identity identity_of(const char *token, uint8_t parameters) {
    struct sim_identity identity = {.token = token};
    identity.fingerprint[0] = identity.sha256[0] = parameters;
    return identity;
}

static struct sim_query *make(const char *token, const char *id, uint8_t parameters,
                              enum sim_lane lane) {
    struct sim_query *q = mem_zero(sizeof *q);
    snprintf(q->id, sizeof q->id, "%s", id);
    q->token = mem_string(token);
    q->fingerprint[0] = q->sha256[0] = parameters;
    q->sql.lane = lane;
    return q;
}

static enum sim_found find(struct sim_state *s, const char *token, uint8_t parameters,
                           enum sim_lane lane, int64_t now_us) {
    struct sim_identity identity = identity_of(token, parameters);
    struct sim_query *found;
    return sim_state_find(s, &identity, lane, now_us, &found);
}

static void test_a_token_starts_once(void **state) {
    (void)state;
    struct sim_state s = {.active = {2, 2}};
    struct sim_identity first = identity_of("a", 1);
    struct sim_query *found;
    assert_int_equal(find(&s, "a", 1, SIM_DML, 0), SIM_FREE);
    sim_state_start(&s, make("a", "id-a", 1, SIM_DML), SECOND, 0);
    assert_int_equal(sim_state_find(&s, &first, SIM_DML, 1, &found), SIM_REPEATED);
    assert_string_equal(found->id, "id-a");
    assert_int_equal(find(&s, "a", 2, SIM_DML, 1), SIM_MISMATCH);
    assert_int_equal(find(&s, "a", 1, SIM_DML, 3600LL * SECOND), SIM_REPEATED);
    assert_int_equal(find(&s, "b", 1, SIM_DML, 3600LL * SECOND), SIM_FREE);
    assert_ptr_equal(sim_state_get(&s, "id-a"), found);
    assert_null(sim_state_get(&s, "id-b"));
    assert_int_equal(s.counts.started, 1);
    assert_int_equal(s.counts.repeated, 2);
    assert_int_equal(s.counts.mismatch, 1);
    sim_state_free(&s);
}

static void test_quotas_hold_what_runs(void **state) {
    (void)state;
    struct sim_state s = {.active = {2, 1}};
    sim_state_start(&s, make("a", "1", 1, SIM_DML), 10 * SECOND, 0);
    sim_state_start(&s, make("b", "2", 1, SIM_DML), 5 * SECOND, 0);
    assert_int_equal(find(&s, "c", 1, SIM_DML, 0), SIM_QUOTA_FULL);
    assert_int_equal(find(&s, "c", 1, SIM_DDL, 0), SIM_FREE);
    sim_state_start(&s, make("c", "3", 1, SIM_DDL), SECOND, 0);
    assert_int_equal(find(&s, "d", 1, SIM_DDL, 0), SIM_QUOTA_FULL);
    /* The token goes before the quota. */
    assert_int_equal(find(&s, "a", 1, SIM_DML, 0), SIM_REPEATED);
    assert_int_equal(find(&s, "a", 2, SIM_DML, 0), SIM_MISMATCH);
    assert_int_equal(find(&s, "d", 1, SIM_DML, 5 * SECOND - 1), SIM_QUOTA_FULL);
    assert_int_equal(find(&s, "d", 1, SIM_DML, 5 * SECOND), SIM_FREE);
    assert_int_equal(s.counts.running[SIM_DML], 1);
    assert_int_equal(s.counts.max_running[SIM_DML], 2);
    assert_int_equal(s.counts.throttled, 3);
    s.active[SIM_DML] = 1;
    assert_int_equal(find(&s, "d", 1, SIM_DML, 5 * SECOND), SIM_QUOTA_FULL);
    s.active[SIM_DML] = 0;
    assert_int_equal(find(&s, "d", 1, SIM_DML, 100LL * SECOND), SIM_QUOTA_FULL);
    assert_int_equal(s.counts.running[SIM_DML] + s.counts.running[SIM_DDL], 0);
    assert_int_equal(s.counts.ended, 3);
    sim_state_free(&s);
}

static void test_a_query_moves_with_the_clock(void **state) {
    (void)state;
    struct sim_state s = {.active = {9, 9}};
    struct sim_query *q = make("a", "1", 1, SIM_DML);
    q->sql.end = SIM_FAILED;
    sim_state_start(&s, q, SECOND, 0);
    assert_string_equal(sim_query_state(q, 0), "QUEUED");
    assert_string_equal(sim_query_state(q, SECOND / 2), "RUNNING");
    sim_state_advance(&s, SECOND - 1);
    assert_string_equal(sim_query_state(q, SECOND - 1), "RUNNING");
    sim_state_advance(&s, SECOND);
    assert_string_equal(sim_query_state(q, SECOND), "FAILED");
    assert_int_equal(s.counts.ended_as[SIM_FAILED], 1);
    /* No time at all: over when it is first looked at. */
    struct sim_query *quick = make("b", "2", 1, SIM_DML);
    sim_state_start(&s, quick, 0, SECOND);
    sim_state_advance(&s, SECOND);
    assert_string_equal(sim_query_state(quick, SECOND), "SUCCEEDED");
    sim_state_free(&s);
}

static void test_stop(void **state) {
    (void)state;
    struct sim_state s = {.active = {9, 9}};
    struct sim_query *q[3];
    const char *names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        q[i] = make(names[i], names[i], 1, SIM_DML);
        sim_state_start(&s, q[i], (i + 1) * SECOND, 0);
    }
    sim_state_stop(&s, q[2], SECOND / 2); /* the last of the heap before the first */
    assert_string_equal(sim_query_state(q[2], SECOND / 2), "CANCELLED");
    assert_int_equal(q[2]->ends_us, SECOND / 2);
    assert_int_equal(s.counts.running[SIM_DML], 2);
    sim_state_stop(&s, q[0], SECOND); /* has just ended by itself */
    assert_string_equal(sim_query_state(q[0], SECOND), "SUCCEEDED");
    sim_state_stop(&s, q[2], SECOND);
    assert_int_equal(s.counts.ended_as[SIM_CANCELLED], 1);
    sim_state_advance(&s, 2 * SECOND);
    assert_int_equal(s.counts.ended, 3);
    sim_state_free(&s);
}

/* Against counting by hand what runs at each moment. */
static void test_many(void **state) {
    (void)state;
    enum {
        QUERIES = 2000
    };
    struct sim_state s = {.active = {1000000, 1000000}};
    static int64_t ends[QUERIES];
    uint32_t random = 1;
    for (int i = 0; i < QUERIES; i++) {
        char name[16];
        random = random * 1664525 + 1013904223;
        int64_t now = i * 1000, run = random >> 12;
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(find(&s, name, 1, SIM_DML, now), SIM_FREE);
        sim_state_start(&s, make(name, name, 1, SIM_DML), run, now);
        ends[i] = now + run;
        uint64_t running = 0;
        for (int j = 0; j <= i; j++)
            running += ends[j] > now;
        sim_state_advance(&s, now);
        assert_int_equal(s.counts.running[SIM_DML], running);
    }
    sim_state_advance(&s, INT64_MAX);
    assert_int_equal(s.counts.ended, QUERIES);
    sim_state_free(&s);
}

static void test_what_is_remembered(void **state) {
    (void)state;
    struct sim_state s = {.active = {1, 1}};
    struct sim_identity same = identity_of("a", 1);
    struct sim_query *found, *twice = make("a", "1", 1, SIM_DML);
    assert_true(sim_state_remember(&s, make("a", "1", 1, SIM_DML)));
    assert_false(sim_state_remember(&s, twice));
    sim_query_free(twice);
    same.fingerprint[0] = 9; /* of what it was made is not known any more, but for the text */
    assert_int_equal(sim_state_find(&s, &same, SIM_DML, 0, &found), SIM_REPEATED);
    assert_string_equal(found->id, "1");
    assert_string_equal(sim_query_state(found, 0), "SUCCEEDED");
    assert_int_equal(find(&s, "a", 2, SIM_DML, 0), SIM_MISMATCH);
    assert_int_equal(s.counts.started, 0);
    assert_int_equal(s.counts.running[SIM_DML], 0);
    assert_int_equal(find(&s, "b", 1, SIM_DML, 0), SIM_FREE);
    /* Two starts with one token, which had been forgotten in between. */
    assert_true(sim_state_remember(&s, make("a", "2", 1, SIM_DML)));
    assert_int_equal(sim_state_find(&s, &same, SIM_DML, 0, &found), SIM_REPEATED);
    assert_string_equal(found->id, "2");
    assert_non_null(sim_state_get(&s, "1"));
    sim_state_free(&s);
}

static void test_tokens_that_are_forgotten(void **state) {
    (void)state;
    struct sim_state s = {.active = {9, 9}};
    sim_state_forget_tokens(&s); /* none is known */
    sim_state_start(&s, make("a", "1", 1, SIM_DML), 100, 0);
    assert_int_equal(find(&s, "a", 1, SIM_DML, 0), SIM_REPEATED);
    sim_state_forget_tokens(&s);
    assert_int_equal(find(&s, "a", 1, SIM_DML, 0), SIM_FREE);
    sim_state_start(&s, make("a", "2", 1, SIM_DML), 100, 0);
    assert_int_equal(find(&s, "a", 1, SIM_DML, 0), SIM_REPEATED);
    assert_int_equal(s.counts.running[SIM_DML], 2);
    sim_state_advance(&s, 100);
    assert_string_equal(sim_query_state(sim_state_get(&s, "1"), 100), "SUCCEEDED");
    assert_string_equal(sim_query_state(sim_state_get(&s, "2"), 100), "SUCCEEDED");
    assert_int_equal(s.counts.ended, 2);
    sim_state_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_token_starts_once),
                                       cmocka_unit_test(test_quotas_hold_what_runs),
                                       cmocka_unit_test(test_a_query_moves_with_the_clock),
                                       cmocka_unit_test(test_stop),
                                       cmocka_unit_test(test_many),
                                       cmocka_unit_test(test_what_is_remembered),
                                       cmocka_unit_test(test_tokens_that_are_forgotten)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
