/* Answers to StartQueryExecution that end their query within the call. */
#include "tests/unit/executor/parts.h"

/* TRACK_QUERIES=off. */
static int begin(void **state) {
    (void)state;
    struct executor_config config = parts_config();
    config.track_queries = false;
    parts_open(&config);
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
    parts_iterate();
    assert_int_equal(t.passes, 1);
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

/* Taken away while its record is under way: a late report finds no job, and sends nothing more. */
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
        assert_int_equal(job->state, JOB_DROPPED);
        stub_run(t.loop, STUB_STEP_MS); /* it is freed */
        stub_producer_report(&stub_producer.sends[i], reports[i]);
        stub_run(t.loop, 1000);
        assert_int_equal(stub_producer.count, i + 1);
    }
    assert_int_equal(t.finished, 0);
}

#define UNTRACKED(test) cmocka_unit_test_setup_teardown(test, begin, parts_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        UNTRACKED(test_a_repetition_of_what_has_ended),
        UNTRACKED(test_a_start_that_nobody_follows),
        UNTRACKED(test_a_report_after_the_partition_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
