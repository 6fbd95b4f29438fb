/* Refusals that are nobody's fault, or one query's, and what they do to it and to the others. */
#include "tests/unit/executor/parts.h"

/* --- answers ---------------------------------------------------------------------------------- */

static const struct aws_answer denied = {
    .http = {.result = HTTP_ANSWERED, .status = 400, .body = "", .error = ""},
    .code = "AccessDeniedException",
    .message = "You are not authorized",
    .reason = "",
    .athena_code = "",
};
static const struct aws_answer no_work_group = {
    .http = {.result = HTTP_ANSWERED, .status = 400, .body = "", .error = ""},
    .code = "InvalidRequestException",
    .message = "WorkGroup is not found.",
    .reason = "",
    .athena_code = "INVALID_INPUT",
};
static const struct aws_answer malformed = {
    .http = {.result = HTTP_ANSWERED, .status = 400, .body = "", .error = ""},
    .code = "InvalidRequestException",
    .message = "line 1:1",
    .reason = "",
    .athena_code = "MALFORMED_QUERY",
};
static const struct aws_answer quota = {
    .http = {.result = HTTP_ANSWERED, .status = 400, .body = "", .error = ""},
    .code = "TooManyRequestsException",
    .message = "",
    .reason = "",
    .athena_code = "",
};
static const struct aws_answer no_connection = {
    .http = {.result = HTTP_UNSENT, .body = "", .error = "connection refused"},
    .code = "",
    .message = "",
    .reason = "",
    .athena_code = "",
};
static const struct aws_answer lost = {
    .http = {.result = HTTP_LOST, .body = "", .error = "connection reset"},
    .code = "",
    .message = "",
    .reason = "",
    .athena_code = "",
};

/* --- queries ---------------------------------------------------------------------------------- */

/* TRACK_QUERIES=off: a start is the end of a query, so that many may follow each other. */
static int begin(void **state) {
    (void)state;
    struct executor_config config = parts_config();
    config.track_queries = false;
    config.allowed_workgroups = "own";
    parts_open(&config);
    return 0;
}

/* Comes in, and its call is under way. */
static struct job *start(const char *query_id, const char *work_group) {
    char value[256], chosen[64] = "";
    if (work_group != NULL)
        snprintf(chosen, sizeof chosen, ",\"workGroup\":\"%s\"", work_group);
    snprintf(value, sizeof value, "{\"query\":\"SELECT 1\",\"queryId\":\"%s\"%s}", query_id,
             chosen);
    struct job *job = parts_take(value, NULL);
    parts_iterate();
    assert_int_equal(job->state, JOB_STARTING);
    return job;
}

/* The call that is under way is answered. */
static void answer(const struct aws_answer *answer) {
    struct aws_call *call = stub_aws_open();
    assert_non_null(call);
    call->open = false;
    call->fn(call->arg, answer);
}

static void answer_started(const char *id) {
    parts_answer_started(stub_aws_open(), id);
}

/* Its timer, or the gate, lets it be tried again. */
static void start_again(const struct job *job) {
    for (int i = 0; i < 200 && job->state != JOB_STARTING; i++)
        stub_run(t.loop, 500);
    assert_int_equal(job->state, JOB_STARTING);
}

static bool is_rejected(void) {
    return parts_sent(PARTS_REJECTED) > 0;
}

/* One that is denied the default work group waits alone; with a second one it is everybody's. */
static void test_denied(void **state) {
    (void)state;
    struct job *one = start("one", NULL);
    answer(&denied);
    assert_int_equal(one->state, JOB_REFUSED_BACKOFF);
    assert_false(t.gate.suspect);
    assert_int_equal(parts_sent(PARTS_STATUS), 1); /* QUEUED, with the reason */
    assert_non_null(strstr(stub_producer.sends[0].value, "AWS denies"));
    start_again(one);
    answer(&denied);
    assert_false(t.gate.suspect);
    assert_int_equal(parts_sent(PARTS_STATUS), 1);
    struct job *two = start("two", NULL);
    answer(&denied);
    assert_int_equal(two->state, JOB_REFUSED_BACKOFF);
    assert_true(t.gate.closed);
    assert_int_equal(t.gate.cause, GATE_DENIED);
    assert_false(is_rejected());
}

/* In between one worked that has the same rights: then it was not everybody's. */
static void test_denied_while_others_work(void **state) {
    (void)state;
    start("one", NULL);
    answer(&denied);
    start("works", NULL);
    answer_started("e");
    start("two", NULL);
    answer(&denied);
    assert_false(t.gate.suspect);
    start("works in its own work group", "own");
    answer_started("f");
    start("three", NULL);
    answer(&denied);
    assert_true(t.gate.closed);
}

/* Who chose its work group is alone at fault. */
static void test_denied_its_own_work_group(void **state) {
    (void)state;
    start("one", "own");
    answer(&denied);
    assert_true(is_rejected());
    assert_false(t.gate.suspect);
}

/* A default that is wrong stops the work; after its second refusal another one is tried first. */
static void test_configuration(void **state) {
    (void)state;
    struct job *one = start("one", NULL);
    answer(&no_work_group);
    assert_int_equal(one->state, JOB_WAITING);
    assert_true(t.gate.closed);
    assert_int_equal(t.gate.cause, GATE_CONFIGURATION);
    assert_non_null(strstr(t.gate.why, "configuration: WorkGroup is not found."));
    struct job *two = parts_query("", "two", "SELECT 2");
    start_again(one);
    assert_int_equal(two->state, JOB_WAITING);
    answer(&no_work_group);
    assert_int_equal(one->state, JOB_REFUSED_BACKOFF);
    start_again(two);
    answer_started("e");
    assert_false(t.gate.suspect);
    assert_false(is_rejected());
    assert_int_equal(parts_sent(PARTS_DEADLETTER), 0);
}

/* Others work in between, and this one is refused again and again: it does not stop them. */
static void test_one_that_is_always_refused(void **state) {
    (void)state;
    struct job *one = start("one", NULL);
    answer(&no_work_group);
    assert_true(t.gate.closed); /* it was the first */
    start_again(one);
    answer(&no_work_group);
    for (int i = 0; i < 4; i++) {
        char query_id[32];
        snprintf(query_id, sizeof query_id, "other %d", i);
        struct job *other = parts_query("", query_id, "SELECT 2");
        start_again(other);
        answer_started("e");
        assert_false(t.gate.suspect);
        start_again(one);
        answer(&no_work_group);
        assert_int_equal(one->state, JOB_REFUSED_BACKOFF);
        assert_false(t.gate.suspect);
    }
}

static void test_no_connection(void **state) {
    (void)state;
    struct job *one = start("one", NULL);
    answer(&no_connection);
    assert_int_equal(one->state, JOB_WAITING);
    assert_int_equal(slots_taken(&t.slots), 0);
    assert_false(one->perhaps_started);
    assert_true(t.gate.closed);
    assert_int_equal(t.gate.cause, GATE_UNREACHABLE);
    for (int i = 0; i < 3; i++) {
        start_again(one);
        answer(&no_connection);
        assert_int_equal(one->state, JOB_WAITING); /* it keeps its place */
    }
}

/* What perhaps runs is given up for its own text alone. */
static void test_refused_after_it_was_perhaps_started(void **state) {
    (void)state;
    const struct aws_answer *const refusals[] = {&no_work_group, &denied};
    struct job *one = start("one", "own");
    answer(&lost);
    assert_int_equal(one->state, JOB_AMBIGUOUS_BACKOFF);
    for (size_t i = 0; i < 2; i++) {
        start_again(one);
        answer(refusals[i]);
        assert_int_equal(one->state, JOB_AMBIGUOUS_BACKOFF);
        assert_false(is_rejected());
    }
    start_again(one);
    answer(&quota);
    assert_int_equal(one->state, JOB_REFUSED_BACKOFF);
    assert_int_equal(parts_sent(PARTS_DEADLETTER), 0);
    start_again(one);
    answer(&malformed);
    assert_true(is_rejected());
}

#define UNTRACKED(test) cmocka_unit_test_setup_teardown(test, begin, parts_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        UNTRACKED(test_denied),
        UNTRACKED(test_denied_while_others_work),
        UNTRACKED(test_denied_its_own_work_group),
        UNTRACKED(test_configuration),
        UNTRACKED(test_one_that_is_always_refused),
        UNTRACKED(test_no_connection),
        UNTRACKED(test_refused_after_it_was_perhaps_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
