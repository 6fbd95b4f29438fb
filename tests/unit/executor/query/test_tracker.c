/* What runs is looked at until it has ended, by calls that do not wait for one another. */
#include "tests/unit/executor/stubs.h"

#include <stdio.h>

#include "executor/metrics.h"
#include "executor/query/job_state.h"
#include "executor/query/tracker.h"

enum {
    EVERY_MS = 100 /* a call, at the most; and a sweep while no duration is known */
};

static struct {
    struct loop *loop;
    struct kafka_options kafka;
    struct slots slots;
    struct gate gate;
    struct jobs jobs;
    struct settler settler;
    struct tracker tracker;
    struct status_view *view;
    struct metric metrics[EXECUTOR_METRICS];
    struct partition partition;
    int changed, begun, over;
    uint64_t last_over;
    int peak;
} t;

static void on_finished(void *arg, struct partition *p, int64_t offset) {
    (void)arg;
    (void)p;
    (void)offset;
}

static void on_change(void *arg) {
    (void)arg;
    t.changed++;
}

static void on_sweep_begins(void *arg, const struct sweep *s) {
    (void)arg;
    (void)s;
    t.begun++;
}

static void on_sweep_ends(void *arg, const struct sweep *s) {
    (void)arg;
    t.over++;
    t.last_over = s->number;
    t.peak = tracker_peak(&t.tracker, s, LANE_DML, ADMISSION_ANY_GENERATION);
}

static int begin(void **state) {
    (void)state;
    stubs_reset();
    memset(&t, 0, sizeof t);
    t.loop = loop_open();
    t.view = status_view_open(1000);
    t.kafka.names.topics[TOPIC_STATUS] = "athena-query-status";
    TAILQ_INIT(&t.partition.jobs);
    executor_metrics_init(t.metrics);
    slots_init(&t.slots, 0, true);
    const struct jobs_events jobs_events = {on_finished, on_change, NULL};
    const struct gate_events gate_events = {on_change, on_change, NULL};
    const struct tracker_parts parts = {
        .loop = t.loop,
        .jobs = &t.jobs,
        .slots = &t.slots,
        .gate = &t.gate,
        .settler = &t.settler,
        .metrics = t.metrics,
        .sweep_begins = on_sweep_begins,
        .sweep_ends = on_sweep_ends,
        .changed = on_change,
    };
    jobs_init(&t.jobs, t.loop, &t.slots, &jobs_events);
    gate_init(&t.gate, t.loop, NULL, &gate_events);
    t.settler =
        (struct settler){.loop = t.loop, .kafka = &t.kafka, .view = t.view, .metrics = t.metrics};
    tracker_init(&t.tracker, &parts);
    return 0;
}

static int end(void **state) {
    (void)state;
    tracker_close(&t.tracker);
    gate_close(&t.gate);
    while (!TAILQ_EMPTY(&t.partition.jobs))
        job_drop(TAILQ_FIRST(&t.partition.jobs));
    for (size_t i = 0; i < stub_producer.count; i++)
        if (stub_producer.sends[i].open)
            stub_producer_report(&stub_producer.sends[i], RD_KAFKA_RESP_ERR__PURGE_QUEUE);
    jobs_close(&t.jobs);
    status_view_close(t.view);
    loop_close(t.loop);
    stubs_reset();
    return 0;
}

/* A query that runs as this execution. */
static struct job *run(const char *id) {
    struct job *job = job_new(&t.jobs, &t.partition);
    strcpy(job->id.query_id, id);
    job->execution_id = mem_string(id);
    job_transition(job, JOB_WAITING);
    job_transition(job, JOB_STARTING);
    slot_hold(&t.slots, job->lane, &job->slot);
    tracker_add(&t.tracker, job);
    return job;
}

static void run_many(int count) {
    char id[16];
    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof id, "q%d", i);
        run(id);
    }
}

/* Until so many calls have been made, ten seconds at most. */
static void await_calls(size_t count) {
    for (int i = 0; i < 1000 && stub_aws.count < count; i++)
        stub_run(t.loop, 10);
    assert_int_equal(stub_aws.count, count);
}

static int ids_in(size_t call) {
    int count = 0;
    for (const char *at = stub_aws.calls[call].body; (at = strchr(at, 'q')) != NULL; at++)
        count++;
    return count;
}

static bool asks_for(size_t call, const char *id) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\"", id);
    return strstr(stub_aws.calls[call].body, quoted) != NULL;
}

/* Answers for the queries from `first` on: submitted at 1000 + their number, ended if `at` > 0. */
static void answer(size_t call, int first, int count, double completed) {
    static char body[POLL_MAX * 200];
    char *out = body + snprintf(body, sizeof body, "{\"QueryExecutions\":[");
    for (int i = first; i < first + count; i++) {
        out += sprintf(out, "%s{\"QueryExecutionId\":\"q%d\",\"Status\":{\"State\":\"%s\",",
                       i > first ? "," : "", i, completed > 0 ? "SUCCEEDED" : "RUNNING");
        if (completed > 0)
            out += sprintf(out, "\"CompletionDateTime\":%.3f,", completed);
        out += sprintf(out, "\"SubmissionDateTime\":%d}}", 1000 + i);
    }
    sprintf(out, "],\"UnprocessedQueryExecutionIds\":[]}");
    stub_aws_answer(&stub_aws.calls[call], 200, "", body);
}

static void test_until_it_has_ended(void **state) {
    (void)state;
    struct job *job = run("q0");
    assert_int_equal(stub_aws.count, 0); /* not at once */
    await_calls(1);
    assert_true(asks_for(0, "q0"));
    answer(0, 0, 1, 0);
    assert_int_equal(t.over, 1);
    assert_int_equal(t.peak, 1);
    assert_int_equal(job->state, JOB_RUNNING);
    await_calls(2);
    answer(1, 0, 1, 1002);
    assert_int_equal(job->state, JOB_SETTLING);
    assert_int_equal(slots_taken(&t.slots), 0);
    assert_int_equal(tracker_active_at(&t.tracker, LANE_DML, 1001), 1);
    assert_int_equal(tracker_active_at(&t.tracker, LANE_DML, 1002), 0);
    assert_int_equal(t.over, 2);
    assert_true(t.changed >= 2);
}

/* No answer comes, and it is asked for again and again; as many calls are under way as may be. */
static void test_calls_do_not_wait_for_one_another(void **state) {
    (void)state;
    run("q0");
    await_calls(TRACKER_POLLS);
    for (size_t i = 0; i < TRACKER_POLLS; i++)
        assert_true(asks_for(i, "q0") && stub_aws.calls[i].open);
    stub_run(t.loop, 3 * EVERY_MS);
    assert_int_equal(stub_aws.count, TRACKER_POLLS);
    /* The answer to a later call comes first, and says more than the earlier ones. */
    answer(5, 0, 1, 1001);
    assert_int_equal(jobs_followed(&t.jobs), 0);
    for (size_t i = 0; i < TRACKER_POLLS; i++)
        if (i != 5)
            answer(i, 0, 1, 0);
    assert_int_equal(t.over, TRACKER_POLLS);
    assert_int_equal(t.begun, TRACKER_POLLS);
    assert_int_equal(slots_taken(&t.slots), 0);
}

/* A sweep of more than a call; the next one begins while its answers are under way. */
static void test_sweeps_overlap(void **state) {
    (void)state;
    run_many(120);
    await_calls(3);
    assert_int_equal(ids_in(0) + ids_in(1) + ids_in(2), 120 + 20); /* some are asked for again */
    assert_int_equal(t.begun, 1);
    await_calls(4);
    assert_int_equal(t.begun, 2);
    answer(0, 0, 50, 0);
    answer(2, 70, 50, 0);
    assert_int_equal(t.over, 0);
    answer(1, 40, 40, 0);
    assert_int_equal(t.over, 1);
    assert_int_equal(t.last_over, 1);
    assert_int_equal(t.peak, 120);
}

/* What has hardly ended is not asked for while there is something that may have. */
static void test_what_may_have_ended_comes_first(void **state) {
    (void)state;
    for (int i = 0; i < POLL_PACE_DURATIONS; i++)
        poll_pace_ended(&t.tracker.pace, 0.3);
    run_many(60);
    for (struct job *job = TAILQ_FIRST(&t.jobs.running); job != NULL;
         job = TAILQ_NEXT(job, in_list))
        if (atoi(job->execution_id + 1) >= 55)
            job->started_ms -= 10000;
    await_calls(3);
    for (size_t call = 0; call < 3; call++)
        for (int i = 55; i < 60; i++) {
            char id[16];
            snprintf(id, sizeof id, "q%d", i);
            assert_true(asks_for(call, id));
        }
    assert_int_equal(ids_in(0), 50);
    assert_int_equal(ids_in(1), 15); /* with these the sweep has asked for all */
}

/* A query of which Athena reports nothing counts as active, but not for ever. */
static void test_unreported(void **state) {
    (void)state;
    struct job *job = run("q0");
    job->unreported = 98;
    for (size_t call = 0; call < 3; call++) {
        await_calls(call + 1);
        assert_int_equal(slots_taken(&t.slots), 1);
        answer(call, 0, 0, 0);
        assert_int_equal(t.peak, job->unreported <= 100);
    }
    assert_int_equal(slots_taken(&t.slots), 0);
    assert_int_equal(job->state, JOB_RUNNING);
}

/* A call that failed is no news; nor is a sweep during which one that ran was handed over. */
static void test_sweeps_that_saw_not_all(void **state) {
    (void)state;
    run("q0");
    await_calls(1);
    stub_aws_answer(&stub_aws.calls[0], 500, "InternalServerException", "{}");
    assert_int_equal(t.over, 0);
    await_calls(2);
    run("q1");
    job_drop(TAILQ_LAST(&t.partition.jobs, job_list));
    answer(1, 0, 1, 0);
    assert_int_equal(t.over, 0);
    await_calls(3);
    answer(2, 0, 1, 0);
    assert_int_equal(t.over, 1);
}

static void answer_too_long(size_t call) {
    const struct aws_answer answer = {
        .http = {.result = HTTP_LOST, .status = 200, .body = "", .error = "", .too_long = true},
        .code = "",
        .message = "",
        .reason = "",
        .athena_code = "",
    };
    stub_aws.calls[call].open = false;
    stub_aws.calls[call].fn(stub_aws.calls[call].arg, &answer);
}

/* What 20 have to say is longer than an answer may be; what ten have is not. */
static void test_an_answer_that_is_too_long(void **state) {
    (void)state;
    run_many(20);
    await_calls(1);
    assert_int_equal(ids_in(0), 20);
    answer_too_long(0);
    for (size_t call = 1; call < 3; call++) {
        await_calls(call + 1);
        assert_int_equal(ids_in(call), 10);
        answer(call, 0, 20, 1100);
    }
    assert_int_equal(jobs_followed(&t.jobs), 0);
}

/* One id may spoil a call for the others: it is asked for with fewer and fewer, at last alone. */
static void test_one_that_spoils_a_call(void **state) {
    (void)state;
    bool alone = false;
    run_many(20);
    for (size_t call = 0; call < 40; call++) {
        await_calls(call + 1);
        if (!asks_for(call, "q13")) {
            answer(call, 0, 20, 0);
            continue;
        }
        alone |= ids_in(call) == 1;
        stub_aws_answer(&stub_aws.calls[call], 400, "InvalidRequestException", "{}");
    }
    assert_true(alone);
    for (struct job *job = TAILQ_FIRST(&t.jobs.running); job != NULL;
         job = TAILQ_NEXT(job, in_list))
        assert_int_equal(job->batch_max > 0, strcmp(job->execution_id, "q13") == 0);
}

/* The same query posted twice: two jobs, one execution. */
static void test_two_jobs_of_one_execution(void **state) {
    (void)state;
    const struct job *one = run("q0"), *two = run("q0");
    await_calls(1);
    assert_int_equal(ids_in(0), 1);
    answer(0, 0, 1, 1005);
    assert_int_equal(one->state, JOB_SETTLING);
    assert_int_equal(two->state, JOB_SETTLING);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_until_it_has_ended, begin, end),
        cmocka_unit_test_setup_teardown(test_calls_do_not_wait_for_one_another, begin, end),
        cmocka_unit_test_setup_teardown(test_sweeps_overlap, begin, end),
        cmocka_unit_test_setup_teardown(test_what_may_have_ended_comes_first, begin, end),
        cmocka_unit_test_setup_teardown(test_unreported, begin, end),
        cmocka_unit_test_setup_teardown(test_sweeps_that_saw_not_all, begin, end),
        cmocka_unit_test_setup_teardown(test_an_answer_that_is_too_long, begin, end),
        cmocka_unit_test_setup_teardown(test_one_that_spoils_a_call, begin, end),
        cmocka_unit_test_setup_teardown(test_two_jobs_of_one_execution, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
