/*
 * Which query is started when: what becomes of a record that comes in, who is next, and what may
 * keep a call from being made.
 */
#include "tests/unit/executor/parts.h"

/* The query ids of the calls that were made, in their order: "a b c". */
static const char *calls_made(void) {
    static char ids[1024];
    ids[0] = '\0';
    for (size_t i = 0; i < stub_aws.count; i++) {
        const struct job *job = stub_aws.calls[i].arg;
        snprintf(ids + strlen(ids), sizeof ids - strlen(ids), "%s%s", i > 0 ? " " : "",
                 job->id.query_id);
    }
    return ids;
}

static void expect_calls(const char *what, size_t want) {
    if (stub_aws.count != want)
        fail_msg("%s: %zu calls, not %zu", what, stub_aws.count, want);
}

/* Nothing is held of the quota, so that only dispatch decides. */
static int begin_untracked(void **state) {
    (void)state;
    struct executor_config config = parts_config();
    config.track_queries = false;
    parts_open(&config);
    return 0;
}

#define UNTRACKED(test) cmocka_unit_test_setup_teardown(test, begin_untracked, parts_end)

/* --- records ---------------------------------------------------------------------------------- */

static void test_records(void **state) {
    (void)state;
    static const struct {
        const char *what, *value; /* NULL: a tombstone */
        enum job_state becomes;
        const char *code; /* in the rejected topic; NULL: it is not rejected */
    } rows[] = {
        {"a query", "{\"query\":\"SELECT 1\",\"queryId\":\"a\"}", JOB_WAITING, NULL},
        {"no value", NULL, JOB_SETTLING, "InvalidRequest"},
        {"no JSON", "SELECT 1", JOB_SETTLING, "InvalidRequest"},
        {"no query", "{\"queryId\":\"b\"}", JOB_SETTLING, "InvalidRequest"},
        {"the default work group", "{\"query\":\"SELECT 1\",\"workGroup\":\"primary\"}",
         JOB_WAITING, NULL},
        {"another work group", "{\"query\":\"SELECT 1\",\"workGroup\":\"x\"}", JOB_SETTLING,
         "NotAllowed"},
        {"another location", "{\"query\":\"SELECT 1\",\"outputLocation\":\"s3://bucket/b/\"}",
         JOB_SETTLING, "NotAllowed"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct job *job = parts_take(rows[i].value, NULL);
        if (job->state != rows[i].becomes)
            fail_msg("%s: %s", rows[i].what, job_state_name(job->state));
        struct stub_send *copy = parts_unreported(PARTS_REJECTED);
        assert_int_equal(copy != NULL, rows[i].code != NULL);
        if (copy == NULL)
            continue;
        assert_string_equal(job->error_code, rows[i].code);
        stub_producer_report(copy, RD_KAFKA_RESP_ERR_NO_ERROR);
        parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
        assert_int_equal(t.finished_offset, job->offset);
    }
    assert_int_equal(t.finished, 5);
    assert_int_equal(t.metrics[METRIC_RECEIVED].value, COUNT(rows));
    assert_int_equal(t.partition.jobs_waiting, 2);
}

/* However much comes in, the loop makes one pass for it. */
static void test_one_pass_an_iteration(void **state) {
    (void)state;
    parts_queries(3, "SELECT 1");
    assert_int_equal(stub_aws.count, 0); /* nothing is called from within */
    parts_iterate();
    assert_int_equal(t.passes, 1);
    assert_int_equal(stub_aws.count, 3);
    parts_iterate();
    assert_int_equal(t.passes, 1);
}

/* --- turns ------------------------------------------------------------------------------------ */

static void test_users_take_turns(void **state) {
    (void)state;
    parts_query("u", "u1", "SELECT 1");
    parts_query("u", "u2", "SELECT 1");
    parts_query("u", "u3", "SELECT 1");
    parts_query("v", "v1", "SELECT 1");
    parts_iterate();
    assert_string_equal(calls_made(), "u1 v1 u2 u3");
}

/* Lanes take turns at what they share, and so does what is asked again. */
static void test_lanes_take_turns(void **state) {
    (void)state;
    t.config.max_in_flight = 1;
    parts_query("u", "again", "SELECT 1");
    parts_iterate();
    stub_aws_lose(stub_aws_open());
    stub_run(t.loop, 200); /* it may be asked for again, … */
    struct aws_call *call = stub_aws_open();
    assert_non_null(call);
    for (int i = 0; i < 2; i++) {
        parts_query("u", i == 0 ? "a1" : "a2", "SELECT 1");
        parts_query("u", i == 0 ? "b1" : "b2", "DROP TABLE x");
    }
    stub_aws_lose(call);
    stub_run(t.loop, 5000);
    assert_int_equal(stub_aws_open_count(), 1);
    for (int i = 0; i < 4; i++) { /* … and is, while the others take their turns */
        stub_aws_answer(stub_aws_open(), 400, "InvalidRequestException", "");
        parts_iterate();
    }
    assert_string_equal(calls_made(), "again again a1 b1 again a2 b2");
}

/* --- what keeps a call from being made -------------------------------------------------------- */

static void close_gate(void) {
    const struct aws_answer refused = {.http = {.error = ""}, .message = "no", .code = ""};
    gate_refused(&t.gate, GATE_CREDENTIALS, &refused);
}

static void suspect(void) {
    close_gate();
    stub_run(t.loop, 500);
    assert_false(t.gate.closed);
    assert_true(t.gate.suspect);
}

static void fall_behind(void) {
    stub_reader.behind = true;
}

static void stop(void) {
    dispatch_stop(&t.dispatch);
}

static void bound_calls(void) {
    t.config.max_in_flight = 2;
}

static void slow_down(void) {
    pace_throttled(&t.pace, loop_now(t.loop)); /* one call in two seconds */
}

static void nothing(void) {
}

static void test_what_keeps_calls_back(void **state) {
    (void)state;
    static const struct {
        const char *what;
        void (*set)(void);
        size_t calls; /* of five that wait */
        int startable;
    } rows[] = {
        {"nothing does", nothing, 5, 5},
        {"the gate is closed", close_gate, 0, 0},
        {"one at a time, until a call works", suspect, 1, 5},
        {"the status topic is still being read", fall_behind, 0, 0},
        {"a stop", stop, 0, 0},
        {"MAX_IN_FLIGHT", bound_calls, 2, 5},
        {"the pace", slow_down, 0, 5},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        begin_untracked(NULL);
        rows[i].set();
        parts_queries(5, "SELECT 1");
        assert_int_equal(dispatch_startable(&t.dispatch, LANE_DML), rows[i].startable);
        assert_int_equal(dispatch_startable(&t.dispatch, LANE_DDL), 0);
        parts_iterate();
        expect_calls(rows[i].what, rows[i].calls);
        parts_close();
    }
}

/* With the reason gone, calls are made without another record having to come. */
static void test_it_goes_on(void **state) {
    (void)state;
    static void (*const sets[])(void) = {close_gate, fall_behind, slow_down};
    for (size_t i = 0; i < COUNT(sets); i++) {
        begin_untracked(NULL);
        sets[i]();
        parts_query("u", "q", "SELECT 1");
        parts_iterate();
        expect_calls("not yet", 0);
        stub_reader.behind = false;
        stub_run(t.loop, 3000);
        expect_calls("then", 1);
        parts_close();
    }
}

/* After a stop no timer wakes it, and calls that are under way end as ever. */
static void test_stop(void **state) {
    (void)state;
    parts_query("u", "a", "SELECT 1");
    parts_iterate();
    parts_query("u", "b", "SELECT 1");
    dispatch_stop(&t.dispatch);
    stub_aws_lose(stub_aws_open());
    stub_run(t.loop, 30000);
    expect_calls("nothing is asked again either", 1);
    assert_int_equal(t.jobs.count[JOB_ASK_AGAIN], 1);
    assert_false(dispatch_is_idle(&t.dispatch));
}

/* MAX_IN_FLIGHT counts calls: with each answer the next is made. */
static void test_calls_in_flight(void **state) {
    (void)state;
    t.config.max_in_flight = 2;
    parts_queries(6, "SELECT 1");
    parts_iterate();
    for (size_t made = 2; made < 6; made++) {
        expect_calls("two at once", made);
        parts_answer_started(stub_aws_open(), "e");
        parts_iterate();
    }
    expect_calls("all", 6);
}

/* The limit of each lane, and MAX_RUNNING over both. */
static void test_quota(void **state) {
    (void)state;
    static const struct {
        const char *what;
        int share, most;
        size_t calls; /* of three SELECT and three DDL */
        int startable;
    } rows[] = {
        {"room for all", 3, 0, 6, 3},
        {"a share of two a lane", 2, 0, 4, 3},
        {"no share", 0, 0, 0, 3},
        {"MAX_RUNNING=1", 3, 1, 1, 1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct executor_config config = parts_config();
        config.max_running = rows[i].most;
        parts_open(&config);
        parts_grant(rows[i].share);
        for (int n = 0; n < 6; n++)
            parts_queries(1, n % 2 == 0 ? "SELECT 1" : "DROP TABLE x");
        assert_int_equal(dispatch_startable(&t.dispatch, LANE_DML), rows[i].startable);
        parts_iterate();
        expect_calls(rows[i].what, rows[i].calls);
        assert_int_equal(slots_taken(&t.slots), rows[i].calls);
        parts_close();
    }
}

/* What waits in Kafka counts for either lane, as the last pass found it. */
static void test_backlog(void **state) {
    (void)state;
    t.unread = 100;
    parts_query("u", "q", "SELECT 1");
    fall_behind();
    assert_int_equal(dispatch_backlog(&t.dispatch, LANE_DML), 1);
    parts_iterate();
    assert_int_equal(dispatch_backlog(&t.dispatch, LANE_DML), 101);
    assert_int_equal(dispatch_backlog(&t.dispatch, LANE_DDL), 100);
}

/* --- an outage -------------------------------------------------------------------------------- */

/*
 * Ten ambiguous answers in a row: a query that has not been asked for is tried only every two
 * seconds, so that not all of them become perhaps started. What is, is asked again all the same.
 */
static void test_outage(void **state) {
    (void)state;
    t.config.max_in_flight = 10;
    for (int i = 0; i < 13; i++) {
        char query_id[16];
        snprintf(query_id, sizeof query_id, "q%d", i);
        parts_query("u", query_id, "SELECT 1");
    }
    parts_iterate();
    expect_calls("all that may be", 10);
    for (size_t i = 0; i < 10; i++)
        stub_aws_lose(&stub_aws.calls[i]);
    t.config.max_in_flight = 100;
    stub_run(t.loop, 1900);
    assert_int_equal(t.jobs.count[JOB_WAITING], 3);
    assert_true(stub_aws.count > 10);
    stub_run(t.loop, 100);
    assert_int_equal(t.jobs.count[JOB_WAITING], 2);
    stub_run(t.loop, 2000);
    assert_int_equal(t.jobs.count[JOB_WAITING], 1);
    parts_answer_started(stub_aws_open(), "e");
    parts_iterate();
    assert_int_equal(t.jobs.count[JOB_WAITING], 0); /* any other answer ends it */
}

/* --- asked again ------------------------------------------------------------------------------ */

/* It has its slot, so it needs no room; and it keeps its token. */
static void test_asked_again_over_a_full_quota(void **state) {
    (void)state;
    parts_grant(1);
    parts_query("u", "a", "SELECT 1");
    parts_query("u", "b", "SELECT 1");
    parts_iterate();
    stub_aws_lose(stub_aws_open());
    parts_grant(0);
    stub_run(t.loop, 1000);
    assert_string_equal(calls_made(), "a a");
    assert_string_equal(stub_aws.calls[0].body, stub_aws.calls[1].body);
    assert_int_equal(slots_taken(&t.slots), 1);
}

/* --- what is not asked for after all ---------------------------------------------------------- */

enum {
    OLD_MS = 10000
};

/* A query that came so long ago, and has its turn now. */
static const struct job *old_query(const char *query_id, bool perhaps_started) {
    stub_reader.behind = true;
    struct job *job = parts_query("u", query_id, "SELECT 1");
    job->perhaps_started = perhaps_started;
    stub_run(t.loop, OLD_MS);
    stub_reader.behind = false;
    dispatch_soon(&t.dispatch);
    parts_iterate();
    return job;
}

static void test_expired(void **state) {
    (void)state;
    static const struct {
        const char *what;
        int64_t age_max_ms;
        bool perhaps_started;
        enum status_state known;
        const char *execution_id;
        bool expires, asked;
    } rows[] = {
        {"no age limit", 0, false, STATUS_NONE, NULL, false, true},
        {"young enough", OLD_MS, false, STATUS_NONE, NULL, false, true},
        {"too old", OLD_MS - 1, false, STATUS_NONE, NULL, true, false},
        {"too old, and known to wait", OLD_MS - 1, false, STATUS_QUEUED, NULL, true, false},
        {"too old, and it runs", OLD_MS - 1, false, STATUS_STARTED, "e", false, false},
        {"too old, and perhaps it runs", OLD_MS - 1, true, STATUS_NONE, NULL, false, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        parts_begin(NULL);
        t.config.query_max_age_ms = rows[i].age_max_ms;
        if (rows[i].known != STATUS_NONE)
            parts_know("u", "q", rows[i].known, rows[i].execution_id, "SELECT 1");
        const struct job *job = old_query("q", rows[i].perhaps_started);
        expect_calls(rows[i].what, rows[i].asked);
        assert_int_equal(job->state == JOB_RUNNING, !rows[i].expires && !rows[i].asked);
        if (rows[i].expires) {
            assert_string_equal(job->error_code, "QueryExpired");
            assert_non_null(parts_unreported(PARTS_REJECTED));
        }
        parts_close();
    }
}

/* The time in which it was throttled and redriven counts. */
static void test_expired_by_its_first_time(void **state) {
    (void)state;
    char first_seen[32];
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    snprintf(first_seen, sizeof first_seen, "%lld", (long long)loop_wall() - OLD_MS - 1);
    rd_kafka_header_add(headers, HEADER_FIRST_SEEN, -1, first_seen, -1);
    t.config.query_max_age_ms = OLD_MS;
    const struct job *job = parts_take("{\"query\":\"SELECT 1\",\"queryId\":\"q\"}", headers);
    parts_iterate();
    expect_calls("too old", 0);
    assert_int_equal(job->state, JOB_SETTLING);
}

/* Athena knows of no start yet, and would take the second text for the first. */
static void test_anothers_pair(void **state) {
    (void)state;
    static const struct {
        const char *what;
        enum status_state known;
        const char *sql;
        bool perhaps_started, mismatch;
    } rows[] = {
        {"nothing is known", STATUS_NONE, NULL, false, false},
        {"this text waits", STATUS_QUEUED, "SELECT 1", false, false},
        {"another text waits", STATUS_QUEUED, "SELECT 2", false, true},
        {"another text is throttled", STATUS_THROTTLED, "SELECT 2", false, true},
        {"another text runs", STATUS_STARTED, "SELECT 2", false, true},
        {"another text was rejected", STATUS_REJECTED, "SELECT 2", false, false},
        {"another text, and this one perhaps runs", STATUS_QUEUED, "SELECT 2", true, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        parts_begin(NULL);
        if (rows[i].known != STATUS_NONE)
            parts_know("u", "q", rows[i].known, rows[i].known == STATUS_STARTED ? "e" : NULL,
                       rows[i].sql);
        stub_reader.behind = true;
        struct job *job = parts_query("u", "q", "SELECT 1");
        job->perhaps_started = rows[i].perhaps_started;
        stub_reader.behind = false;
        parts_iterate();
        expect_calls(rows[i].what, !rows[i].mismatch);
        assert_int_equal(slots_taken(&t.slots), !rows[i].mismatch);
        if (rows[i].mismatch) {
            parts_report(PARTS_REJECTED, RD_KAFKA_RESP_ERR_NO_ERROR);
            assert_int_equal(parts_sent(PARTS_STATUS), 0); /* it is the other one's */
            assert_int_equal(t.finished, 1);
        }
        parts_close();
    }
}

/* Who is refused without a call gives its slot to the next one in the same pass. */
static void test_a_slot_that_is_not_used(void **state) {
    (void)state;
    parts_grant(1);
    parts_know("u", "a", STATUS_QUEUED, NULL, "SELECT 2");
    parts_query("u", "a", "SELECT 1");
    parts_query("u", "b", "SELECT 1");
    parts_iterate();
    assert_string_equal(calls_made(), "b");
}

/* --- partitions that are taken away ----------------------------------------------------------- */

/* One job in each state in which a revoke may find it. */
/* Half a request must not be sent: Athena would blame the configuration, and all would wait. */
static void test_a_request_that_is_too_large(void **state) {
    (void)state;
    enum {
        PARAMETERS = 5000,
        EACH = 1000
    };
    char *value = mem_zero(PARAMETERS * (EACH + 3) + 100);
    char *out =
        stpcpy(value, "{\"queryId\":\"q\",\"query\":\"SELECT 1\",\"executionParameters\":[");
    for (int i = 0; i < PARAMETERS; i++) {
        out = stpcpy(out, i > 0 ? ",\"" : "\"");
        memset(out, 'p', EACH);
        out[EACH] = '"';
        out += EACH + 1;
    }
    stpcpy(out, "]}");
    t.config.window_bytes = 64 << 20; /* else it is indexed, and fetched again */
    parts_grant(1);
    struct job *job = parts_take(value, NULL);
    free(value);
    assert_true(job->text_bytes >= PARAMETERS * (EACH + 3));
    stub_run(t.loop, 100);
    assert_int_equal(stub_aws.count, 0);
    assert_int_equal(job->state, JOB_SETTLING);
    assert_int_equal(slots_taken(&t.slots), 0);
    assert_non_null(strstr(parts_unreported(PARTS_STATUS)->value, "larger than 4 MiB"));
    parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
    parts_report(PARTS_REJECTED, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(t.finished, 1);
    parts_queries(1, "SELECT 1"); /* others are not held up */
    parts_next_call();
}

/* Kafka takes no states: what is held until it does is bounded. */
static void test_too_many_that_are_settling(void **state) {
    (void)state;
    t.jobs.count[JOB_SETTLING] += 10000;
    parts_queries(1, "SELECT 1");
    stub_run(t.loop, 1000);
    assert_int_equal(stub_aws.count, 0);
    t.jobs.count[JOB_SETTLING] -= 10000;
    parts_next_call();
}

/* What waits for its time to be asked about is something to make calls for. */
static void test_idle(void **state) {
    (void)state;
    static const enum job_state path[] = {
        JOB_STARTING,        JOB_AMBIGUOUS_BACKOFF, JOB_ASK_AGAIN, JOB_STARTING,
        JOB_REFUSED_BACKOFF, JOB_WAITING,           JOB_STARTING,  JOB_RUNNING};
    dispatch_stop(&t.dispatch);
    assert_true(dispatch_is_idle(&t.dispatch));
    struct job *job = parts_query("u", "q", "SELECT 1");
    for (size_t i = 0; i < COUNT(path); i++) {
        job_transition(job, path[i]);
        if (dispatch_is_idle(&t.dispatch))
            fail_msg("idle while a query is %s", job_state_name(path[i]));
    }
    parts_revoke();
    dispatch_gone(&t.dispatch, &t.partition);
    assert_true(dispatch_is_idle(&t.dispatch));
}

static void test_revoked_and_gone(void **state) {
    (void)state;
    static const struct {
        const char *query_id;
        enum job_state path[4]; /* behind WAITING, ended by RECEIVED */
        bool stays;             /* until what is under way has come to its end */
    } rows[] = {
        {"waits", {JOB_RECEIVED}, false},
        {"starts", {JOB_STARTING, JOB_RECEIVED}, true},
        {"ambiguous", {JOB_STARTING, JOB_AMBIGUOUS_BACKOFF, JOB_RECEIVED}, false},
        {"again", {JOB_STARTING, JOB_AMBIGUOUS_BACKOFF, JOB_ASK_AGAIN, JOB_RECEIVED}, false},
        {"refused", {JOB_STARTING, JOB_REFUSED_BACKOFF, JOB_RECEIVED}, false},
        {"runs", {JOB_STARTING, JOB_RUNNING, JOB_RECEIVED}, false},
        {"polled", {JOB_STARTING, JOB_RUNNING, JOB_RUNNING, JOB_RECEIVED}, false},
        {"settles", {JOB_STARTING, JOB_SETTLING, JOB_RECEIVED}, true},
    };
    struct job *jobs[COUNT(rows)];
    dispatch_stop(&t.dispatch);
    for (size_t i = 0; i < COUNT(rows); i++) {
        jobs[i] = parts_query("u", rows[i].query_id, "SELECT 1");
        for (const enum job_state *to = rows[i].path; *to != JOB_RECEIVED; to++)
            job_transition(jobs[i], *to);
    }
    parts_revoke();
    for (size_t i = 0; i < COUNT(rows); i++)
        if ((jobs[i]->state != JOB_DROPPED) != rows[i].stays)
            fail_msg("revoked: %s", rows[i].query_id);
    dispatch_gone(&t.dispatch, &t.partition);
    for (size_t i = 0; i < COUNT(rows); i++)
        if (jobs[i]->state != JOB_DROPPED)
            fail_msg("gone: %s", rows[i].query_id);
    assert_int_equal(t.finished, 0);
    assert_true(dispatch_is_idle(&t.dispatch));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PARTS(test_records),
        UNTRACKED(test_one_pass_an_iteration),
        UNTRACKED(test_users_take_turns),
        UNTRACKED(test_lanes_take_turns),
        cmocka_unit_test(test_what_keeps_calls_back),
        cmocka_unit_test(test_it_goes_on),
        UNTRACKED(test_stop),
        UNTRACKED(test_calls_in_flight),
        cmocka_unit_test(test_quota),
        WITH_PARTS(test_backlog),
        UNTRACKED(test_outage),
        WITH_PARTS(test_asked_again_over_a_full_quota),
        cmocka_unit_test(test_expired),
        UNTRACKED(test_expired_by_its_first_time),
        cmocka_unit_test(test_anothers_pair),
        WITH_PARTS(test_a_slot_that_is_not_used),
        WITH_PARTS(test_a_request_that_is_too_large),
        WITH_PARTS(test_too_many_that_are_settling),
        WITH_PARTS(test_idle),
        WITH_PARTS(test_revoked_and_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
