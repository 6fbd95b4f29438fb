/* What admission achieves in the model of admission_model.h: model time only. */
#include "tests/unit/executor/limit/admission_model.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FOREVER_MS   INT64_C(100000000)

/* 400 queries of 2 s over a quota of 20. */
static const struct model_config case_a = {
    .queries = 400,
    .quota = 20,
    .duration_ms = 2000,
    .jitter = 0.1,
    .latency_ms = 20,
    .max_calls = 10,
};

static void test_learns_the_quota_in_a_second(void **state) {
    (void)state;
    static const struct {
        int quota;
        int64_t latency_ms;
    } rows[] = {{1, 20},  {2, 50},   {3, 20},  {5, 50},  {20, 20},
                {20, 50}, {20, 150}, {50, 50}, {100, 20}};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct model m;
            struct model_config c = case_a;
            c.quota = rows[i].quota;
            c.latency_ms = rows[i].latency_ms;
            c.duration_ms = 10000;
            c.seed = seed;
            model_open(&m, &c);
            model_run(&m, 1000);
            if (m.a.cold || m.a.limit != c.quota || m.a.running != c.quota)
                fail_msg("quota %d, round trip %d ms: limit %d, held %d", c.quota,
                         (int)c.latency_ms, m.a.limit, m.a.running);
            assert_in_range(m.throttled, 1, c.queries / 40);
            model_close(&m);
        }
}

static void test_case_a(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct model m;
        struct model_config c = case_a;
        c.seed = seed;
        model_open(&m, &c);
        model_run(&m, FOREVER_MS);
        if (m.done != c.queries || model_ratio(&m) >= 1.10 || model_waste(&m) >= 0.05)
            fail_msg("seed %" PRIu64 ": time %.3f of the ideal, %.3f wasted", seed, model_ratio(&m),
                     model_waste(&m));
        model_close(&m);
    }
}

/* 100 queries of 10 s over a quota of 5: probes by time must not add up over a long burst. */
static void test_long_queries(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct model m;
        struct model_config c = case_a;
        c.queries = 100;
        c.quota = 5;
        c.duration_ms = 10000;
        c.seed = seed;
        model_open(&m, &c);
        model_run(&m, FOREVER_MS);
        if (m.done != c.queries || model_ratio(&m) >= 1.08 || model_waste(&m) > 0.04)
            fail_msg("seed %" PRIu64 ": time %.3f of the ideal, %.3f wasted", seed, model_ratio(&m),
                     model_waste(&m));
        model_close(&m);
    }
}

/* --- latency ---------------------------------------------------------------------------------- */

enum {
    SEEDS = 2
};

static const int latencies_ms[] = {15, 50, 100, 250, 500};

struct achieved {
    double ratio, known; /* time by the ideal; had the quota been known from the beginning */
    double waste;
    int64_t rate_waited_ms; /* the longest that the API's rate has refused a query */
};

static double ratio_had_it_been_known(const struct model_config *c) {
    struct model m;
    model_open(&m, c);
    m.a.limit = c->quota;
    m.a.cold = m.a.growing = false;
    model_run(&m, FOREVER_MS);
    double ratio = model_ratio(&m);
    model_close(&m);
    return ratio;
}

static struct achieved achieve(const struct model_config *config) {
    struct achieved got = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct model m;
        struct model_config c = *config;
        c.seed = seed;
        model_open(&m, &c);
        model_run(&m, FOREVER_MS);
        assert_int_equal(m.done, c.queries);
        got.ratio += model_ratio(&m) / SEEDS;
        got.waste += model_waste(&m) / SEEDS;
        got.known += ratio_had_it_been_known(&c) / SEEDS;
        got.rate_waited_ms = m.rate_waited_us / 1000 > got.rate_waited_ms ? m.rate_waited_us / 1000
                                                                          : got.rate_waited_ms;
        model_close(&m);
    }
    print_message("%4d calls at once, rate %2d, quota %3d, a start %3d ms, a look %3d ms: time "
                  "%.3f, %.3f had it been known; %.1f %% throttled\n",
                  config->max_calls, (int)config->rate, config->quota, (int)config->latency_ms,
                  (int)config->poll_ms, got.ratio, got.known, 100 * got.waste);
    return got;
}

/* Of `got.known` the time may be so much longer where that is more than the least. */
static void expect_time(const struct achieved *got, double least, double by_known) {
    double most = got->known * by_known;
    if (got->ratio > (most > least ? most : least) || got->waste > 0.04)
        fail_msg("time %.3f of the ideal, %.3f had it been known; %.3f throttled", got->ratio,
                 got->known, got->waste);
}

/* 1,000 queries of 2 s; Athena acts at once, and looks at what runs take 50 ms at most. */
static struct model_config burst(int quota, int64_t latency_ms) {
    return (struct model_config){.queries = 1000,
                                 .quota = quota,
                                 .duration_ms = 2000,
                                 .jitter = 0.1,
                                 .latency_ms = latency_ms,
                                 .poll_ms = latency_ms < 50 ? latency_ms : 50,
                                 .acts_at_once = true,
                                 .max_calls = 50};
}

/*
 * A burst that is worth 1.10 of the ideal is done in that. Where an executor that knows the quota
 * needs more - the last queries end one by one, or 50 calls at once are too few for the quota -
 * learning it costs little beside that. At most 4 % of the calls are throttled.
 */
static void test_burst(void **state) {
    (void)state;
    static const struct {
        int quota;
        double by_known;
    } rows[] = {{5, 1.01}, {20, 1.01}, {100, 1.035}, {500, 1.23}};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t j = 0; j < COUNT(latencies_ms); j++) {
            struct model_config c = burst(rows[i].quota, latencies_ms[j]);
            struct achieved got = achieve(&c);
            expect_time(&got, 1.10, rows[i].by_known);
        }
}

/* All queries take equally long, so they end in waves. */
static void test_burst_in_waves(void **state) {
    (void)state;
    static const struct {
        int quota;
        int64_t latency_ms;
        double ratio;
    } rows[] = {{5, 15, 1.06},    {5, 250, 1.06},  {20, 15, 1.06},   {20, 250, 1.06},
                {100, 15, 1.10},  {100, 50, 1.10}, {100, 100, 1.10}, {100, 250, 1.10},
                {100, 500, 1.15}, {500, 250, 2.10}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct model_config c = burst(rows[i].quota, rows[i].latency_ms);
        c.jitter = 0;
        struct achieved got = achieve(&c);
        expect_time(&got, rows[i].ratio, 0);
    }
}

/*
 * Looks take as long as starts. A slot is idle from the end of a query until Athena was asked for
 * it, and then for the latency: an executor that knows the quota cannot be faster.
 */
static void test_burst_with_slow_looks(void **state) {
    (void)state;
    static const int quotas[] = {5, 20, 100};
    for (size_t i = 0; i < COUNT(quotas); i++)
        for (size_t j = 0; j < COUNT(latencies_ms); j++) {
            struct model_config c = burst(quotas[i], latencies_ms[j]);
            c.poll_ms = latencies_ms[j];
            c.acts_at_once = false;
            struct achieved got = achieve(&c);
            expect_time(&got, 1.10, 1.025);
        }
}

/* MAX_IN_FLIGHT 10: ten calls at once bound the starts a second. */
static void test_burst_with_ten_calls(void **state) {
    (void)state;
    static const int quotas[] = {5, 20, 100, 500};
    for (size_t i = 0; i < COUNT(quotas); i++)
        for (size_t j = 0; j < COUNT(latencies_ms); j++) {
            struct model_config c = burst(quotas[i], latencies_ms[j]);
            c.max_calls = 10;
            struct achieved got = achieve(&c);
            expect_time(&got, 1.10, quotas[i] < 500 ? 1.01 : 1.08);
        }
}

/*
 * Ten calls of 0.4 s at once, 40 queries. Where the slots are known to be free all ten are used
 * from the beginning, else as soon as ten have started.
 */
static void test_few_queries_and_slow_calls(void **state) {
    (void)state;
    for (int known = 0; known < 2; known++) {
        struct model m;
        struct model_config c = burst(known ? 40 : 1000, 400);
        c.queries = 40;
        c.max_calls = 10;
        c.seed = 1;
        model_open(&m, &c);
        if (known) {
            m.a.limit = c.quota;
            m.a.cold = m.a.growing = false;
        }
        model_run(&m, 100);
        assert_int_equal(m.max_calls_now, known ? 10 : 4);
        model_run(&m, known ? 1600 : 2500);
        assert_int_equal(m.max_calls_now, 10);
        assert_int_equal(m.calls, 40);
        assert_int_equal(m.calls_now, 0);
        model_close(&m);
    }
}

/*
 * The API allows 20 calls a second, 80 at once. Whoever is refused for that waits for a moment, and
 * not for the redriver: THROTTLE_PATIENCE_MS is 30 s.
 */
static void test_burst_with_the_api_rate(void **state) {
    (void)state;
    static const int quotas[] = {5, 20, 100, 500};
    for (size_t i = 0; i < COUNT(quotas); i++)
        for (size_t j = 0; j < COUNT(latencies_ms); j++) {
            struct model_config c = burst(quotas[i], latencies_ms[j]);
            c.rate = 20;
            struct achieved got = achieve(&c);
            double ideal_s = 2000.0 / c.quota, starting_s = (1000 - 80) / c.rate;
            expect_time(&got, 1.10 * (starting_s + 2) / ideal_s, 1.01);
            assert_in_range(got.rate_waited_ms, 0, 10000);
        }
}

/* --- a quota that moves ----------------------------------------------------------------------- */

/* The limit is within a twentieth of the quota, or 1, from `within_ms` after the change on. */
static void expect_limit(struct model *m, int64_t from_ms, int64_t within_ms, int64_t until_ms) {
    int off = m->quota > 20 ? m->quota / 20 : 1;
    model_run(m, from_ms + within_ms);
    for (int64_t ms = from_ms + within_ms; ms <= until_ms; ms += 100) {
        model_run(m, ms);
        if (m->a.limit < m->quota - off || m->a.limit > m->quota + off)
            fail_msg("seed %" PRIu64 ": quota %d, limit %d %d ms after the change", m->c.seed,
                     m->quota, m->a.limit, (int)(ms - from_ms));
    }
}

/* Others take half of the quota and give it back. */
static void test_follows_the_quota(void **state) {
    (void)state;
    static const struct {
        int quota;
        int64_t latency_ms, halved_ms, doubled_ms;
    } rows[] = {{4, 20, 4000, 9000},  {10, 20, 4000, 5000},   {20, 20, 3000, 6000},
                {60, 20, 5000, 4000}, {20, 250, 5000, 10000}, {60, 250, 5000, 10000}};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct model m;
            struct model_config c = case_a;
            c.queries = 3000;
            c.quota = rows[i].quota;
            c.latency_ms = rows[i].latency_ms;
            c.seed = seed;
            model_open(&m, &c);
            expect_limit(&m, 0, rows[i].latency_ms < 100 ? 1000 : 4000, 20000);
            m.quota /= 2;
            expect_limit(&m, 20000, rows[i].halved_ms, 40000);
            m.quota *= 2;
            expect_limit(&m, 40000, rows[i].doubled_ms, 75000);
            model_close(&m);
        }
}

/* Others use all of the quota: one probe every 2 s, and on as soon as there is room. */
static void test_quota_of_none(void **state) {
    (void)state;
    struct model m;
    struct model_config c = case_a;
    c.seed = 1;
    model_open(&m, &c);
    m.quota = 0;
    model_run(&m, 40000);
    assert_int_equal(m.a.limit, 0);
    assert_in_range(m.calls, 20, 24);
    m.quota = 20;
    model_run(&m, 44000);
    assert_int_equal(m.a.limit, 20);
    model_close(&m);
}

/*
 * Any quota, any duration, calls lost and refused: the counts agree (model_run() checks) and all
 * queries end, each started once.
 */
static void test_faults(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct model m;
        uint64_t random = seed * 1000;
        struct model_config c = case_a;
        c.seed = seed;
        c.queries = 50 + (int)(model_random(&random) % 250);
        c.quota = 1 + (int)(model_random(&random) % 60);
        c.duration_ms = 100 + (int64_t)(model_random(&random) % 5000);
        c.tail = 1 + (int)(model_random(&random) % 8);
        c.latency_ms = 5 + (int64_t)(model_random(&random) % 150);
        c.max_calls = 1 + (int)(model_random(&random) % 20);
        c.lost = (double)(model_random(&random) % 5) / 10;
        c.refused = (double)(model_random(&random) % 5) / 10;
        c.found = (int)(model_random(&random) % (unsigned)(c.quota + 1));
        c.found = c.found < c.queries ? c.found : 0;
        model_open(&m, &c);
        for (int64_t ms = 0; m.done < c.queries && ms < FOREVER_MS; ms += 5000) {
            model_run(&m, ms);
            m.quota = 1 + (int)(model_random(&random) % (unsigned)c.quota);
        }
        if (m.done != c.queries)
            fail_msg("seed %" PRIu64 ": %d of %d ended", seed, m.done, c.queries);
        assert_int_equal(m.a.running, 0);
        assert_int_equal(m.a.calls, 0);
        model_close(&m);
    }
}

/* A third of the answers lost: still near the ideal. */
static void test_lost_answers(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct model m;
        struct model_config c = case_a;
        c.lost = 0.3;
        c.seed = seed;
        model_open(&m, &c);
        model_run(&m, FOREVER_MS);
        if (model_ratio(&m) >= 1.15 || model_waste(&m) >= 0.06)
            fail_msg("seed %" PRIu64 ": time %.3f of the ideal, %.3f wasted", seed, model_ratio(&m),
                     model_waste(&m));
        model_close(&m);
    }
}

/* All answers are lost for 30 s: few queries are started meanwhile, and then all goes on. */
static void test_outage(void **state) {
    (void)state;
    for (int64_t from_ms = 0; from_ms <= 10000; from_ms += 10000) {
        struct model m;
        struct model_config c = case_a;
        c.seed = 3;
        model_open(&m, &c);
        model_run(&m, from_ms);
        m.c.lost = 1;
        model_run(&m, from_ms + 30000);
        assert_true(m.max_held <= (from_ms == 0 ? 10 : c.quota + 5));
        m.c.lost = 0;
        model_run(&m, FOREVER_MS);
        int64_t ideal_ms = 30000 + 40000;
        if (m.end_us / 1000 > ideal_ms + 6000)
            fail_msg("an outage at %d ms: %d ms", (int)from_ms, (int)(m.end_us / 1000));
        model_close(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns_the_quota_in_a_second),
        cmocka_unit_test(test_case_a),
        cmocka_unit_test(test_long_queries),
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_burst_in_waves),
        cmocka_unit_test(test_burst_with_slow_looks),
        cmocka_unit_test(test_burst_with_ten_calls),
        cmocka_unit_test(test_few_queries_and_slow_calls),
        cmocka_unit_test(test_burst_with_the_api_rate),
        cmocka_unit_test(test_follows_the_quota),
        cmocka_unit_test(test_quota_of_none),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_lost_answers),
        cmocka_unit_test(test_outage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
