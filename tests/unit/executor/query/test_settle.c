/*
 * A query's last records: which are sent, in which order, what is sent again, and that the offset
 * is finished behind their acknowledgements and not before.
 */
#include "tests/unit/executor/parts.h"

#include "common/kafka/record.h"

enum {
    AGAIN_LEAST_MS = 200,   /* the first wait after a failure, … */
    AGAIN_MOST_MS = 10000,  /* … and the longest */
    LARGE_BYTES = 300 << 10 /* a record that a topic may refuse for its size alone */
};

static const rd_kafka_resp_err_t acked = RD_KAFKA_RESP_ERR_NO_ERROR;

/* A query that was asked for and refused: its call is answered already. */
static struct job *asked(const char *query_id) {
    struct job *job = parts_query("u", query_id, "SELECT 1");
    job_transition(job, JOB_STARTING);
    return job;
}

static const char *header_of(const struct stub_send *send, const char *name) {
    const void *value = NULL;
    size_t n;
    if (send->headers == NULL || rd_kafka_header_get_last(send->headers, name, &value, &n) != 0)
        return "";
    return value;
}

/* --- order ------------------------------------------------------------------------------------ */

/* The copy, the state, the offset: what leads to the next comes first. */
static void test_order(void **state) {
    (void)state;
    static const struct {
        const char *what, *first, *then;
    } rows[] = {{"the copy is acknowledged first", PARTS_DEADLETTER, PARTS_STATUS},
                {"the state is acknowledged first", PARTS_STATUS, PARTS_DEADLETTER}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t before = stub_producer.count;
        struct job *job = asked(i == 0 ? "a" : "b");
        settle_throttled(&t.settler, job, "TooManyRequestsException", "too many");
        assert_int_equal(stub_producer.count, before + 2);
        assert_string_equal(stub_producer.sends[before].topic, PARTS_DEADLETTER);
        assert_string_equal(stub_producer.sends[before + 1].topic, PARTS_STATUS);
        parts_report(rows[i].first, acked);
        if (t.finished != (int)i)
            fail_msg("%s: finished after one acknowledgement", rows[i].what);
        parts_report(rows[i].then, acked);
        assert_int_equal(t.finished, i + 1);
        assert_int_equal(t.finished_offset, job->offset);
    }
}

/* Which records each end has. */
static void test_records_of_each_end(void **state) {
    (void)state;
    enum end {
        ENDED,
        STARTED,
        THROTTLED,
        REJECTED,
        MISMATCH
    };
    static const struct {
        const char *query_id, *copy, *value; /* NULL: none */
    } rows[] = {
        [ENDED] = {"ended", NULL, "\"state\":\"FAILED\""},
        [STARTED] = {"started", NULL, "\"state\":\"STARTED\""},
        [THROTTLED] = {"throttled", PARTS_DEADLETTER, "\"state\":\"THROTTLED\""},
        [REJECTED] = {"rejected", PARTS_REJECTED, "\"state\":\"REJECTED\""},
        [MISMATCH] = {"mismatch", PARTS_REJECTED, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t before = stub_producer.count;
        struct job *job = asked(rows[i].query_id);
        if (i == ENDED) { /* it has run */
            job->execution_id = mem_string("e");
            job_transition(job, JOB_RUNNING);
            settle_ended(&t.settler, job, STATUS_FAILED, "why");
        } else if (i == STARTED) {
            job->execution_id = mem_string("e");
            settle_started(&t.settler, job);
        } else if (i == THROTTLED) {
            settle_throttled(&t.settler, job, "code", "why");
        } else if (i == REJECTED) {
            settle_rejected(&t.settler, job, "code", "why");
        } else {
            settle_mismatch(&t.settler, job, "code", "why");
        }
        size_t want = (rows[i].copy != NULL) + (rows[i].value != NULL);
        assert_int_equal(stub_producer.count - before, want);
        if (rows[i].copy != NULL)
            parts_report(rows[i].copy, acked);
        if (rows[i].value != NULL) {
            assert_non_null(strstr(parts_unreported(PARTS_STATUS)->value, rows[i].value));
            parts_report(PARTS_STATUS, acked);
        }
        assert_int_equal(t.finished, i + 1);
    }
}

/* --- refused ---------------------------------------------------------------------------------- */

static const rd_kafka_resp_err_t errors[] = {
    RD_KAFKA_RESP_ERR__QUEUE_FULL,
    RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
    RD_KAFKA_RESP_ERR__PURGE_QUEUE,
    RD_KAFKA_RESP_ERR__FATAL,
    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    RD_KAFKA_RESP_ERR_INVALID_RECORD,
};

/* Whatever the error: sent again after a wait, and what was acknowledged is not sent twice. */
static void test_reported_as_failed(void **state) {
    (void)state;
    static const char *const topics[] = {PARTS_DEADLETTER, PARTS_STATUS};
    for (size_t i = 0; i < COUNT(errors) * COUNT(topics); i++) {
        const char *refused = topics[i % 2], *other = topics[1 - i % 2];
        char query_id[32];
        snprintf(query_id, sizeof query_id, "q%zu", i);
        int finished = t.finished;
        settle_throttled(&t.settler, asked(query_id), "code", "why");
        parts_report(other, acked);
        parts_report(refused, errors[i / 2]);
        size_t sent = stub_producer.count;
        stub_run(t.loop, AGAIN_LEAST_MS - STUB_STEP_MS);
        assert_int_equal(stub_producer.count, sent);
        assert_int_equal(t.finished, finished);
        stub_run(t.loop, STUB_STEP_MS);
        assert_int_equal(stub_producer.count, sent + 1);
        parts_report(refused, acked);
        assert_int_equal(t.finished, finished + 1);
        assert_int_equal(t.metrics[METRIC_SEND_ERRORS].value, i + 1);
    }
}

/* The same where the producer does not take it: then nobody reports anything. */
static void test_not_taken(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++) {
        char query_id[32];
        snprintf(query_id, sizeof query_id, "q%zu", i);
        int finished = t.finished;
        stub_producer.refuses = errors[i];
        settle_rejected(&t.settler, asked(query_id), "code", "why");
        stub_run(t.loop, 10 * AGAIN_MOST_MS);
        assert_null(parts_unreported(PARTS_REJECTED));
        assert_null(parts_unreported(PARTS_STATUS));
        assert_int_equal(t.finished, finished);
        stub_producer.refuses = RD_KAFKA_RESP_ERR_NO_ERROR;
        stub_run(t.loop, AGAIN_MOST_MS);
        parts_report(PARTS_REJECTED, acked);
        parts_report(PARTS_STATUS, acked);
        assert_int_equal(t.finished, finished + 1);
    }
}

/* Waits double up to ten seconds, and it is never given up. */
static void test_again_and_again(void **state) {
    (void)state;
    struct job *job = asked("q");
    job->execution_id = mem_string("e");
    settle_started(&t.settler, job);
    int64_t wait_ms = AGAIN_LEAST_MS;
    for (int i = 0; i < 12; i++) {
        size_t sent = stub_producer.count;
        parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
        stub_run(t.loop, wait_ms - STUB_STEP_MS);
        assert_int_equal(stub_producer.count, sent);
        stub_run(t.loop, STUB_STEP_MS);
        assert_int_equal(stub_producer.count, sent + 1);
        wait_ms = 2 * wait_ms < AGAIN_MOST_MS ? 2 * wait_ms : AGAIN_MOST_MS;
    }
    assert_int_equal(t.finished, 0);
    parts_report(PARTS_STATUS, acked);
    assert_int_equal(t.finished, 1);
}

/* --- too large -------------------------------------------------------------------------------- */

static struct job *large(const char *query_id) {
    char *value = mem_zero(LARGE_BYTES + 1);
    int head = snprintf(value, LARGE_BYTES, "{\"queryId\":\"%s\",\"query\":\"", query_id);
    memset(value + head, 'x', (size_t)(LARGE_BYTES - head));
    memcpy(value + LARGE_BYTES - 2, "\"}", 2);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "foreign", -1, "f", 1);
    struct job *job = parts_take(value, headers);
    free(value);
    return job;
}

/*
 * People want to know of what was rejected, so it is cut, until its topic takes it. Its state is
 * another record's, and is left as it is.
 */
static void test_a_large_record(void **state) {
    (void)state;
    static const size_t cuts[] = {64 << 10, 16 << 10, 4 << 10, 1 << 10, 0, 0, 0};
    struct job *rejected = large("r"); /* its text is too long to be a query */
    assert_int_equal(rejected->state, JOB_SETTLING);
    assert_string_equal(header_of(parts_unreported(PARTS_REJECTED), "foreign"), "f");
    for (size_t i = 0; i < COUNT(cuts); i++) {
        parts_report(PARTS_REJECTED, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
        stub_run(t.loop, i < 5 ? 0 : AGAIN_MOST_MS); /* at once, where it is shorter */
        const struct stub_send *cut = parts_unreported(PARTS_REJECTED);
        assert_non_null(cut);
        assert_int_equal(cut->value_len, cuts[i]);
        assert_string_equal(header_of(cut, "foreign"), ""); /* they may be what is too large */
        assert_string_equal(header_of(cut, HEADER_ERROR), "InvalidRequest");
    }
    assert_non_null(strstr(parts_unreported(PARTS_STATUS)->value, "\"reason\":\""));
    parts_report(PARTS_STATUS, acked);
    assert_int_equal(t.finished, 0);
    parts_report(PARTS_REJECTED, acked);
    assert_int_equal(t.finished, 1);
}

/*
 * What is throttled has to be started one day, so it is never cut: it waits here, in its place and
 * without a slot, and for the quota only from then on.
 */
static void test_a_dead_letter_that_is_too_large(void **state) {
    (void)state;
    parts_grant(1);
    struct job *job = parts_query("u", "q", "SELECT 1");
    stub_aws_answer(parts_next_call(), 400, "TooManyRequestsException", "");
    assert_int_equal(job->state, JOB_SETTLING);
    parts_report(PARTS_DEADLETTER, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_int_equal(job->state, JOB_WAITING);
    assert_int_equal(slots_taken(&t.slots), 0);
    const struct stub_send *published = &stub_producer.sends[stub_producer.count - 1];
    assert_string_equal(published->topic, PARTS_STATUS);
    assert_non_null(strstr(published->value, "\"state\":\"THROTTLED\""));
    assert_non_null(strstr(published->value, "waiting for the quota in an executor"));
    assert_non_null(strstr(published->value, "\"attempt\":1"));
    size_t sent = stub_producer.count;
    parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT); /* of no use any more */
    parts_grant(1);
    stub_aws_answer(parts_next_call(), 400, "TooManyRequestsException", "");
    assert_int_equal(job->state, JOB_REFUSED_BACKOFF);
    parts_grant(1);
    parts_answer_started(parts_next_call(), "e");
    assert_int_equal(job->state, JOB_RUNNING);
    assert_int_equal(stub_producer.count, sent + 1);
    assert_non_null(strstr(stub_producer.sends[sent].value, "\"reason\":null"));
    assert_int_equal(t.metrics[METRIC_DEADLETTERED].value, 1); /* it was sent */
    parts_report(PARTS_STATUS, acked);
    assert_int_equal(t.finished, 0);
}

/* The same where its topic refuses it for another reason, ten seconds long; then it tries again. */
static void test_a_dead_letter_that_is_refused_for_long(void **state) {
    (void)state;
    struct job *job = asked("q");
    settle_throttled(&t.settler, job, "code", "why");
    parts_report(PARTS_STATUS, acked);
    int refusals = 0;
    while (job->state == JOB_SETTLING && refusals < 100) {
        parts_report(PARTS_DEADLETTER, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
        refusals++;
        stub_run(t.loop, job->state == JOB_SETTLING ? job->copy.wait_ms : 0);
    }
    assert_in_range(refusals, 5, 10);
    stub_aws_answer(parts_next_call(), 400, "TooManyRequestsException", "");
    assert_string_equal(header_of(parts_unreported(PARTS_DEADLETTER), HEADER_ATTEMPT), "2");
    parts_report(PARTS_DEADLETTER, acked);
    parts_report(PARTS_STATUS, acked);
    assert_int_equal(t.finished, 1);
    assert_int_equal(t.metrics[METRIC_DEADLETTERED].value, 2);
}

/* Of a partition that goes away it is the next owner's. */
static void test_a_dead_letter_that_is_refused_while_its_partition_goes(void **state) {
    (void)state;
    struct job *job = asked("q");
    settle_throttled(&t.settler, job, "code", "why");
    parts_revoke();
    assert_int_equal(job->state, JOB_SETTLING);
    parts_report(PARTS_DEADLETTER, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_int_equal(job->state, JOB_DROPPED);
    parts_iterate();
    parts_report(PARTS_STATUS, acked);
    assert_int_equal(t.finished, 0);
}

/* A state that its topic finds too large: shorter at once, in steps, and then again and again. */
static void test_a_large_state(void **state) {
    (void)state;
    char reason[1000];
    memset(reason, 'r', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    struct job *job = asked("q");
    job->execution_id = mem_string("e");
    job->output_location = mem_string("s3://place");
    settle_rejected(&t.settler, job, "code", reason);
    for (int i = 0; i < 6; i++) {
        const char *value = parts_unreported(PARTS_STATUS)->value;
        const char *cut = strstr(value, "rrr");
        assert_int_equal(cut != NULL ? strspn(cut, "r") : 0, i == 0 ? 999 : i == 1 ? 255 : 0);
        assert_true((strstr(value, "s3://place") != NULL) == (i < 3));
        assert_non_null(strstr(value, "\"queryExecutionId\":\"e\""));
        parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
        stub_run(t.loop, i < 3 ? 0 : AGAIN_MOST_MS);
    }
    parts_report(PARTS_STATUS, acked);
    assert_int_equal(t.finished, 0);
    assert_int_equal(job->copy.shortened, 0);
    parts_report(PARTS_REJECTED, acked);
    assert_int_equal(t.finished, 1);
    assert_int_equal(parts_sent(PARTS_REJECTED), 1);
}

/* --- the partition is taken away -------------------------------------------------------------- */

/* Reports that come late, in either order, find no job, send nothing more and finish nothing. */
static void test_reports_after_the_partition_is_gone(void **state) {
    (void)state;
    static const char *const topics[] = {PARTS_DEADLETTER, PARTS_STATUS};
    static const rd_kafka_resp_err_t reports[] = {RD_KAFKA_RESP_ERR_NO_ERROR,
                                                  RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
                                                  RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE};
    for (size_t i = 0; i < 2 * COUNT(reports) * COUNT(reports); i++) {
        size_t sent = stub_producer.count;
        struct job *job = asked("q");
        settle_throttled(&t.settler, job, "code", "why");
        dispatch_gone(&t.dispatch, &t.partition);
        assert_int_equal(stub_messages_alive, 0); /* its bytes are not kept until then */
        assert_int_equal(job->state, JOB_DROPPED);
        parts_iterate();
        assert_int_equal(t.jobs.count[JOB_DROPPED], 0);
        parts_report(topics[i % 2], reports[i / 2 % 3]);
        stub_run(t.loop, 2 * AGAIN_LEAST_MS);
        parts_report(topics[1 - i % 2], reports[i / 6]);
        stub_run(t.loop, 2 * AGAIN_LEAST_MS);
        assert_int_equal(stub_producer.count, sent + 2);
    }
    assert_int_equal(t.finished, 0);
}

/* One of two failed and waits to be sent again when the partition goes. */
static void test_gone_while_it_waits_to_send_again(void **state) {
    (void)state;
    struct job *job = asked("q");
    settle_throttled(&t.settler, job, "code", "why");
    parts_report(PARTS_DEADLETTER, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    dispatch_gone(&t.dispatch, &t.partition);
    parts_iterate();
    parts_report(PARTS_STATUS, acked);
    stub_run(t.loop, AGAIN_MOST_MS);
    assert_int_equal(stub_producer.count, 2);
    assert_int_equal(t.finished, 0);
}

/* A rebalance waits for reports, but not for what has been refused for long: it is the next
 * owner's. */
static void test_refused_while_the_partition_goes(void **state) {
    (void)state;
    static const char *const topics[] = {PARTS_REJECTED, PARTS_STATUS};
    for (int under_way = 0; under_way < 2; under_way++)
        for (int i = 0; i < 2; i++) {
            struct job *refused = asked("q");
            settle_rejected(&t.settler, refused, "code", "why");
            for (int refusals = 0; refusals < 5; refusals++) { /* for three seconds */
                parts_report(topics[i], RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
                if (refusals < 4 || under_way)
                    stub_run(t.loop, 200 << refusals);
            }
            parts_revoke();
            assert_int_equal(refused->state, under_way ? JOB_SETTLING : JOB_DROPPED);
            if (under_way)
                parts_report(topics[i], RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
            assert_int_equal(refused->state, JOB_DROPPED);
            parts_report(topics[1 - i], acked);
            t.partition.revoking = false;
        }
    struct job *job = asked("q"); /* both may be acknowledged in time */
    settle_rejected(&t.settler, job, "code", "why");
    parts_report(PARTS_STATUS, acked);
    parts_revoke();
    parts_report(PARTS_REJECTED, acked);
    assert_int_equal(t.finished, 1);
}

/* --- states that are not published ------------------------------------------------------------ */

/* Whose a pair is, is known only once all has been read; the copy needs no such knowledge. */
static void test_before_the_view_has_caught_up(void **state) {
    (void)state;
    struct job *job = asked("q");
    stub_reader.behind = true;
    settle_throttled(&t.settler, job, "code", "why");
    parts_report(PARTS_DEADLETTER, acked);
    stub_run(t.loop, 20 * AGAIN_LEAST_MS);
    assert_null(parts_unreported(PARTS_STATUS));
    assert_int_equal(t.finished, 0);
    stub_reader.behind = false;
    stub_run(t.loop, AGAIN_LEAST_MS);
    parts_report(PARTS_STATUS, acked);
    assert_int_equal(t.finished, 1);
}

static void test_what_a_known_state_allows(void **state) {
    (void)state;
    static const struct {
        const char *what;
        enum status_state known;
        const char *execution_id, *sql;
        bool published; /* THROTTLED, of SELECT 1 */
    } rows[] = {
        {"queued by the receiver", STATUS_QUEUED, NULL, "SELECT 1", true},
        {"throttled before", STATUS_THROTTLED, NULL, "SELECT 1", true},
        {"a repetition of what runs", STATUS_STARTED, "e", "SELECT 1", false},
        {"a repetition of what has ended", STATUS_SUCCEEDED, "e", "SELECT 1", false},
        {"another text of the pair", STATUS_QUEUED, NULL, "SELECT 2", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char query_id[32];
        snprintf(query_id, sizeof query_id, "q%zu", i);
        struct job *job = asked(query_id);
        parts_know("u", query_id, rows[i].known, rows[i].execution_id, rows[i].sql);
        settle_throttled(&t.settler, job, "code", "why");
        if ((parts_unreported(PARTS_STATUS) != NULL) != rows[i].published)
            fail_msg("%s", rows[i].what);
        parts_report(PARTS_DEADLETTER, acked);
        if (rows[i].published)
            parts_report(PARTS_STATUS, acked);
        assert_int_equal(t.finished, i + 1);
    }
}

/* It says nothing new, but it may be that the first one of it has not been acknowledged. */
static void test_the_same_state_is_published_again(void **state) {
    (void)state;
    parts_know("u", "q", STATUS_REJECTED, NULL, "SELECT 1");
    settle_rejected(&t.settler, asked("q"), "code", "why");
    parts_report(PARTS_REJECTED, acked);
    assert_int_equal(t.finished, 0);
    parts_report(PARTS_STATUS, acked);
    assert_int_equal(t.finished, 1);
}

/* --- in passing ------------------------------------------------------------------------------- */

static void test_waiting_is_published_in_passing(void **state) {
    (void)state;
    char reason[] = "why";
    struct job *job = parts_query("u", "q", "SELECT 1");
    settle_waiting(&t.settler, job, reason);
    assert_int_equal(parts_sent(PARTS_STATUS), 1);
    assert_null(parts_unreported(PARTS_STATUS)); /* nobody waits for it */
    assert_non_null(strstr(stub_producer.sends[0].value, "\"reason\":\"why\""));
    parts_know("u", "q", STATUS_STARTED, "e", "SELECT 1");
    settle_waiting(&t.settler, job, reason);
    assert_int_equal(parts_sent(PARTS_STATUS), 1);
    parts_know("u", "other", STATUS_QUEUED, NULL, "SELECT 2");
    settle_waiting(&t.settler, parts_query("u", "other", "SELECT 1"), reason);
    assert_int_equal(parts_sent(PARTS_STATUS), 1); /* the pair is another text's */
}

/* --- headers ---------------------------------------------------------------------------------- */

/* What the redriver and people go by. */
static void test_headers_of_a_copy(void **state) {
    (void)state;
    enum {
        IN_BODY = 1,
        MOVED = 2,
        THROTTLED = 4
    };
    for (int row = 0; row < 8; row++) {
        rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
        rd_kafka_header_add(headers, "foreign", -1, "f", -1);
        if ((row & IN_BODY) == 0)
            rd_kafka_header_add(headers, HEADER_QUERY_ID, -1, "h", -1);
        if ((row & MOVED) != 0) {
            rd_kafka_header_add(headers, HEADER_ATTEMPT, -1, "3", -1);
            rd_kafka_header_add(headers, HEADER_FIRST_SEEN, -1, "1600000000000", -1);
            rd_kafka_header_add(headers, HEADER_ORIGIN, -1, "other/7/8", -1);
        }
        struct job *job =
            parts_take((row & IN_BODY) != 0 ? "{\"query\":\"SELECT 1\",\"queryId\":\"b\"}"
                                            : "{\"query\":\"SELECT 1\"}",
                       headers);
        job_transition(job, JOB_STARTING);
        char here[64], now[64];
        snprintf(here, sizeof here, PARTS_QUERY "/0/%d", (int)job->offset);
        snprintf(now, sizeof now, "%lld", (long long)loop_wall());
        const char *topic = (row & THROTTLED) != 0 ? PARTS_DEADLETTER : PARTS_REJECTED;
        if ((row & THROTTLED) != 0)
            settle_throttled(&t.settler, job, "Code", "why");
        else
            settle_mismatch(&t.settler, job, "Code", "why");
        const struct stub_send *copy = parts_unreported(topic);
        int attempt = ((row & MOVED) != 0 ? 3 : 0) + ((row & THROTTLED) != 0 ? 1 : 0);
        assert_int_equal(atoi(header_of(copy, HEADER_ATTEMPT)), attempt);
        assert_string_equal(header_of(copy, HEADER_FIRST_SEEN),
                            (row & MOVED) != 0 ? "1600000000000" : now);
        assert_string_equal(header_of(copy, HEADER_ORIGIN),
                            (row & MOVED) != 0 ? "other/7/8" : here);
        assert_string_equal(header_of(copy, HEADER_ERROR), "Code");
        assert_string_equal(header_of(copy, HEADER_QUERY_ID), (row & IN_BODY) != 0 ? "" : "h");
        assert_string_equal(header_of(copy, "foreign"), "f");
        dispatch_gone(&t.dispatch, &t.partition);
        stub_producer_report(parts_unreported(topic), acked);
        if ((row & THROTTLED) != 0)
            parts_report(PARTS_STATUS, acked);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PARTS(test_order),
        WITH_PARTS(test_records_of_each_end),
        WITH_PARTS(test_reported_as_failed),
        WITH_PARTS(test_not_taken),
        WITH_PARTS(test_again_and_again),
        WITH_PARTS(test_a_large_record),
        WITH_PARTS(test_a_dead_letter_that_is_too_large),
        WITH_PARTS(test_a_dead_letter_that_is_refused_for_long),
        WITH_PARTS(test_a_dead_letter_that_is_refused_while_its_partition_goes),
        WITH_PARTS(test_a_large_state),
        WITH_PARTS(test_reports_after_the_partition_is_gone),
        WITH_PARTS(test_gone_while_it_waits_to_send_again),
        WITH_PARTS(test_refused_while_the_partition_goes),
        WITH_PARTS(test_before_the_view_has_caught_up),
        WITH_PARTS(test_what_a_known_state_allows),
        WITH_PARTS(test_the_same_state_is_published_again),
        WITH_PARTS(test_waiting_is_published_in_passing),
        WITH_PARTS(test_headers_of_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
