/* Answers to StartQueryExecution that end their query within the call. */
#include "tests/unit/executor/stubs.h"

#include "executor/metrics.h"
#include "executor/query/answer.h"
#include "executor/query/job_state.h"

static struct {
    struct loop *loop;
    struct executor_config config;
    struct slots slots;
    struct pace pace;
    struct gate gate;
    struct jobs jobs;
    struct settler settler;
    struct tracker tracker;
    struct answers answers;
    struct status_view *view;
    struct metric metrics[EXECUTOR_METRICS];
    struct partition partition;
    int finished, changed;
} t;

static void on_finished(void *arg, struct partition *p, int64_t offset) {
    (void)arg;
    (void)p;
    (void)offset;
    t.finished++;
}

static void on_change(void *arg) {
    (void)arg;
    t.changed++;
}

static void on_sweep_ends(void *arg, bool sound) {
    (void)arg;
    (void)sound;
}

static void wire(void) {
    const struct jobs_events jobs_events = {on_finished, on_change, NULL};
    const struct gate_events gate_events = {on_change, on_change, NULL};
    const struct tracker_parts tracker = {
        .loop = t.loop,
        .jobs = &t.jobs,
        .slots = &t.slots,
        .gate = &t.gate,
        .settler = &t.settler,
        .metrics = t.metrics,
        .sweep_begins = on_change,
        .sweep_ends = on_sweep_ends,
        .changed = on_change,
    };
    const struct answers_parts answers = {
        .loop = t.loop,
        .config = &t.config,
        .slots = &t.slots,
        .pace = &t.pace,
        .gate = &t.gate,
        .settler = &t.settler,
        .tracker = &t.tracker,
        .view = t.view,
        .metrics = t.metrics,
        .changed = on_change,
    };
    jobs_init(&t.jobs, t.loop, &t.slots, &jobs_events);
    gate_init(&t.gate, t.loop, NULL, &gate_events);
    t.settler = (struct settler){
        .loop = t.loop, .common = &t.config.common, .view = t.view, .metrics = t.metrics};
    tracker_init(&t.tracker, &tracker);
    answers_init(&t.answers, &answers);
}

static int begin(void **state) {
    (void)state;
    stubs_reset();
    memset(&t, 0, sizeof t);
    t.loop = loop_open();
    t.view = status_view_open(10);
    t.config.common.names.topics[TOPIC_STATUS] = "athena-query-status";
    TAILQ_INIT(&t.partition.jobs);
    executor_metrics_init(t.metrics);
    slots_init(&t.slots, 0, false);
    pace_init(&t.pace);
    wire();
    return 0;
}

static int end(void **state) {
    (void)state;
    tracker_close(&t.tracker);
    gate_close(&t.gate);
    jobs_close(&t.jobs);
    status_view_close(t.view);
    loop_close(t.loop);
    stubs_reset();
    return 0;
}

/* A job whose call is under way. */
static struct job *starting(const char *query_id) {
    struct job *job = job_new(&t.jobs, &t.partition);
    strcpy(job->id.query_id, query_id);
    job_transition(job, JOB_WAITING);
    job_transition(job, JOB_STARTING);
    job->answers = &t.answers;
    job->call =
        aws_start(NULL, &aws_athena, "StartQueryExecution", "{}", 2, 1000, answer_take, job);
    return job;
}

/*
 * TRACK_QUERIES=off: nothing is to be written of a repetition whose pair has its final state, so
 * that its job is finished while the answer is still being worked on.
 */
static void test_a_repetition_of_what_has_ended(void **state) {
    (void)state;
    const struct status known = {
        .user_id = "", .query_id = "q", .state = STATUS_SUCCEEDED, .query_execution_id = "e"};
    status_view_apply(t.view, &known);
    const struct job *job = starting("q");
    stub_aws_answer(&stub_aws.calls[0], 200, "", "{\"QueryExecutionId\":\"e\"}");
    assert_int_equal(t.finished, 1);
    assert_int_equal(stub_producer.count, 0);
    assert_true(TAILQ_EMPTY(&t.partition.jobs));
    assert_int_equal(job->state, JOB_FINISHED); /* until the end of the iteration */
    assert_true(t.changed > 0);
}

/* The same where a record is to be written: it is finished when that is acknowledged. */
static void test_a_start_that_nobody_follows(void **state) {
    (void)state;
    starting("q");
    stub_aws_answer(&stub_aws.calls[0], 200, "", "{\"QueryExecutionId\":\"e\"}");
    assert_int_equal(t.finished, 0);
    assert_int_equal(stub_producer.count, 1);
    stub_producer_report(&stub_producer.sends[0], RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(t.finished, 1);
}

/* Taken away while its record is under way: a late report finds the job, and sends nothing more. */
static void test_a_report_after_the_partition_is_gone(void **state) {
    (void)state;
    const rd_kafka_resp_err_t reports[] = {RD_KAFKA_RESP_ERR_NO_ERROR,
                                           RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
                                           RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE};
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        struct job *job = starting("q");
        stub_aws_answer(&stub_aws.calls[i], 200, "", "{\"QueryExecutionId\":\"e\"}");
        assert_int_equal(stub_producer.count, i + 1);
        job_drop(job);
        assert_int_equal(job->state, JOB_ABANDONED);
        stub_producer_report(&stub_producer.sends[i], reports[i]);
        assert_int_equal(job->state, JOB_DROPPED);
        assert_int_equal(job->timer.place, 0);
    }
    assert_int_equal(t.finished, 0);
}

#define WITH_PARTS(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PARTS(test_a_repetition_of_what_has_ended),
        WITH_PARTS(test_a_start_that_nobody_follows),
        WITH_PARTS(test_a_report_after_the_partition_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
