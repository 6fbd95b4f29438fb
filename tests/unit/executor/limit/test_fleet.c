/* The fleet in the model of fleet_model.h: how fast it works, and what it does when parts fail. */
#include "tests/unit/executor/limit/fleet_model.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static double waste(const struct model *m) {
    return m->calls > 0 ? (double)m->throttled / m->calls : 0;
}

static void run_all(struct model *m, int queries, int64_t most_ms) {
    while (m->done < queries && m->now_ms < most_ms)
        model_run(m, m->now_ms + 10);
    if (m->done < queries)
        fail_msg("%d of %d ended in %d ms", m->done, queries, (int)m->now_ms);
}

static void test_four_share_one_quota(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int quota;
        int64_t duration_ms;
        int backlog[4];
        double ratio, waste;
    } rows[] = {
        {"even", 20, 2000, {100, 100, 100, 100}, 1.10, 0.04},
        {"70/10/10/10", 20, 2000, {280, 40, 40, 40}, 1.10, 0.04},
        {"10/10/10/70", 20, 2000, {40, 40, 40, 280}, 1.10, 0.04},
        {"all with one", 20, 2000, {0, 400, 0, 0}, 1.10, 0.04},
        {"fewer slots than members", 3, 2000, {20, 20, 20, 20}, 1.20, 0.09},
        {"large", 100, 5000, {500, 500, 500, 500}, 1.10, 0.04},
    };
    for (size_t r = 0; r < COUNT(rows); r++)
        for (uint64_t seed = 1; seed <= 4; seed++) {
            struct model *m = model_open(rows[r].quota, rows[r].duration_ms, seed);
            int queries = 0;
            for (size_t i = 0; i < 4; i++) {
                model_add(m, rows[r].backlog[i]);
                queries += rows[r].backlog[i];
            }
            model_own(m, seed % 4);
            run_all(m, queries, 1000000);
            double ideal_ms = (double)queries / rows[r].quota * (double)rows[r].duration_ms;
            double ratio = (double)m->now_ms / ideal_ms;
            print_message("%-24s seed %d: time %.3f wasted %.3f records/s %.1f\n", rows[r].name,
                          (int)seed, ratio, waste(m),
                          (double)m->log_count * 1000 / (double)m->now_ms);
            if (ratio > rows[r].ratio || waste(m) > rows[r].waste)
                fail_msg("%s, seed %d: time %.3f of the ideal, %.3f wasted", rows[r].name,
                         (int)seed, ratio, waste(m));
            model_close(m);
        }
}

/*
 * 1,000 queries of 2 s, evenly with four executors. A slot is idle from an end until a look has
 * shown it, the last queries end one by one, and 500 slots are not filled before the first queries
 * end: these are near what that leaves.
 */
static void test_four_share_one_quota_at_any_latency(void **state) {
    (void)state;
    static const struct {
        int quota;
        int64_t latency_ms, look_ms;
        double ratio;
    } rows[] = {
        {5, 15, 15, 1.05},    {5, 50, 50, 1.06},    {5, 250, 50, 1.06},    {5, 500, 50, 1.06},
        {20, 15, 15, 1.06},   {20, 50, 50, 1.07},   {20, 100, 50, 1.07},   {20, 250, 50, 1.08},
        {20, 500, 50, 1.07},  {100, 15, 15, 1.11},  {100, 50, 50, 1.14},   {100, 100, 50, 1.14},
        {100, 250, 50, 1.15}, {100, 500, 50, 1.18}, {500, 15, 15, 1.45},   {500, 50, 50, 1.70},
        {500, 250, 50, 2.35}, {20, 250, 250, 1.14}, {100, 250, 250, 1.21},
    };
    for (size_t r = 0; r < COUNT(rows); r++)
        for (uint64_t seed = 1; seed <= 2; seed++) {
            struct model *m = model_open(rows[r].quota, 2000, seed);
            m->latency_ms = rows[r].latency_ms;
            m->look_ms = rows[r].look_ms;
            m->max_calls = 50;
            for (size_t i = 0; i < 4; i++)
                model_add(m, 250);
            model_own(m, seed % 4);
            run_all(m, 1000, 1000000);
            double ratio = (double)m->now_ms / (1000.0 / rows[r].quota * 2000);
            print_message("quota %3d, a start %3d ms, a look %3d ms: time %.3f, %.1f %% throttled, "
                          "%.1f records/s\n",
                          rows[r].quota, (int)rows[r].latency_ms, (int)rows[r].look_ms, ratio,
                          100 * waste(m), (double)m->log_count * 1000 / (double)m->now_ms);
            if (ratio > rows[r].ratio || waste(m) > 0.04)
                fail_msg("seed %d: time %.3f of the ideal, %.3f throttled", (int)seed, ratio,
                         waste(m));
            model_close(m);
        }
}

/*
 * A cold limit is raised by what members report to run: at 500 ms they do so before their share is
 * full. And the quota is not taken for less because calls of then are not answered yet.
 */
static void test_slow_calls_while_cold(void **state) {
    (void)state;
    static const struct {
        int quota;
        int64_t until_ms;
    } rows[] = {{5, 3500}, {20, 3500}, {60, 5500}};
    for (size_t r = 0; r < COUNT(rows); r++)
        for (uint64_t seed = 1; seed <= 8; seed++) {
            struct model *m = model_open(rows[r].quota, 5000, seed);
            m->latency_ms = 500;
            m->look_ms = 50;
            m->max_calls = 50;
            for (size_t i = 0; i < 4; i++)
                model_add(m, 250);
            model_own(m, seed % 4);
            model_run(m, rows[r].until_ms);
            int limit = m->executors[m->leader].fleet.leader.quota[LANE_DML].limit;
            if (limit != rows[r].quota)
                fail_msg("seed %d: limit %d, quota %d", (int)seed, limit, rows[r].quota);
            model_close(m);
        }
}

static struct model *model_of_four(uint64_t seed) {
    struct model *m = model_open(20, 2000, seed);
    for (size_t i = 0; i < 4; i++)
        model_add(m, 400);
    model_own(m, seed % 4);
    return m;
}

static const struct quota *leader_quota(const struct model *m) {
    return &m->executors[m->leader].fleet.leader.quota[LANE_DML];
}

static void test_quota_is_learned_in_a_second_and_followed(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct model *m = model_of_four(seed);
        model_run(m, 1000);
        assert_int_equal(leader_quota(m)->limit, 20);
        model_run(m, 12000);
        m->quota = 10;
        model_run(m, 16000);
        for (int64_t ms = 16000; ms <= 26000; ms += 100) {
            model_run(m, ms);
            assert_in_range(leader_quota(m)->limit, 9, 11);
        }
        m->quota = 20;
        model_run(m, 46000);
        assert_in_range(leader_quota(m)->limit, 19, 21);
        model_close(m);
    }
}

/* Where answers take long, too. */
static void test_quota_is_followed_at_any_latency(void **state) {
    (void)state;
    static const int64_t latencies_ms[] = {100, 250, 500};
    for (size_t i = 0; i < COUNT(latencies_ms); i++) {
        struct model *m = model_of_four(1);
        for (size_t e = 0; e < 4; e++)
            m->executors[e].backlog = 20000;
        m->latency_ms = latencies_ms[i];
        model_run(m, 5000);
        assert_in_range(leader_quota(m)->limit, 19, 21);
        model_run(m, 12000);
        m->quota = 10;
        model_run(m, 18000);
        assert_in_range(leader_quota(m)->limit, 8, 12);
        model_run(m, 26000);
        m->quota = 20;
        model_run(m, 46000);
        assert_in_range(leader_quota(m)->limit, 18, 22);
        model_close(m);
    }
}

/*
 * `to` takes over the partitions of `from`: it finds the queries that run and has the records that
 * wait. A call that was under way is made again with the same token, so its query counts as
 * running.
 */
static void take_over(struct model_executor *from, struct model_executor *to) {
    for (size_t i = 0; i < from->running; i++) {
        struct model_query q = from->queries[i];
        if (q.refused) {
            to->backlog++;
            continue;
        }
        q.calling = q.seen = false;
        to->queries[to->running++] = q;
        admission_found(&to->a[0]);
    }
    to->backlog += from->backlog;
    from->running = 0;
    from->backlog = 0;
}

static void test_leader_killed(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct model *m = model_of_four(seed);
        size_t successor = (seed + 1) % 4;
        model_run(m, 5000 + (int64_t)seed * 13);
        struct model_executor *dead = &m->executors[m->leader];
        dead->alive = false;
        /* The group needs eight to fourteen seconds to reassign the partitions of a dead member. */
        model_run(m, m->now_ms + 8000 + (int64_t)(seed % 3) * 3000);
        take_over(dead, &m->executors[successor]);
        model_own(m, successor);
        model_run(m, m->now_ms + 1000);
        assert_true(m->executors[successor].fleet.leader.leads);
        assert_in_range(leader_quota(m)->limit, 15, 21);
        run_all(m, 1600, 200000);
        for (size_t r = 0; r < m->log_count; r++) /* no member that lives was forgotten */
            assert_true(m->log[r].kind != RECORD_LEAVE ||
                        strcmp(m->log[r].id, dead->fleet.view.id) == 0);
        assert_true(waste(m) < 0.05);
        model_close(m);
    }
}

/* A leader slept and was replaced. It wakes up and still grants shares: nobody obeys. */
static void test_replaced_leader_is_ignored(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct model *m = model_of_four(seed);
        size_t old = m->leader, successor = (seed + 1) % 4;
        model_run(m, 5000);
        struct model_executor *sleeper = &m->executors[old];
        sleeper->paused = true;
        model_run(m, 15000);
        take_over(sleeper, &m->executors[successor]);
        model_own(m, successor);
        fleet_owns(&sleeper->fleet, true, false); /* it does not know yet */
        model_run(m, 65000);
        int64_t epoch = m->executors[successor].fleet.view.epoch;
        assert_true(m->executors[successor].fleet.leader.leads);
        sleeper->paused = false;
        sleeper->cut_off = true; /* it writes before it has read anything */
        struct fleet_due due;
        const struct fleet_work work[LANES] = {{50, 50}, {0, 0}};
        fleet_step(&sleeper->fleet, m->now_ms, sleeper->a, work, &due);
        assert_true(due.grant && sleeper->fleet.leader.leads);
        assert_false(due.tombstone); /* its own reports are missing, too: it forgets nobody */
        append(m, RECORD_GRANT, sleeper->fleet.view.id, &sleeper->fleet.leader.grant,
               sizeof sleeper->fleet.leader.grant);
        sleeper->cut_off = false;
        fleet_owns(&sleeper->fleet, false, false);
        model_run(m, m->now_ms + 100);
        for (size_t i = 0; i < m->count; i++) {
            assert_int_equal(m->executors[i].fleet.view.epoch, epoch);
            assert_int_equal(m->executors[i].fleet.view.grant.epoch, epoch);
        }
        run_all(m, 1600, 300000);
        model_close(m);
    }
}

/* Without grants a member keeps its share for 30 s, then learns alone until it reads one. */
static void test_no_grants(void **state) {
    (void)state;
    struct model *m = model_of_four(1);
    model_run(m, 10000);
    struct model_executor *e = &m->executors[0];
    assert_true(m->leader != 0 && e->a[0].governed);
    e->cut_off = true;
    int share = e->a[0].share;
    for (; m->now_ms < 39000;) {
        model_run(m, m->now_ms + 500);
        assert_true(e->a[0].governed && e->a[0].share <= share);
    }
    model_run(m, 41100);
    assert_false(e->a[0].governed);
    assert_in_range(e->a[0].limit, 1, 30);
    e->cut_off = false;
    model_run(m, 41200);
    assert_true(e->a[0].governed);
    model_close(m);
}

/* A member reads grants, but its own reports do not arrive: it does not wait for ever. */
static void test_reports_do_not_arrive(void **state) {
    (void)state;
    struct model *m = model_of_four(1);
    struct model_executor *e = model_add(m, 50);
    e->mute = true;
    model_run(m, 29000);
    assert_true(e->a[0].governed && e->a[0].share == 0);
    model_run(m, 31000);
    assert_false(e->a[0].governed);
    e->mute = false;
    model_run(m, 33000);
    assert_true(e->a[0].governed && e->a[0].share > 0);
    model_close(m);
}

/* A member that was forgotten starts nothing until it is granted a share again. */
static void test_forgotten_and_back(void **state) {
    (void)state;
    struct model *m = model_of_four(1);
    struct model_executor *e = &m->executors[(m->leader + 1) % 4];
    model_run(m, 5000);
    assert_true(e->a[0].share > 0);
    e->mute = true;
    model_run(m, 5000 + FLEET_GONE_MS + 2000);
    assert_true(e->a[0].governed && e->a[0].share == 0);
    e->mute = false;
    model_run(m, m->now_ms + 3000);
    assert_true(e->a[0].governed && e->a[0].share > 0);
    model_close(m);
}

/*
 * A member that was forgotten and is back may use its old share until it has read its tombstone.
 * The leader reckons with that share, and does not grant it.
 */
static void test_share_of_a_forgotten_member(void **state) {
    (void)state;
    struct quota q;
    struct quota_member members[2] = {{.share = 0}};
    quota_resume(&q, 0, 6, true);
    quota_inherit(&q, &members[0], 6);
    const struct quota_report all = {.share = 6, .held = 6, .waiting = 40, .backlog = 40};
    const struct quota_report back = {.share = 2, .held = 1, .waiting = 40, .backlog = 40};
    const struct quota_report aware = {.share = 0, .held = 0, .waiting = 40, .backlog = 40};
    quota_take_report(&q, members, 2, 0, &all, 18, 19, 0);
    quota_take_report(&q, members, 2, 1, &back, 7, 19, 0);
    assert_int_equal(quota_bound(&members[1]), 2);
    quota_allot(&q, members, 2, 19, 0);
    assert_int_equal(members[1].next, 0);
    quota_take_report(&q, members, 2, 1, &aware, 7, 19, 0);
    assert_int_equal(quota_bound(&members[1]), 0);
    quota_allot(&q, members, 2, 19, 0);
    assert_int_equal(members[0].next, 3);
    assert_int_equal(members[1].next, 0); /* member 0 still holds what it is to give up */
}

/* An executor that has learned alone is joined by another; either of them leads. */
static void test_one_is_joined(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct model *m = model_open(20, 2000, seed);
        struct model_executor *first = model_add(m, 600);
        model_own(m, 0);
        model_run(m, 8000);
        assert_false(first->a[0].governed);
        assert_int_equal(m->log_count, 0);
        struct model_executor *second = model_add(m, 0);
        second->backlog = first->backlog / 2;
        first->backlog -= second->backlog;
        model_own(m, seed % 2);
        model_run(m, 8000 + 500);
        assert_in_range(leader_quota(m)->limit, 19, 21);
        assert_true(first->a[0].governed && second->a[0].governed);
        run_all(m, 600, 120000);
        if (m->now_ms > 66000 || waste(m) > 0.05)
            fail_msg("seed %d: %d ms, %.3f wasted", (int)seed, (int)m->now_ms, waste(m));
        model_close(m);
    }
}

/*
 * All are killed and others started: what the dead were granted is kept back for three seconds.
 */
static void test_all_killed_and_restarted(void **state) {
    (void)state;
    struct model *m = model_of_four(3);
    model_run(m, 8000);
    for (size_t i = 0; i < 4; i++)
        m->executors[i].alive = false;
    model_run(m, 24000);
    int before = m->done;
    model_add(m, 100);
    model_add(m, 100);
    model_own(m, 4);
    model_run(m, 27300);
    assert_true(m->executors[4].a[0].share + m->executors[5].a[0].share >= 15);
    run_all(m, before + 200, 60000);
    model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_share_one_quota),
        cmocka_unit_test(test_four_share_one_quota_at_any_latency),
        cmocka_unit_test(test_slow_calls_while_cold),
        cmocka_unit_test(test_quota_is_learned_in_a_second_and_followed),
        cmocka_unit_test(test_quota_is_followed_at_any_latency),
        cmocka_unit_test(test_leader_killed),
        cmocka_unit_test(test_replaced_leader_is_ignored),
        cmocka_unit_test(test_no_grants),
        cmocka_unit_test(test_reports_do_not_arrive),
        cmocka_unit_test(test_forgotten_and_back),
        cmocka_unit_test(test_share_of_a_forgotten_member),
        cmocka_unit_test(test_one_is_joined),
        cmocka_unit_test(test_all_killed_and_restarted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
