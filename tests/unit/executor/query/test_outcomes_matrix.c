/*
 * All that one record can meet: every answer of Athena, in every state in which an answer can come,
 * times what Kafka says to the records that follow from it, times when the partition is taken away.
 *
 * Each case is driven to its end and held against one small description of what the answer means
 * (struct row). What must hold in all of them:
 * - the offset is finished once where every successor was acknowledged while the partition was
 *   owned, and not before that, and never else;
 * - the slot of the quota is given back once, and no later than the end of the record;
 * - nothing is left: no job, no byte of the record, no call, no timer (the sanitizers look, too).
 */
#include "tests/unit/executor/parts.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- logs: of thousands of cases nobody reads what each of them logs -------------------------- */

void log_init(const char *program, enum log_level level, enum log_format format) {
    (void)program, (void)level, (void)format;
}

int log_enabled(enum log_level level) {
    (void)level;
    return false;
}

void log_write(enum log_level level, const char *fmt, ...) {
    (void)level, (void)fmt;
}

/* --- the dimensions --------------------------------------------------------------------------- */

/* How it came to the call that is answered now. */
enum way {
    FIRST,
    REFUSED_BEFORE,
    NO_CREDENTIALS_BEFORE,
    MISMATCH_BEFORE,
    LOST_BEFORE,
    LOST_OFTEN
};

static const char *const ways[] = {"first call",           "after a throttle of the rate",
                                   "after no credentials", "after a mismatch",
                                   "after a lost answer",  "after many lost answers"};

/* What the producer and the broker say to each record once; from then on all is acknowledged. */
enum kafka {
    ACKED,
    ACKED_BACKWARDS,
    REPORTED_FAILED,
    NOT_TAKEN,
    NEVER_REPORTED
};

static const char *const kafkas[] = {"acknowledged", "acknowledged, the last one first",
                                     "failed once", "not taken once", "never reported"};

/* When the partition is taken away. Revoked: it still waits for what is under way; gone: not. */
enum rebalance {
    KEPT,
    REVOKED_BEFORE,
    REVOKED_BETWEEN,
    GONE_BEFORE,
    GONE_BETWEEN,
    LATE
};

static const char *const rebalances[] = {
    "kept",
    "revoked before the answer",
    "revoked between the answer and the reports",
    "gone before the answer",
    "gone between the answer and the reports",
    "gone between two reports",
};

static const struct way_case {
    enum way way;
    enum kafka kafka;
    enum rebalance rebalance;
} * current; /* for messages */
static const char *current_row;

static void fail_case(const char *what) {
    fail_msg("%s, %s, %s, %s: %s", current_row, ways[current->way], kafkas[current->kafka],
             rebalances[current->rebalance], what);
}

static void expect(bool holds, const char *what) {
    if (!holds)
        fail_case(what);
}

/* --- what answers to a start mean ------------------------------------------------------------- */

enum known {
    NOTHING,
    OTHER_RUNS,
    OTHER_WITH_ID,
    SAME_RUNS,
    SAME_ENDED,
    SAME_WAITS
};

struct row {
    const char *what;
    int status; /* 0: no answer has come back */
    const char *code, *message, *body, *athena_code;
    bool unsent;      /* the connection was never made */
    enum known known; /* what the status topic says of the pair when the answer comes */
    bool polls;       /* an answer to BatchGetQueryExecution; else to StartQueryExecution */
    bool untracked;   /* TRACK_QUERIES=off */
    bool impatient;   /* THROTTLE_PATIENCE_MS=0 */

    enum job_state after;     /* the answer */
    const char *copy, *state; /* that must be acknowledged; NULL: none */
    bool ends_in_revoked;     /* it comes to its end even where its partition is revoked */
    bool holds_slot;          /* after the answer */
};

#define MISMATCH_MESSAGE "Idempotent parameters do not match"
#define STARTED_BODY     "{\"QueryExecutionId\":\"e\"}"

static const struct row starts[] = {
    {.what = "started",
     .status = 200,
     .body = STARTED_BODY,
     .after = JOB_RUNNING,
     .holds_slot = true},
    {.what = "started, untracked",
     .status = 200,
     .body = STARTED_BODY,
     .untracked = true,
     .after = JOB_SETTLING,
     .state = "STARTED",
     .ends_in_revoked = true},
    {.what = "started, untracked, and its end is known",
     .status = 200,
     .body = STARTED_BODY,
     .known = SAME_ENDED,
     .untracked = true,
     .after = JOB_FINISHED,
     .ends_in_revoked = true},
    {.what = "throttled for the quota",
     .status = 400,
     .code = "TooManyRequestsException",
     .after = JOB_SETTLING,
     .copy = PARTS_DEADLETTER,
     .state = "THROTTLED",
     .ends_in_revoked = true},
    {.what = "throttled for the quota, untracked",
     .status = 400,
     .code = "TooManyRequestsException",
     .untracked = true,
     .after = JOB_SETTLING,
     .copy = PARTS_DEADLETTER,
     .state = "THROTTLED",
     .ends_in_revoked = true},
    {.what = "throttled for the quota, and the pair runs",
     .status = 400,
     .code = "TooManyRequestsException",
     .known = SAME_RUNS,
     .after = JOB_RUNNING,
     .holds_slot = true},
    {.what = "throttled for the quota, and the pair has ended",
     .status = 400,
     .code = "TooManyRequestsException",
     .known = SAME_ENDED,
     .after = JOB_FINISHED,
     .ends_in_revoked = true},
    {.what = "throttled for the API's rate, without patience, and the pair runs",
     .status = 400,
     .code = "ThrottlingException",
     .known = SAME_RUNS,
     .impatient = true,
     .after = JOB_RUNNING,
     .holds_slot = true},
    {.what = "no answer, and the pair runs",
     .known = SAME_RUNS,
     .after = JOB_RUNNING,
     .holds_slot = true},
    {.what = "rejected, and the pair runs",
     .status = 400,
     .code = "InvalidRequestException",
     .athena_code = "MALFORMED_QUERY",
     .message = "line 1:1: no",
     .known = SAME_RUNS,
     .after = JOB_RUNNING,
     .holds_slot = true},
    {.what = "rejected, and the pair has ended",
     .status = 400,
     .code = "InvalidRequestException",
     .athena_code = "MALFORMED_QUERY",
     .message = "line 1:1: no",
     .known = SAME_ENDED,
     .after = JOB_FINISHED,
     .ends_in_revoked = true},
    {.what = "throttled for the API's rate",
     .status = 400,
     .code = "ThrottlingException",
     .after = JOB_REFUSED_BACKOFF},
    {.what = "throttled for the API's rate, without patience",
     .status = 400,
     .code = "ThrottlingException",
     .impatient = true,
     .after = JOB_SETTLING,
     .copy = PARTS_DEADLETTER,
     .state = "THROTTLED"},
    {.what = "no answer", .after = JOB_AMBIGUOUS_BACKOFF, .holds_slot = true},
    {.what = "an error of the server",
     .status = 500,
     .code = "InternalServerException",
     .after = JOB_AMBIGUOUS_BACKOFF,
     .holds_slot = true},
    {.what = "an answer without an id",
     .status = 200,
     .body = "{}",
     .after = JOB_AMBIGUOUS_BACKOFF,
     .holds_slot = true},
    {.what = "no credentials",
     .status = 400,
     .code = "ExpiredTokenException",
     .after = JOB_WAITING},
    {.what = "a default is refused",
     .status = 400,
     .code = "InvalidRequestException",
     .athena_code = "INVALID_INPUT",
     .message = "WorkGroup is not found.",
     .after = JOB_WAITING},
    {.what = "denied the default work group",
     .status = 400,
     .code = "AccessDeniedException",
     .after = JOB_REFUSED_BACKOFF},
    {.what = "no connection", .unsent = true, .after = JOB_WAITING},
    {.what = "the rate of the data catalog",
     .status = 400,
     .code = "MetadataException",
     .message = "Rate exceeded",
     .after = JOB_REFUSED_BACKOFF},
    {.what = "the id of a query with other parameters",
     .status = 200,
     .body = STARTED_BODY,
     .known = OTHER_WITH_ID,
     .after = JOB_SETTLING,
     .copy = PARTS_REJECTED},
    {.what = "mismatch, of nobody knows what",
     .status = 400,
     .code = "InvalidRequestException",
     .message = MISMATCH_MESSAGE,
     .after = JOB_REFUSED_BACKOFF},
    {.what = "mismatch, of another text that runs",
     .status = 400,
     .code = "InvalidRequestException",
     .message = MISMATCH_MESSAGE,
     .known = OTHER_RUNS,
     .after = JOB_SETTLING,
     .copy = PARTS_REJECTED},
    {.what = "mismatch, of this text that runs",
     .status = 400,
     .code = "InvalidRequestException",
     .message = MISMATCH_MESSAGE,
     .known = SAME_RUNS,
     .after = JOB_RUNNING,
     .holds_slot = true},
    {.what = "mismatch, of this text that has ended",
     .status = 400,
     .code = "InvalidRequestException",
     .message = MISMATCH_MESSAGE,
     .known = SAME_ENDED,
     .after = JOB_FINISHED},
    {.what = "refused, and not for its text",
     .status = 400,
     .code = "InvalidRequestException",
     .athena_code = "INVALID_INPUT",
     .message = "Entity Not Found",
     .after = JOB_SETTLING,
     .copy = PARTS_REJECTED,
     .state = "REJECTED",
     .ends_in_revoked = true},
    {.what = "rejected",
     .status = 400,
     .code = "InvalidRequestException",
     .athena_code = "MALFORMED_QUERY",
     .message = "line 1:1: no",
     .after = JOB_SETTLING,
     .copy = PARTS_REJECTED,
     .state = "REJECTED",
     .ends_in_revoked = true},
    {.what = "rejected, and it was published as waiting",
     .status = 400,
     .code = "InvalidRequestException",
     .athena_code = "MALFORMED_QUERY",
     .message = "line 1:1: no",
     .known = SAME_WAITS,
     .after = JOB_SETTLING,
     .copy = PARTS_REJECTED,
     .state = "REJECTED",
     .ends_in_revoked = true},
};

/* --- what answers about what runs mean -------------------------------------------------------- */

#define EXECUTION(state)                                                                           \
    "{\"QueryExecutionId\":\"e\",\"Status\":{\"State\":\"" state "\",\"SubmissionDateTime\":1.5}}"
#define EXECUTIONS(list) "{\"QueryExecutions\":[" list "]}"

#define STILL_RUNS(name, ...)                                                                      \
    { .what = name, .polls = true, .after = JOB_RUNNING, .holds_slot = true, __VA_ARGS__ }
#define HAS_ENDED(name, list, final)                                                               \
    {                                                                                              \
        .what = name, .polls = true, .status = 200, .body = EXECUTIONS(list),                      \
        .after = JOB_SETTLING, .state = final                                                      \
    }

static const struct row polls[] = {
    STILL_RUNS("it is queued", .status = 200, .body = EXECUTIONS(EXECUTION("QUEUED"))),
    STILL_RUNS("it runs", .status = 200, .body = EXECUTIONS(EXECUTION("RUNNING"))),
    STILL_RUNS("a state that is new", .status = 200, .body = EXECUTIONS(EXECUTION("PAUSED"))),
    STILL_RUNS("it is left out", .status = 200, .body = EXECUTIONS("")),
    STILL_RUNS("another is reported", .status = 200,
               .body =
                   EXECUTIONS("{\"QueryExecutionId\":\"x\",\"Status\":{\"State\":\"FAILED\"}}")),
    STILL_RUNS("an answer without a list", .status = 200, .body = "{}"),
    STILL_RUNS("an answer that is no JSON", .status = 200, .body = "<html>"),
    STILL_RUNS("refused", .status = 400, .code = "InvalidRequestException"),
    STILL_RUNS("throttled", .status = 400, .code = "ThrottlingException"),
    STILL_RUNS("too many requests", .status = 400, .code = "TooManyRequestsException"),
    STILL_RUNS("no credentials", .status = 400, .code = "ExpiredTokenException"),
    STILL_RUNS("an error of the server", .status = 503, .code = ""),
    STILL_RUNS("an endpoint of something else", .status = 404, .code = "UnknownOperationException"),
    STILL_RUNS("no answer", .status = 0),
    STILL_RUNS("no connection", .status = 0, .unsent = true),
    HAS_ENDED("succeeded", EXECUTION("SUCCEEDED"), "SUCCEEDED"),
    HAS_ENDED("failed", EXECUTION("FAILED"), "FAILED"),
    HAS_ENDED("cancelled", EXECUTION("CANCELLED"), "CANCELLED"),
    HAS_ENDED("reported twice", EXECUTION("SUCCEEDED") "," EXECUTION("FAILED"), "SUCCEEDED"),
    HAS_ENDED("reported twice, the end last", EXECUTION("RUNNING") "," EXECUTION("SUCCEEDED"),
              "SUCCEEDED"),
    HAS_ENDED("reported twice, the end first", EXECUTION("SUCCEEDED") "," EXECUTION("RUNNING"),
              "SUCCEEDED"),
};

/* What perhaps runs is neither given away nor given up, save where its own text is malformed. */
static void keep_what_perhaps_runs(struct row *r, enum way way) {
    bool is_throttled = r->copy != NULL && strcmp(r->copy, PARTS_DEADLETTER) == 0;
    bool is_refused = r->state != NULL && strcmp(r->state, "REJECTED") == 0 &&
                      strcmp(r->athena_code, "MALFORMED_QUERY") != 0;
    if (!is_throttled && !is_refused)
        return;
    r->after = is_throttled ? JOB_REFUSED_BACKOFF : JOB_AMBIGUOUS_BACKOFF;
    r->holds_slot = is_refused && way != LOST_OFTEN;
    r->copy = r->state = NULL;
    r->ends_in_revoked = false;
}

/* What came before changes what some of the answers to a start mean. */
static struct row row_on_way(const struct row *row, enum way way) {
    struct row r = *row;
    if (row->polls)
        return r;
    bool perhaps_started = way == LOST_BEFORE || way == LOST_OFTEN;
    if (perhaps_started && row->known == NOTHING)
        keep_what_perhaps_runs(&r, way);
    if (perhaps_started && row->code != NULL && strcmp(row->code, "TooManyRequestsException") == 0)
        r.ends_in_revoked = false; /* it is the next owner's, too */
    if (way == NO_CREDENTIALS_BEFORE && row->after == JOB_WAITING && !row->unsent)
        r.after = JOB_REFUSED_BACKOFF; /* another one is tried first */
    if (row->after == JOB_AMBIGUOUS_BACKOFF && way == LOST_OFTEN)
        r.holds_slot = false; /* some never get another answer */
    if (way == MISMATCH_BEFORE && row->after == JOB_REFUSED_BACKOFF && row->message != NULL &&
        strcmp(row->message, MISMATCH_MESSAGE) == 0) {
        r.after = JOB_SETTLING; /* asked twice */
        r.copy = PARTS_REJECTED;
    }
    return r;
}

/* --- to the call ------------------------------------------------------------------------------ */

static const char *text_or_none(const char *text) {
    return text != NULL ? text : "";
}

static void answer_as(struct aws_call *call, const struct row *r) {
    const char *body = text_or_none(r->body);
    const struct aws_answer a = {
        .http = {.result = r->status != 0 ? HTTP_ANSWERED
                           : r->unsent    ? HTTP_UNSENT
                                          : HTTP_LOST,
                 .status = r->status,
                 .body = body,
                 .body_len = strlen(body),
                 .error = ""},
        .code = text_or_none(r->code),
        .message = text_or_none(r->message),
        .reason = "",
        .athena_code = text_or_none(r->athena_code),
    };
    assert_true(call->open);
    call->open = false;
    call->fn(call->arg, &a);
}

static void answer(struct aws_call *call, int status, const char *code, const char *message,
                   const char *body) {
    const struct row r = {.status = status, .code = code, .message = message, .body = body};
    answer_as(call, &r);
}

static void go_way(enum way way) {
    switch (way) {
    case FIRST:
        break;
    case REFUSED_BEFORE:
        answer(parts_next_call(), 400, "ThrottlingException", NULL, NULL);
        break;
    case NO_CREDENTIALS_BEFORE:
        answer(parts_next_call(), 400, "ExpiredTokenException", NULL, NULL);
        break;
    case MISMATCH_BEFORE:
        answer(parts_next_call(), 400, "InvalidRequestException", MISMATCH_MESSAGE, NULL);
        break;
    case LOST_BEFORE:
        answer(parts_next_call(), 0, NULL, NULL, NULL);
        break;
    case LOST_OFTEN:
        for (int i = 0; i < 4; i++)
            answer(parts_next_call(), 0, NULL, NULL, NULL);
    }
}

static void know(enum known known) {
    switch (known) {
    case NOTHING:
        break;
    case OTHER_RUNS:
        parts_know("u", "q", STATUS_STARTED, "other", "SELECT 2");
        break;
    case OTHER_WITH_ID:
        parts_know("u", "q", STATUS_STARTED, "e", "SELECT 2");
        break;
    case SAME_RUNS:
        parts_know("u", "q", STATUS_STARTED, "e", "SELECT 1");
        break;
    case SAME_ENDED:
        parts_know("u", "q", STATUS_SUCCEEDED, "e", "SELECT 1");
        break;
    case SAME_WAITS:
        parts_know("u", "q", STATUS_QUEUED, NULL, "SELECT 1");
    }
}

/* --- from the answer to the end --------------------------------------------------------------- */

static struct {
    struct row row;
    bool copy_acked, state_acked;
} now;

/* The offset is finished behind what leads to the next, and once. */
static void on_finished(void) {
    expect(t.finished == 1, "finished twice");
    expect(now.row.copy == NULL || now.copy_acked, "finished before its copy is acknowledged");
    expect(now.row.state == NULL || now.state_acked, "finished before its state is acknowledged");
}

static void check_slots(void) {
    const struct admission *a = &t.slots.admission[LANE_DML];
    expect(a->running >= 0 && a->calls >= 0, "a slot is given back twice");
    expect(a->running + a->calls <= 1, "a slot is taken twice");
    expect(t.finished == 0 || a->running + a->calls == 0, "finished, and its slot is kept");
}

static bool may_still_finish(void) {
    return !TAILQ_EMPTY(&t.partition.jobs);
}

/* Reports what was sent `i`-th, if it is under way. */
static bool report(size_t i, rd_kafka_resp_err_t err) {
    struct stub_send *send = &stub_producer.sends[i];
    bool acked = err == RD_KAFKA_RESP_ERR_NO_ERROR && may_still_finish();
    if (!send->open)
        return false;
    if (strcmp(send->topic, PARTS_STATUS) == 0)
        now.state_acked = acked;
    else
        now.copy_acked = acked;
    stub_producer_report(send, err);
    check_slots();
    return true;
}

/* All that is under way, with some time between one and the next. */
static void report_all(enum kafka kafka, rd_kafka_resp_err_t err) {
    for (size_t i = 0, count = stub_producer.count; i < count; i++)
        if (report(kafka == ACKED_BACKWARDS ? count - 1 - i : i, err))
            stub_run(t.loop, 250);
}

static void report_one(enum kafka kafka, rd_kafka_resp_err_t err) {
    for (size_t i = 0, count = stub_producer.count; i < count; i++)
        if (report(kafka == ACKED_BACKWARDS ? count - 1 - i : i, err))
            return;
}

/* Until all that is to be written of it is acknowledged, be it too late. */
static void drive_kafka(enum kafka kafka) {
    if (kafka == NEVER_REPORTED)
        return;
    if (kafka == REPORTED_FAILED)
        report_all(kafka, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    stub_producer.refuses = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < 3; i++) {
        stub_run(t.loop, 400);
        report_all(kafka, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
}

static void check_after_answer(const struct job *job) {
    char what[128];
    snprintf(what, sizeof what, "%s after the answer, not %s", job_state_name(job->state),
             job_state_name(now.row.after));
    expect(job->state == now.row.after, what);
    expect(slots_taken(&t.slots) == (now.row.holds_slot ? 1 : 0), "the slot after the answer");
}

/* Of a revoked partition: it comes to its end, or is the next owner's. */
static void check_after_revoked_answer(const struct job *job) {
    enum job_state want = now.row.ends_in_revoked ? now.row.after : JOB_DROPPED;
    expect(job->state == want, job_state_name(job->state));
    expect(slots_taken(&t.slots) == 0, "the slot in a revoked partition");
}

static bool has_end(void) {
    return now.row.after == JOB_SETTLING || now.row.after == JOB_FINISHED;
}

/* Whether the record is done with when all is over. */
static bool finishes(const struct way_case *c) {
    bool at_once = now.row.after == JOB_FINISHED;
    switch (c->rebalance) {
    case KEPT:
    case REVOKED_BETWEEN:
        return at_once || (has_end() && c->kafka != NEVER_REPORTED);
    case REVOKED_BEFORE:
        return now.row.ends_in_revoked && (at_once || c->kafka != NEVER_REPORTED);
    case GONE_BEFORE:
        return false;
    case GONE_BETWEEN:
        return at_once;
    case LATE: /* one report comes in time, the other does not */
        return at_once || (has_end() && (now.row.copy == NULL) != (now.row.state == NULL) &&
                           (c->kafka == ACKED || c->kafka == ACKED_BACKWARDS));
    }
    return false;
}

/* The answer comes; what it means is seen at once. */
static void take_answer(struct job *job, enum rebalance rebalance) {
    struct aws_call *call = stub_aws_open();
    if (rebalance == REVOKED_BEFORE)
        parts_revoke();
    answer_as(call, &now.row);
    check_slots();
    if (rebalance == REVOKED_BEFORE || rebalance == GONE_BEFORE)
        check_after_revoked_answer(job);
    else
        check_after_answer(job);
}

/* Nobody is left for the answer: a start is cancelled, a look at many goes on. */
static void go_before_the_answer(struct job *job) {
    dispatch_gone(&t.dispatch, &t.partition);
    expect(job->state == JOB_DROPPED, "not dropped");
    expect((stub_aws_open() != NULL) == now.row.polls, "the call of a partition that is gone");
    if (now.row.polls)
        take_answer(job, GONE_BEFORE);
}

/* The record comes in, and the call is made that is to be answered. */
static struct job *come_to_the_call(const struct way_case *c) {
    struct job *job = parts_query("u", "q", "SELECT 1");
    if (now.row.polls) {
        parts_answer_started(parts_next_call(), "e");
        parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    go_way(c->way);
    const struct aws_call *call = parts_next_call();
    expect(job->state == (now.row.polls ? JOB_RUNNING : JOB_STARTING), job_state_name(job->state));
    expect(strcmp(call->operation,
                  now.row.polls ? "BatchGetQueryExecution" : "StartQueryExecution") == 0,
           call->operation);
    know(now.row.known);
    check_slots();
    return job;
}

static void take_away(enum rebalance rebalance) {
    if (rebalance == REVOKED_BETWEEN) {
        parts_revoke();
        expect(may_still_finish() == (now.row.after == JOB_SETTLING),
               "what has nothing under way is dropped, and nothing else");
    } else if (rebalance == LATE) {
        if (current->kafka != NEVER_REPORTED)
            report_one(current->kafka, current->kafka == REPORTED_FAILED
                                           ? RD_KAFKA_RESP_ERR__MSG_TIMED_OUT
                                           : RD_KAFKA_RESP_ERR_NO_ERROR);
        dispatch_gone(&t.dispatch, &t.partition);
    } else if (rebalance == GONE_BETWEEN) {
        dispatch_gone(&t.dispatch, &t.partition);
    }
    check_slots();
}

static void open_case(const struct row *row, const struct way_case *c) {
    struct executor_config config = parts_config();
    config.track_queries = !row->untracked;
    parts_open(&config);
    if (row->impatient) /* a throttle on the way is not to be the last one */
        t.config.throttle_patience_ms = c->way == REFUSED_BEFORE ? 1 : 0;
    current = c;
    current_row = row->what;
    memset(&now, 0, sizeof now);
    now.row = row_on_way(row, c->way);
    t.on_finished = on_finished;
}

static void run_case(const struct row *row, const struct way_case *c) {
    open_case(row, c);
    struct job *job = come_to_the_call(c);
    if (c->kafka == NOT_TAKEN)
        stub_producer.refuses = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    if (c->rebalance == GONE_BEFORE) {
        go_before_the_answer(job);
    } else {
        take_answer(job, c->rebalance);
        take_away(c->rebalance);
    }
    dispatch_stop(&t.dispatch); /* this answer is the last one of a start, … */
    drive_kafka(c->kafka);      /* … and those about what runs are no concern of this case */
    check_slots();
    bool want = finishes(c);
    expect(t.finished == want, t.finished ? "is finished" : "is not finished");
    parts_close(); /* reports what nobody has reported, and nothing may be left */
    expect(t.finished == want, "finished by the close");
}

static void run_rows(const struct row *rows, size_t count) {
    for (size_t r = 0; r < count; r++)
        for (size_t w = 0; w < COUNT(ways); w++)
            for (size_t k = 0; k < COUNT(kafkas); k++)
                for (size_t b = 0; b < COUNT(rebalances); b++) {
                    const struct way_case c = {(enum way)w, (enum kafka)k, (enum rebalance)b};
                    run_case(&rows[r], &c);
                }
}

static void test_answers_to_a_start(void **state) {
    (void)state;
    run_rows(starts, COUNT(starts));
}

static void test_answers_about_what_runs(void **state) {
    (void)state;
    run_rows(polls, COUNT(polls));
}

/* --- other states, other numbers -------------------------------------------------------------- */

/* What has started since the call was made is RUNNING then, and the answer is none about it. */
static void test_answers_about_others(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(polls); i++) {
        parts_begin(NULL);
        parts_grant(2);
        parts_query("u", "p", "SELECT 1");
        parts_answer_started(parts_next_call(), "p");
        struct aws_call *call = parts_next_call();
        const struct job *job = parts_query("u", "q", "SELECT 1");
        parts_iterate();
        parts_answer_started(&stub_aws.calls[stub_aws.count - 1], "e");
        assert_int_equal(job->state, JOB_RUNNING);
        answer_as(call, &polls[i]);
        if (job->state != JOB_RUNNING || t.slots.admission[LANE_DML].running != 2)
            fail_msg("%s: %s", polls[i].what, job_state_name(job->state));
        parts_close();
    }
}

/* The same query was posted often: Athena is asked about it once, and all records end. */
static void test_many_records_of_one_execution(void **state) {
    (void)state;
    parts_grant(5);
    for (int i = 0; i < 3; i++)
        parts_query("u", "q", "SELECT 1");
    parts_iterate();
    assert_int_equal(stub_aws.count, 1);
    parts_answer_started(&stub_aws.calls[0], "e");
    parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(stub_messages_alive, 0); /* what runs needs no bytes any more, … */
    parts_query("u", "q", "SELECT 1");
    assert_int_equal(stub_messages_alive, 0); /* … nor does who comes later */
    assert_int_equal(slots_taken(&t.slots), 1);
    struct aws_call *call = parts_next_call();
    assert_string_equal(call->body, "{\"QueryExecutionIds\":[\"e\"]}");
    answer(call, 200, NULL, NULL, EXECUTIONS(EXECUTION("SUCCEEDED")));
    assert_int_equal(slots_taken(&t.slots), 0);
    stub_run(t.loop, 1000);
    assert_int_equal(t.finished, 0);
    parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
    dispatch_soon(&t.dispatch);
    parts_iterate();
    assert_int_equal(t.finished, 4);
    assert_int_equal(parts_sent(PARTS_STATUS), 2);
}

/* A query that no answer names holds its slot for a hundred looks, and is asked for for ever. */
static void test_left_out_for_long(void **state) {
    (void)state;
    const struct job *job = parts_query("u", "q", "SELECT 1");
    parts_answer_started(parts_next_call(), "e");
    parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
    for (int i = 0; i < 110; i++) {
        assert_int_equal(slots_taken(&t.slots), i <= 100);
        answer(parts_next_call(), 200, NULL, NULL, EXECUTIONS(""));
        assert_int_equal(job->state, JOB_RUNNING);
    }
    answer(parts_next_call(), 200, NULL, NULL, EXECUTIONS(EXECUTION("SUCCEEDED")));
    assert_int_equal(slots_taken(&t.slots), 0);
    parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(t.finished, 1);
}

#define LOST_BODY                                                                                  \
    "{\"QueryExecutions\":[],\"UnprocessedQueryExecutionIds\":[{\"QueryExecutionId\":\"e\","       \
    "\"ErrorCode\":\"INVALID_INPUT\",\"ErrorMessage\":\"QueryExecution e was not found\"}]}"
#define INTERNAL_BODY                                                                              \
    "{\"QueryExecutions\":[],\"UnprocessedQueryExecutionIds\":[{\"QueryExecutionId\":\"e\","       \
    "\"ErrorCode\":\"INTERNAL_ERROR\",\"ErrorMessage\":\"try again\"}]}"

/* Athena does not know the execution for a minute: how it ended is unknown, and that is its end. */
static void test_no_longer_known(void **state) {
    (void)state;
    struct job *job = parts_query("u", "q", "SELECT 1");
    parts_answer_started(parts_next_call(), "e");
    parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
    for (int i = 0; i < 100; i++)
        answer(parts_next_call(), 200, NULL, NULL, INTERNAL_BODY);
    answer(parts_next_call(), 200, NULL, NULL, LOST_BODY);
    int64_t first_ms = loop_now(t.loop);
    answer(parts_next_call(), 200, NULL, NULL, EXECUTIONS(EXECUTION("RUNNING")));
    answer(parts_next_call(), 200, NULL, NULL, LOST_BODY); /* counted from here on */
    first_ms = loop_now(t.loop);
    while (job->state == JOB_RUNNING)
        answer(parts_next_call(), 200, NULL, NULL, LOST_BODY);
    int64_t passed_ms = loop_now(t.loop) - first_ms;
    assert_true(passed_ms >= 60000 && passed_ms < 70000);
    assert_int_equal(slots_taken(&t.slots), 0);
    assert_int_equal(t.finished, 0);
    const char *value = parts_unreported(PARTS_STATUS)->value;
    assert_non_null(strstr(value, "\"state\":\"FAILED\""));
    assert_non_null(
        strstr(value, "Athena no longer knows this execution; how it ended is unknown"));
    parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(t.finished, 1);
}

/* Half a surrogate pair in a reason or in SQL. */
static void test_half_a_surrogate_pair(void **state) {
    (void)state;
    parts_query("u", "q", "SELECT 1");
    parts_answer_started(parts_next_call(), "e");
    parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
    answer(parts_next_call(), 200, NULL, NULL,
           EXECUTIONS("{\"QueryExecutionId\":\"e\",\"Query\":\"\\udc00 \\\\ud800\","
                      "\"Status\":{\"State\":\"FAILED\","
                      "\"StateChangeReason\":\"\\ud83d\\ude00 cut \\ud83d\"}}"));
    assert_non_null(
        strstr(parts_unreported(PARTS_STATUS)->value, "\xF0\x9F\x98\x80 cut \xEF\xBF\xBD"));
    parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(t.finished, 1);
}

/* One whose answer is never readable does not keep the others from their ends. */
static void test_one_spoils_its_batch(void **state) {
    (void)state;
    enum {
        JOBS = 20
    };
    parts_grant(JOBS);
    parts_queries(JOBS, "SELECT 1");
    for (int i = 0; i < JOBS; i++) {
        char id[16];
        parts_iterate();
        snprintf(id, sizeof id, "e%02d", i);
        parts_answer_started(&stub_aws.calls[i], id);
        parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    for (int calls = 0; calls < 60 && t.finished < JOBS - 1; calls++) {
        struct aws_call *call = parts_next_call();
        char body[4096] = "{\"QueryExecutions\":[", *end = body + strlen(body);
        for (int i = 0; i < JOBS; i++) {
            char id[16];
            snprintf(id, sizeof id, "\"e%02d\"", i);
            if (strstr(call->body, id) != NULL)
                end += sprintf(end, "%s{\"QueryExecutionId\":%s,\"Status\":{\"State\":\"FAILED\"}}",
                               end[-1] == '[' ? "" : ",", id);
        }
        strcpy(end, "]}");
        bool spoilt = strstr(call->body, "\"e07\"") != NULL;
        answer(call, 200, NULL, NULL, spoilt ? "{\"QueryExecutions\":[{" : body);
        while (parts_unreported(PARTS_STATUS) != NULL)
            parts_report(PARTS_STATUS, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    assert_int_equal(t.finished, JOBS - 1);
    assert_int_equal(slots_taken(&t.slots), 1);
}

/* --- transitions that are not in the table ---------------------------------------------------- */

#ifdef DEBUG_CHECKS
static bool aborts(enum job_state from, enum job_state to) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct job *job = job_new(&t.jobs, &t.partition);
        job->state = from;
        signal(SIGABRT, SIG_DFL); /* cmocka's own would report a failed test */
        job_transition(job, to);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
#endif

static void test_a_transition_that_is_not_allowed(void **state) {
    (void)state;
#ifdef DEBUG_CHECKS
    for (int from = 0; from < JOB_STATES; from++)
        for (int to = 0; to < JOB_STATES; to++)
            if (!job_may_become((enum job_state)from, (enum job_state)to) &&
                !aborts((enum job_state)from, (enum job_state)to))
                fail_msg("%s to %s", job_state_name((enum job_state)from),
                         job_state_name((enum job_state)to));
#else
    skip(); /* builds without the checks log it, and go on */
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_to_a_start),
        cmocka_unit_test(test_answers_about_what_runs),
        cmocka_unit_test(test_answers_about_others),
        WITH_PARTS(test_many_records_of_one_execution),
        WITH_PARTS(test_left_out_for_long),
        WITH_PARTS(test_no_longer_known),
        WITH_PARTS(test_half_a_surrogate_pair),
        WITH_PARTS(test_one_spoils_its_batch),
        WITH_PARTS(test_a_transition_that_is_not_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
