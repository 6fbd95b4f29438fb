/*
 * What the status topic knows of a start is used before Athena is asked, and before anything is
 * rejected; repetitions of a pair that is in hand wait behind the first record of it.
 */
#include "tests/unit/executor/parts.h"

#define OTHER_GROUP                                                                                \
    "{\"query\":\"SELECT 1\",\"userId\":\"u\",\"queryId\":\"q\",\"workGroup\":\"x\"}"

static const rd_kafka_resp_err_t acked = RD_KAFKA_RESP_ERR_NO_ERROR;

static void iterate(void) {
    dispatch_soon(&t.dispatch); /* as executor.c does when jobs are RECEIVED again */
    parts_iterate();
}

/* --- one record ------------------------------------------------------------------------------- */

/* It runs: nothing is asked of Athena but how it goes, whatever may be chosen by now. */
static void test_what_runs_is_followed(void **state) {
    (void)state;
    static const struct {
        const char *what, *value;
        int64_t age_max_ms;
        int share; /* of the quota */
    } rows[] = {
        {"a repetition", NULL, 0, 5},
        {"over a full quota", NULL, 0, 0},
        {"its work group is no longer allowed", OTHER_GROUP, 0, 5},
        {"too old by now", NULL, 1, 5},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        parts_begin(NULL);
        parts_grant(rows[i].share);
        t.config.query_max_age_ms = rows[i].age_max_ms;
        parts_know("u", "q", STATUS_STARTED, "e", "SELECT 1");
        stub_reader.behind = true;
        const struct job *job = rows[i].value != NULL ? parts_take(rows[i].value, NULL)
                                                      : parts_query("u", "q", "SELECT 1");
        stub_run(t.loop, 1000);
        assert_int_equal(job->state, JOB_RECEIVED);
        assert_int_equal(stub_aws.count, 0);
        assert_false(dispatch_is_idle(&t.dispatch));
        stub_reader.behind = false;
        struct aws_call *call = parts_next_call();
        if (job->state != JOB_RUNNING || strcmp(call->operation, "BatchGetQueryExecution") != 0)
            fail_msg("%s: %s, %s", rows[i].what, job_state_name(job->state), call->operation);
        assert_int_equal(slots_taken(&t.slots), 1);
        assert_int_equal(stub_messages_alive, 0);
        assert_int_equal(stub_producer.count, 0); /* the topic has it */
        parts_close();
    }
}

/* Nobody looks at the end where TRACK_QUERIES is off: that it has started is all there is. */
static void test_what_runs_untracked(void **state) {
    (void)state;
    struct executor_config config = parts_config();
    config.track_queries = false;
    parts_open(&config);
    parts_know("u", "q", STATUS_STARTED, "e", "SELECT 1");
    parts_query("u", "q", "SELECT 1");
    assert_int_equal(t.finished, 1);
    stub_run(t.loop, 1000);
    assert_int_equal(stub_aws.count + stub_producer.count, 0);
    parts_close();
}

static void test_what_has_ended_is_finished(void **state) {
    (void)state;
    parts_know("u", "q", STATUS_FAILED, "e", "SELECT 1");
    parts_query("u", "q", "SELECT 1");
    assert_int_equal(t.finished, 1);
    parts_take(OTHER_GROUP, NULL);
    assert_int_equal(t.finished, 2);
    stub_run(t.loop, 1000);
    assert_int_equal(stub_aws.count + stub_producer.count, 0);
}

/* A late record of another state is the topic's last: the end is published again, and acknowledged.
 */
static void test_an_end_that_is_covered(void **state) {
    (void)state;
    parts_know("u", "q", STATUS_SUCCEEDED, "e", "SELECT 1");
    const struct status late = {.user_id = "u", .query_id = "q", .state = STATUS_QUEUED};
    assert_false(status_view_apply(t.view, &late));
    parts_query("u", "q", "SELECT 1");
    assert_int_equal(t.finished, 0);
    const struct stub_send *sent = parts_unreported(PARTS_STATUS);
    assert_non_null(sent);
    assert_non_null(strstr(sent->value, "\"state\":\"SUCCEEDED\""));
    assert_non_null(strstr(sent->value, "\"queryExecutionId\":\"e\""));
    parts_report(PARTS_STATUS, acked);
    assert_int_equal(t.finished, 1);
    parts_query("u", "q", "SELECT 1");
    assert_int_equal(t.finished, 2);
    assert_int_equal(parts_sent(PARTS_STATUS), 1);
}

/* It waits for its turn, and another executor starts it meanwhile. */
static void test_known_at_its_turn(void **state) {
    (void)state;
    parts_grant(0);
    struct job *job = parts_query("u", "q", "SELECT 1");
    parts_iterate();
    assert_int_equal(job->state, JOB_WAITING);
    parts_know("u", "q", STATUS_STARTED, "e", "SELECT 1");
    parts_iterate();
    stub_run(t.loop, 100);
    assert_int_equal(job->state, JOB_RUNNING);
    assert_string_equal(job->execution_id, "e");
}

/* The same for one that is perhaps started, and has a slot. */
static void test_known_when_it_is_asked_again(void **state) {
    (void)state;
    parts_grant(1);
    struct job *job = parts_query("u", "q", "SELECT 1");
    parts_iterate();
    stub_aws_lose(stub_aws_open());
    parts_know("u", "q", STATUS_STARTED, "e", "SELECT 1");
    stub_run(t.loop, 1000);
    assert_int_equal(job->state, JOB_RUNNING);
    assert_int_equal(slots_taken(&t.slots), 1);
}

/* --- repetitions ------------------------------------------------------------------------------ */

/* While the first waits, is asked for, and is asked again: there is one call, and one turn. */
static void test_repetitions_wait(void **state) {
    (void)state;
    parts_grant(5);
    parts_query("u", "q", "SELECT 1");
    for (int i = 0; i < 3; i++)
        assert_int_equal(parts_query("u", "q", "SELECT 1")->state, JOB_BEHIND);
    assert_int_equal(jobs_waiting(&t.jobs, LANE_DML), 1);
    parts_iterate();
    parts_query("u", "q", "SELECT 1");
    stub_aws_lose(stub_aws_open());
    parts_query("u", "q", "SELECT 1");
    iterate();
    assert_int_equal(stub_aws.count, 1);
    parts_answer_started(parts_next_call(), "e");
    assert_int_equal(stub_aws.count, 2);
    assert_int_equal(t.jobs.count[JOB_BEHIND], 5);
    assert_int_equal(slots_taken(&t.slots), 1);
    assert_int_equal(t.partition.jobs_waiting, 0);
}

/* What keeps the first from starting is no answer for the others. */
static void test_each_has_its_own_turn(void **state) {
    (void)state;
    static const struct {
        const char *code, *copy;
    } rows[] = {{"TooManyRequestsException", PARTS_DEADLETTER},
                {"InvalidRequestException", PARTS_REJECTED}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        parts_begin(NULL);
        parts_grant(5);
        for (int n = 0; n < 3; n++)
            parts_query("u", "q", "SELECT 1");
        for (int n = 1; n <= 3; n++) {
            admission_govern(&t.slots.admission[LANE_DML], 5, n + 1);
            iterate();
            assert_int_equal(stub_aws.count, n);
            stub_aws_answer(stub_aws_open(), 400, rows[i].code, "");
            iterate();
            assert_int_equal(stub_aws.count, n); /* not before the first is settled */
            parts_report(rows[i].copy, acked);
            parts_report(PARTS_STATUS, acked);
        }
        assert_int_equal(t.finished, 3);
        parts_close();
    }
}

/* Another text waits for the answer, since the first may yet be rejected; then the pair is taken.
 */
static void test_another_text(void **state) {
    (void)state;
    parts_grant(5);
    parts_query("u", "q", "SELECT 1");
    parts_iterate();
    const struct job *other = parts_query("u", "q", "SELECT 2");
    assert_int_equal(other->state, JOB_BEHIND);
    parts_answer_started(stub_aws_open(), "e");
    iterate();
    assert_int_equal(other->state, JOB_SETTLING);
    assert_non_null(parts_unreported(PARTS_REJECTED));
    assert_int_equal(parts_query("u", "q", "SELECT 3")->state, JOB_SETTLING);
    assert_int_equal(parts_sent(PARTS_STATUS), 1); /* STARTED, of the first */
}

/* The view has forgotten the pair, which is bounded: the job of the first is enough. */
static void test_another_text_without_the_view(void **state) {
    (void)state;
    parts_grant(5);
    parts_query("u", "q", "SELECT 1");
    parts_iterate();
    parts_answer_started(stub_aws_open(), "e");
    status_view_forget(t.view, "u", "q");
    assert_int_equal(parts_query("u", "q", "SELECT 2")->state, JOB_SETTLING);
    assert_int_equal(parts_query("u", "q", "SELECT 1")->state, JOB_BEHIND);
    assert_int_equal(stub_aws.count, 1);
}

/* A partition that begins again loses its jobs; what one of another partition waits for runs on. */
static void test_the_first_is_gone(void **state) {
    (void)state;
    struct partition other = {.id = 1};
    TAILQ_INIT(&other.jobs);
    TAILQ_INIT(&other.indexed);
    parts_grant(5);
    parts_query("u", "q", "SELECT 1");
    parts_iterate();
    parts_answer_started(stub_aws_open(), "e");
    const char value[] = "{\"query\":\"SELECT 1\",\"userId\":\"u\",\"queryId\":\"q\"}";
    dispatch_record(&t.dispatch, &other, stub_message(7, NULL, value, NULL));
    const struct job *second = TAILQ_FIRST(&other.jobs);
    assert_int_equal(second->state, JOB_BEHIND);
    status_view_forget(t.view, "u", "q");
    dispatch_gone(&t.dispatch, &t.partition);
    iterate();
    assert_int_equal(second->state, JOB_RUNNING);
    assert_string_equal(second->execution_id, "e");
    assert_int_equal(slots_taken(&t.slots), 1);
    dispatch_gone(&t.dispatch, &other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_runs_is_followed),
        cmocka_unit_test(test_what_runs_untracked),
        WITH_PARTS(test_what_has_ended_is_finished),
        WITH_PARTS(test_an_end_that_is_covered),
        WITH_PARTS(test_known_at_its_turn),
        WITH_PARTS(test_known_when_it_is_asked_again),
        WITH_PARTS(test_repetitions_wait),
        cmocka_unit_test(test_each_has_its_own_turn),
        WITH_PARTS(test_another_text),
        WITH_PARTS(test_another_text_without_the_view),
        WITH_PARTS(test_the_first_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
