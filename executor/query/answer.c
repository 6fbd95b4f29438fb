#include "executor/query/answer.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/attempts.h"
#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "executor/metrics.h"
#include "executor/query/job_state.h"
#include "executor/query/known.h"
#include "executor/query/outcome.h"
#include "executor/query/started.h"

enum {
    AGAIN_LEAST_MS = 100,
    AGAIN_MOST_MS = 20000, /* the SDKs': rand × min(2^i, 20 s) */
    RATE_AGAIN_MS = 500,
    PLACE_KEPT_MS = 5000, /* under the API's rate limit; then those behind it come first */
    MISMATCH_AGAIN_MS = 1000,
    MISMATCHES_MOST = 2,
    TRIES_HELD = 3,        /* ambiguous answers in a row that count as a query that runs */
    ALONE_LEAST_MS = 1000, /* of a query that is refused while others are not */
    ALONE_MOST_MS = 60000,
    ASIDE_MS = 500, /* longer than the gate is closed: then another one is tried first */
    QUOTA_AGAIN_MS = 2000,
};

void answers_init(struct answers *a, const struct answers_parts *parts) {
    *a = (struct answers){.parts = *parts};
}

static void release_slot(struct answers *a, struct job *job) {
    slot_release(a->parts.slots, job->lane, &job->slot);
}

static void hold_slot(struct answers *a, struct job *job) {
    slot_hold(a->parts.slots, job->lane, &job->slot);
}

/* --- backing off ------------------------------------------------------------------------------ */

static void answer_on_ambiguous_timer(void *arg) {
    struct job *job = arg;
    struct answers *a = job->answers;
    job_transition(job, JOB_ASK_AGAIN);
    a->parts.changed(a->parts.arg);
}

/* It keeps its slot: perhaps it runs. */
static void ask_again_in(struct answers *a, struct job *job, int64_t delay_ms) {
    job_transition(job, JOB_AMBIGUOUS_BACKOFF);
    loop_timer_set(a->parts.loop, &job->timer, delay_ms, answer_on_ambiguous_timer, job);
}

/* It has no slot, and takes its turn before those of its user that came after it. */
static void wait_again(struct answers *a, struct job *job) {
    int64_t now_ms = loop_now(a->parts.loop);
    release_slot(a, job);
    /* What is refused again and again must not be the only one that is asked for. */
    job->keeps_place = job->rate_limited_ms == 0 || now_ms - job->rate_limited_ms < PLACE_KEPT_MS;
    job_transition(job, JOB_WAITING);
}

static void answer_on_refused_timer(void *arg) {
    struct job *job = arg;
    struct answers *a = job->answers;
    wait_again(a, job);
    a->parts.changed(a->parts.arg);
}

static void wait_again_in(struct answers *a, struct job *job, int64_t delay_ms) {
    job_transition(job, JOB_REFUSED_BACKOFF);
    loop_timer_set(a->parts.loop, &job->timer, delay_ms, answer_on_refused_timer, job);
}

static int64_t jittered(int64_t most_ms) {
    return (int64_t)((double)most_ms * attempts_random());
}

static int64_t doubled_ms(unsigned tries, int64_t least_ms, int64_t most_ms) {
    int64_t ms = 0;
    for (unsigned i = 0; i <= tries && ms < most_ms; i++)
        ms = backoff_next_ms(ms, least_ms, most_ms);
    return ms;
}

static int64_t ambiguous_backoff_ms(unsigned tries) {
    return jittered(doubled_ms(tries, AGAIN_LEAST_MS, AGAIN_MOST_MS)) + 1;
}

/* --- what each outcome means ------------------------------------------------------------------ */

static void follow(struct answers *a, struct job *job) {
    job_message_done(job);
    if (a->parts.config->track_queries) {
        started_publish(a->parts.settler, job);
        tracker_add(a->parts.tracker, job);
    } else {
        release_slot(a, job);
        settle_started(a->parts.settler, job);
    }
}

static void act_started(struct answers *a, struct job *job, const struct aws_answer *answer) {
    (void)answer;
    slot_started(a->parts.slots, job->lane, &job->slot, loop_now(a->parts.loop));
    pace_worked(a->parts.pace);
    double waited_s = (double)(loop_wall() - job_first_seen_ms(job)) / 1000;
    metric_observe(&a->parts.metrics[METRIC_WAIT_SECONDS], waited_s > 0 ? waited_s : 0);
    follow(a, job);
}

static const char *database_of(const struct answers *a, const struct job *job) {
    return job->query.database != NULL ? job->query.database : a->parts.config->aws.database;
}

/* It may run, or its dead letter is not taken: it waits for its turn here. */
static bool stays_here(const struct job *job) {
    return job->perhaps_started || job->has_no_copy;
}

static void act_quota(struct answers *a, struct job *job, const struct aws_answer *answer) {
    int64_t now_ms = loop_now(a->parts.loop);
    slot_throttled(a->parts.slots, job->lane, &job->slot, now_ms);
    if (!a->parts.config->track_queries)
        pace_throttled(a->parts.pace, now_ms);
    metric_add(&a->parts.metrics[METRIC_THROTTLED], 1);
    cloudwatch_count(a->parts.cloudwatch, CLOUDWATCH_THROTTLED, database_of(a, job));
    if (stays_here(job)) {
        wait_again_in(a, job, QUOTA_AGAIN_MS / 2 + jittered(QUOTA_AGAIN_MS));
        return;
    }
    settle_throttled(a->parts.settler, job, answer->code, answer->message);
}

static void act_rate(struct answers *a, struct job *job, const struct aws_answer *answer) {
    int64_t now_ms = loop_now(a->parts.loop);
    pace_throttled(a->parts.pace, now_ms);
    release_slot(a, job);
    if (job->rate_limited_ms == 0)
        job->rate_limited_ms = now_ms;
    int64_t refused_ms = now_ms - job->rate_limited_ms;
    if (!stays_here(job) && refused_ms >= a->parts.config->throttle_patience_ms) {
        const char *code = answer->code[0] != '\0' ? answer->code : "ThrottlingException";
        settle_throttled(a->parts.settler, job, code, answer->message);
        return;
    }
    wait_again_in(a, job, RATE_AGAIN_MS / 2 + jittered(RATE_AGAIN_MS));
}

static void act_ambiguous(struct answers *a, struct job *job, const struct aws_answer *answer) {
    /* It counts as running, but not for ever: some never get another answer. */
    if (job->tries < TRIES_HELD)
        hold_slot(a, job);
    else
        release_slot(a, job);
    job->perhaps_started = true;
    log_warn("perhaps started, asked again with the same token: status=%d code=%s %s queryId=%s",
             answer->http.status, answer->code, answer->http.error, job->id.query_id);
    ask_again_in(a, job, ambiguous_backoff_ms(job->tries++));
}

/* Others are started meanwhile. */
static void wait_alone(struct answers *a, struct job *job, enum gate_cause cause) {
    int64_t most_ms = doubled_ms(job->refusals, ALONE_LEAST_MS, ALONE_MOST_MS);
    release_slot(a, job);
    if (job->refusals++ == 0)
        settle_waiting(a->parts.settler, job, gate_reason(cause));
    wait_again_in(a, job, most_ms / 2 + jittered(most_ms / 2));
}

/*
 * It closes the gate, and goes back to its place. But one query must not be the only one that is
 * ever tried: from its second refusal on another one is tried before it, and where others have
 * worked since the last one, the fault is its own, and it waits alone.
 */
static void wait_at_gate(struct answers *a, struct job *job, enum gate_cause cause,
                         const struct aws_answer *answer) {
    struct gate *gate = a->parts.gate;
    bool is_alone = job->refusals > 0 && gate->worked_ms > job->refused_ms;
    job->refused_ms = loop_now(a->parts.loop);
    if (is_alone) {
        wait_alone(a, job, cause);
        return;
    }
    gate_refused(gate, cause, answer);
    release_slot(a, job);
    if (job->refusals++ == 0)
        wait_again(a, job);
    else
        wait_again_in(a, job, gate->delay_ms + ASIDE_MS);
}

static void act_credentials(struct answers *a, struct job *job, const struct aws_answer *answer) {
    wait_at_gate(a, job, GATE_CREDENTIALS, answer);
}

static void act_configuration(struct answers *a, struct job *job, const struct aws_answer *answer) {
    wait_at_gate(a, job, GATE_CONFIGURATION, answer);
}

static void act_denied(struct answers *a, struct job *job, const struct aws_answer *answer) {
    gate_denied(a->parts.gate, job->token, answer);
    wait_alone(a, job, GATE_DENIED);
}

/* That is never one query's fault, so all keep their places. */
static void act_unreachable(struct answers *a, struct job *job, const struct aws_answer *answer) {
    gate_refused(a->parts.gate, GATE_UNREACHABLE, answer);
    wait_again(a, job);
}

/*
 * Another text of this pair has started, or this one with other defaults: then the status topic
 * knows it, or will soon, where another executor has written it. So it is looked at twice.
 */
static void act_mismatch(struct answers *a, struct job *job, const struct aws_answer *answer) {
    static const char mismatch[] = "Idempotent parameters do not match";
    const char *code = answer->code[0] != '\0' ? answer->code : "InvalidRequestException";
    const char *message = answer->message[0] != '\0' ? answer->message : mismatch;
    struct status known;
    bool is_known = status_view_find(a->parts.view, job->id.user_id, job->id.query_id, &known);
    bool has_owner = is_known && known.query_execution_id != NULL;
    release_slot(a, job);
    if (!has_owner && ++job->mismatches < MISMATCHES_MOST) {
        wait_again_in(a, job, MISMATCH_AGAIN_MS);
        return;
    }
    /* This very text's own QUEUED or THROTTLED would be its last state otherwise. */
    if (is_known && !has_owner && known_is_same_text(&known, job))
        settle_rejected(a->parts.settler, job, code, message);
    else
        settle_mismatch(a->parts.settler, job, code, message);
}

static void act_rejected(struct answers *a, struct job *job, const struct aws_answer *answer) {
    release_slot(a, job);
    settle_rejected(a->parts.settler, job, answer->code,
                    answer->message[0] != '\0' ? answer->message : answer->code);
}

typedef void act_fn(struct answers *a, struct job *job, const struct aws_answer *answer);

static act_fn *const acts[] = {
    [OUTCOME_STARTED] = act_started,
    [OUTCOME_QUOTA] = act_quota,
    [OUTCOME_RATE] = act_rate,
    [OUTCOME_AMBIGUOUS] = act_ambiguous,
    [OUTCOME_CREDENTIALS] = act_credentials,
    [OUTCOME_CONFIGURATION] = act_configuration,
    [OUTCOME_DENIED] = act_denied,
    [OUTCOME_UNREACHABLE] = act_unreachable,
    [OUTCOME_MISMATCH] = act_mismatch,
    [OUTCOME_REJECTED] = act_rejected,
};
_Static_assert(sizeof acts / sizeof *acts == OUTCOMES, "an action for each outcome");

/* --- what is known already -------------------------------------------------------------------- */

/* It runs, for all that is known, and nothing more is known of it here. */
static void follow_execution(struct answers *a, struct job *job, const char *execution_id,
                             const char *output_location) {
    log_debug("started before, followed: queryId=%s queryExecutionId=%s", job->id.query_id,
              execution_id);
    char *id = mem_string(execution_id), *location = mem_string(output_location);
    free(job->execution_id);
    free(job->output_location);
    job->execution_id = id;
    job->output_location = location;
    loop_timer_cancel(a->parts.loop, &job->timer);
    if (!a->parts.config->track_queries) { /* nobody looks at its end */
        job_transition(job, JOB_FINISHED);
        return;
    }
    hold_slot(a, job);
    job_message_done(job);
    tracker_add(a->parts.tracker, job);
}

/* What runs is left to the next owner where the partition goes away. */
static bool follow_known(struct answers *a, struct job *job) {
    struct status known;
    bool is_covered;
    switch (known_look(a->parts.view, job, &known)) {
    case KNOWN_ENDED:
        settle_known(a->parts.settler, job, &known);
        return true;
    case KNOWN_STARTED:
        if (job->partition->revoking) {
            job_drop(job);
            return true;
        }
        is_covered = status_view_is_covered(a->parts.view, job->id.user_id, job->id.query_id);
        follow_execution(a, job, known.query_execution_id, known.output_location);
        if (is_covered)
            started_publish(a->parts.settler, job);
        return true;
    case KNOWN_NOTHING:
    case KNOWN_ANOTHER:
        break;
    }
    return false;
}

bool answer_is_known(struct answers *a, struct job *job) {
    if (job->pair_ended) {
        job_transition(job, JOB_FINISHED);
        return true;
    }
    if (follow_known(a, job))
        return true;
    if (job->execution_id == NULL)
        return false;
    follow_execution(a, job, job->execution_id, job->output_location);
    return true;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* The caller frees; NULL where there is none. */
static char *execution_id_of(const struct aws_answer *answer) {
    if (answer->http.result != HTTP_ANSWERED || answer->http.status != 200)
        return NULL;
    cJSON *root = cJSON_ParseWithLength(answer->http.body, answer->http.body_len);
    char *id = mem_string(
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "QueryExecutionId")));
    cJSON_Delete(root);
    return id;
}

static void count_call(struct answers *a, const struct job *job, const struct aws_answer *answer,
                       enum outcome outcome) {
    struct metric *metrics = a->parts.metrics;
    metric_add(&metrics[METRIC_ANSWERS + (int)outcome], 1);
    if (answer->http.result == HTTP_UNSENT)
        return;
    metric_add(&metrics[METRIC_STARTS], 1);
    metric_observe(&metrics[METRIC_START_SECONDS], answer->http.seconds);
    cloudwatch_count(a->parts.cloudwatch, CLOUDWATCH_START, database_of(a, job));
}

/* Of a partition that goes away, only what can be finished now is: the rest is the next owner's. */
static bool is_left_to_next_owner(const struct answers *a, const struct job *job,
                                  enum outcome outcome) {
    if (!job->partition->revoking)
        return false;
    switch (outcome) {
    case OUTCOME_STARTED:
        return a->parts.config->track_queries;
    case OUTCOME_QUOTA:
        return stays_here(job);
    default:
        return outcome != OUTCOME_REJECTED;
    }
}

/* What the answers in a row say, of this query and of all. */
static void count_in_a_row(struct answers *a, struct job *job, enum outcome outcome) {
    if (outcome != OUTCOME_AMBIGUOUS)
        job->tries = 0;
    a->ambiguous = outcome == OUTCOME_AMBIGUOUS ? a->ambiguous + 1 : 0;
    if (outcome != OUTCOME_RATE)
        job->rate_limited_ms = 0;
    if (outcome != OUTCOME_CREDENTIALS && outcome != OUTCOME_CONFIGURATION &&
        outcome != OUTCOME_DENIED && outcome != OUTCOME_UNREACHABLE)
        job->refusals = 0;
}

/* What it says of all queries. The outcomes that are left out may come before anything is checked.
 */
static void report_to_gate(struct answers *a, const struct job *job, enum outcome outcome) {
    if (outcome != OUTCOME_STARTED && outcome != OUTCOME_QUOTA && outcome != OUTCOME_MISMATCH &&
        outcome != OUTCOME_REJECTED)
        return;
    gate_worked(a->parts.gate);
    if (job->query.work_group == NULL)
        gate_allowed(a->parts.gate);
}

/*
 * Athena does not compare executionParameters: the id may be that of a query with others, which was
 * started under the same pair.
 */
static bool is_id_of_another(const struct answers *a, const struct job *job, const char *id) {
    struct status known;
    return status_view_find(a->parts.view, job->id.user_id, job->id.query_id, &known) &&
           known.query_execution_id != NULL && strcmp(known.query_execution_id, id) == 0 &&
           known.has_sha256 && !known_is_same_text(&known, job);
}

static enum outcome outcome_of(const struct answers *a, const struct job *job,
                               const struct aws_answer *answer, const char *id) {
    const struct admission *admission = &a->parts.slots->admission[job->lane];
    struct outcome_input in = outcome_input_of(answer);
    in.id = id;
    in.query = &job->query;
    in.default_catalog = a->parts.config->aws.catalog;
    in.perhaps_started = job->perhaps_started;
    enum outcome outcome = outcome_of_start(&in);
    if (outcome == OUTCOME_STARTED && is_id_of_another(a, job, id))
        outcome = OUTCOME_MISMATCH;
    log_debug("answer outcome=%s status=%d code=%s queryId=%s queryExecutionId=%s limit=%d held=%d",
              outcome_name(outcome), answer->http.status, answer->code, job->id.query_id,
              id != NULL ? id : "", admission->limit, admission->running);
    return outcome;
}

void answer_take(void *arg, const struct aws_answer *answer) {
    struct job *job = arg;
    struct answers *a = job->answers;
    job->call = NULL;
    char *id = execution_id_of(answer);
    enum outcome outcome = outcome_of(a, job, answer, id);
    count_call(a, job, answer, outcome);
    report_to_gate(a, job, outcome);
    count_in_a_row(a, job, outcome);
    free(job->execution_id);
    job->execution_id = id;
    if (is_left_to_next_owner(a, job, outcome)) {
        if (outcome == OUTCOME_STARTED)
            started_publish(a->parts.settler, job);
        job_drop(job);
    } else if (outcome == OUTCOME_STARTED || !follow_known(a, job)) {
        acts[outcome](a, job, answer);
    }
    a->parts.changed(a->parts.arg);
}
