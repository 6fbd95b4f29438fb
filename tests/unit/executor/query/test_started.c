/* STARTED is published in passing, again and again, until it is acknowledged or a later state is.
 */
#include "tests/unit/executor/parts.h"

#include "executor/query/stuck.h"

static const rd_kafka_resp_err_t acked = RD_KAFKA_RESP_ERR_NO_ERROR;
static int published;

static void on_published(void *arg) {
    (void)arg;
    published++;
}

static int begin(void **state) {
    parts_begin(state);
    t.settler.start_published = on_published;
    published = 0;
    return 0;
}

static struct job *running(const char *query_id) {
    struct job *job = parts_query("u", query_id, "SELECT 1");
    job_transition(job, JOB_STARTING);
    job->execution_id = mem_string("e");
    job->output_location = mem_string("s3://place");
    started_publish(&t.settler, job);
    tracker_add(&t.tracker, job);
    return job;
}

/* Who gives its partition away waits for the report, not for the job. */
static void test_acknowledged(void **state) {
    (void)state;
    struct job *job = running("q");
    assert_int_equal(t.settler.starts_in_flight, 1);
    assert_string_equal(stub_producer.sends[0].key, "u/q");
    struct status known;
    assert_true(status_view_find(t.view, "u", "q", &known)); /* before it is read back */
    assert_int_equal(known.state, STATUS_STARTED);
    job_drop(job);
    parts_iterate();
    assert_int_equal(published, 0);
    parts_report(PARTS_STATUS, acked);
    assert_int_equal(t.settler.starts_in_flight, 0);
    assert_int_equal(published, 1);
    stub_run(t.loop, 20000);
    assert_int_equal(parts_sent(PARTS_STATUS), 1);
}

/* Reported as failed, or not taken: again, later and later, also when its job is gone. */
static void test_refused(void **state) {
    (void)state;
    for (int taken = 0; taken < 2; taken++) {
        stub_producer.refuses = taken ? acked : RD_KAFKA_RESP_ERR__QUEUE_FULL;
        struct job *job = running(taken ? "q" : "p");
        assert_int_equal(t.settler.starts_in_flight, 1);
        job_drop(job);
        stub_producer.refuses = acked;
        for (int i = 0; i < 5; i++) {
            if (taken || i > 0)
                parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
            assert_null(parts_unreported(PARTS_STATUS));
            stub_run(t.loop, 200 << i);
            assert_non_null(strstr(parts_unreported(PARTS_STATUS)->value, "\"STARTED\""));
        }
        parts_report(PARTS_STATUS, acked);
        assert_int_equal(t.settler.starts_in_flight, 0);
    }
    assert_int_equal(published, 2);
}

/* Shortened at once, as a state that is waited for. */
static void test_too_large(void **state) {
    (void)state;
    running("q");
    for (int i = 0; i < 5; i++) {
        bool whole = strstr(parts_unreported(PARTS_STATUS)->value, "s3://place") != NULL;
        assert_true(whole == (i < 3));
        parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
        stub_run(t.loop, i < 3 ? 0 : 10000);
    }
    parts_report(PARTS_STATUS, acked);
    assert_int_equal(published, 1);
}

/* It would cover the later one. */
static void test_a_later_state_is_known(void **state) {
    (void)state;
    struct job *job = running("q");
    parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    parts_know("u", "q", STATUS_SUCCEEDED, "e", "SELECT 1");
    stub_run(t.loop, 20000);
    assert_int_equal(parts_sent(PARTS_STATUS), 1);
    assert_int_equal(t.settler.starts_in_flight, 0);
    assert_int_equal(published, 1);
    started_publish(&t.settler, job); /* and is not begun then */
    assert_int_equal(parts_sent(PARTS_STATUS), 1);
}

/* --- what stands still ------------------------------------------------------------------------ */

static void assert_stuck(size_t count, const char *first, const char *last) {
    struct buffer why;
    buffer_init(&why, 65536);
    stuck_describe(&t.settler, &t.jobs, &why);
    const char *text = buffer_text(&why);
    if (stuck_count(&t.settler, &t.jobs) != count || strstr(text, first) == NULL ||
        strstr(text, last) == NULL)
        fail_msg("%zu: %s", stuck_count(&t.settler, &t.jobs), text);
    buffer_free(&why);
}

static void refuse_for(const char *topic, rd_kafka_resp_err_t err, int64_t ms) {
    for (; ms > 0; ms -= 10000) {
        while (parts_unreported(topic) != NULL)
            parts_report(topic, err);
        stub_run(t.loop, 10000);
    }
    while (parts_unreported(topic) != NULL)
        parts_report(topic, err);
}

static void test_stuck(void **state) {
    (void)state;
    assert_stuck(0, "", "");
    struct job *copied = parts_query("u", "copied", "SELECT 1");
    job_transition(copied, JOB_STARTING);
    settle_mismatch(&t.settler, copied, "code", "why");
    running("started");
    refuse_for(PARTS_REJECTED, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 50000);
    assert_stuck(0, "", "");
    refuse_for(PARTS_REJECTED, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 10000);
    assert_stuck(1, PARTS_QUERY "/0/0 is not finished: " PARTS_REJECTED " has refused", "s: ");
    refuse_for(PARTS_STATUS, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, 70000);
    assert_stuck(2, "/0/0 is not", PARTS_QUERY "/0/1 is not finished: " PARTS_STATUS);
    stub_run(t.loop, 10000);
    parts_report(PARTS_REJECTED, acked);
    parts_report(PARTS_STATUS, acked);
    assert_stuck(0, "", "");
    assert_int_equal(t.finished, 1);
}

static void test_many_that_are_stuck(void **state) {
    (void)state;
    for (int i = 0; i < 12; i++)
        parts_take("no request", NULL);
    refuse_for(PARTS_REJECTED, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 70000);
    assert_stuck(12, "/0/9 is not", "and 2 more\n");
    parts_queries(1, "SELECT 1"); /* nobody waits for them */
    parts_grant(1);
    parts_answer_started(parts_next_call(), "e");
    parts_report(PARTS_STATUS, acked);
}

#define STARTED_TEST(test) cmocka_unit_test_setup_teardown(test, begin, parts_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        STARTED_TEST(test_acknowledged), STARTED_TEST(test_refused),
        STARTED_TEST(test_too_large),    STARTED_TEST(test_a_later_state_is_known),
        STARTED_TEST(test_stuck),        STARTED_TEST(test_many_that_are_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
