#include "executor/query/answer.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/attempts.h"
#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "executor/executor.h"
#include "executor/limit/slot.h"
#include "executor/query/outcome.h"
#include "executor/query/settle.h"
#include "executor/turn/dispatch.h"
#include "executor/turn/gate.h"

enum {
    AGAIN_LEAST_MS = 100,
    AGAIN_MOST_MS = 20000, /* the SDKs': rand × min(2^i, 20 s) */
    RATE_AGAIN_MS = 500,
    PLACE_KEPT_MS = 5000, /* under the API's rate limit; then those behind it come first */
    MISMATCH_AGAIN_MS = 1000,
    MISMATCHES_MOST = 2,
    TRIES_HELD = 3, /* ambiguous answers in a row that count as a query that runs */
};

/* --- backing off ------------------------------------------------------------------------------ */

static void on_again(void *arg) {
    struct job *job = arg;
    TAILQ_INSERT_TAIL(&job->executor->again, job, in_list);
    dispatch_run(job->executor);
}

/* It keeps its slot: perhaps it runs. */
static void again_in(struct executor *x, struct job *job, int64_t delay_ms) {
    job->state = JOB_BACKING_OFF;
    loop_timer_set(x->loop, &job->timer, delay_ms, on_again, job);
}

/* It has no slot, and takes its turn before those of its user that came after it. */
static void wait_again(struct executor *x, struct job *job) {
    slot_release(x, job);
    job->state = JOB_WAITING;
    /* What is refused again and again must not be the only one that is asked for. */
    if (job->rate_limited_ms != 0 && loop_now(x->loop) - job->rate_limited_ms >= PLACE_KEPT_MS)
        window_add(&x->window[job->lane], &job->in_window, job->id.user_id);
    else
        window_put_back(&x->window[job->lane], &job->in_window, job->id.user_id);
}

static void on_waited(void *arg) {
    struct job *job = arg;
    wait_again(job->executor, job);
    dispatch_run(job->executor);
}

static int64_t jittered(int64_t most_ms) {
    return (int64_t)((double)most_ms * attempts_random());
}

static int64_t backoff_ms(unsigned tries) {
    int64_t most_ms = 0;
    for (unsigned i = 0; i <= tries && most_ms < AGAIN_MOST_MS; i++)
        most_ms = backoff_next_ms(most_ms, AGAIN_LEAST_MS, AGAIN_MOST_MS);
    return jittered(most_ms) + 1;
}

/* --- what each outcome means ------------------------------------------------------------------ */

static void follow(struct executor *x, struct job *job) {
    job_release_message(job);
    if (x->config->track_queries) {
        settle_running(x, job);
        tracker_add(x, job);
    } else {
        slot_release(x, job);
        settle_started(x, job);
    }
    partitions_settled(x->partitions, job->partition); /* one fewer waits in its window */
}

static void act_started(struct executor *x, struct job *job, const struct aws_answer *answer) {
    (void)answer;
    slot_started(x, job);
    pace_worked(&x->pace);
    double waited_s = (double)(loop_wall() - job_first_seen_ms(job)) / 1000;
    metric_observe(&x->metrics[METRIC_WAIT_SECONDS], waited_s > 0 ? waited_s : 0);
    follow(x, job);
}

static const char *database_of(const struct executor *x, const struct job *job) {
    return job->query.database != NULL ? job->query.database : x->config->aws.database;
}

static void act_quota(struct executor *x, struct job *job, const struct aws_answer *answer) {
    slot_throttled(x, job);
    if (!x->config->track_queries)
        pace_throttled(&x->pace, loop_now(x->loop));
    metric_add(&x->metrics[METRIC_THROTTLED], 1);
    if (x->cloudwatch != NULL)
        cloudwatch_count(x->cloudwatch, CLOUDWATCH_THROTTLED, database_of(x, job));
    settle_throttled(x, job, answer->code, answer->message);
}

static void act_rate(struct executor *x, struct job *job, const struct aws_answer *answer) {
    int64_t now_ms = loop_now(x->loop);
    pace_throttled(&x->pace, now_ms);
    slot_release(x, job);
    if (job->rate_limited_ms == 0)
        job->rate_limited_ms = now_ms;
    if (!job->perhaps_started && now_ms - job->rate_limited_ms >= x->config->throttle_patience_ms) {
        const char *code = answer->code[0] != '\0' ? answer->code : "ThrottlingException";
        settle_throttled(x, job, code, answer->message);
        return;
    }
    job->state = JOB_BACKING_OFF;
    loop_timer_set(x->loop, &job->timer, RATE_AGAIN_MS / 2 + jittered(RATE_AGAIN_MS), on_waited,
                   job);
}

static void act_ambiguous(struct executor *x, struct job *job, const struct aws_answer *answer) {
    /* It counts as running, but not for ever: some never get another answer. */
    if (job->tries < TRIES_HELD)
        slot_hold(x, job);
    else
        slot_release(x, job);
    job->perhaps_started = true;
    log_warn("perhaps started, asked again with the same token: status=%d code=%s %s queryId=%s",
             answer->http.status, answer->code, answer->http.error, job->id.query_id);
    again_in(x, job, backoff_ms(job->tries++));
}

static void act_credentials(struct executor *x, struct job *job, const struct aws_answer *answer) {
    gate_refused(x, answer);
    wait_again(x, job);
}

static bool is_of_its_text(const struct status *known, const struct job *job) {
    return known->has_sha256 && memcmp(known->sha256, job->sha256, sizeof known->sha256) == 0;
}

/*
 * Another text of this pair has started, or this one with other defaults. The status topic tells
 * which; what another executor wrote there may lag behind, so it is asked twice.
 */
static void act_mismatch(struct executor *x, struct job *job, const struct aws_answer *answer) {
    struct status known;
    bool is_known = status_view_find(x->view, job->id.user_id, job->id.query_id, &known);
    if (is_known && known.query_execution_id != NULL && is_of_its_text(&known, job)) {
        log_info("started before with other defaults, followed: queryId=%s queryExecutionId=%s",
                 job->id.query_id, known.query_execution_id);
        if (status_is_final(known.state)) { /* and ended, and told */
            slot_release(x, job);
            dispatch_finish(x, job);
            return;
        }
        job->execution_id = mem_string(known.query_execution_id);
        slot_hold(x, job);
        follow(x, job);
        return;
    }
    bool has_owner = is_known && known.query_execution_id != NULL;
    bool unsure = !has_owner && ++job->mismatches < MISMATCHES_MOST;
    if (unsure) {
        slot_release(x, job);
        job->state = JOB_BACKING_OFF;
        loop_timer_set(x->loop, &job->timer, MISMATCH_AGAIN_MS, on_waited, job);
        return;
    }
    slot_release(x, job);
    /* This very text's own QUEUED or THROTTLED would be its last word otherwise. */
    bool is_ours = is_known && known.query_execution_id == NULL && is_of_its_text(&known, job);
    if (is_ours)
        settle_rejected(x, job, answer->code, answer->message);
    else
        settle_mismatch(x, job, answer->code, answer->message);
}

static void act_rejected(struct executor *x, struct job *job, const struct aws_answer *answer) {
    slot_release(x, job);
    settle_rejected(x, job, answer->code,
                    answer->message[0] != '\0' ? answer->message : answer->code);
}

typedef void act_fn(struct executor *x, struct job *job, const struct aws_answer *answer);

static act_fn *const acts[OUTCOMES] = {
    [OUTCOME_STARTED] = act_started,
    [OUTCOME_QUOTA] = act_quota,
    [OUTCOME_RATE] = act_rate,
    [OUTCOME_AMBIGUOUS] = act_ambiguous,
    [OUTCOME_CREDENTIALS] = act_credentials,
    [OUTCOME_MISMATCH] = act_mismatch,
    [OUTCOME_REJECTED] = act_rejected,
};

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

static void count_call(struct executor *x, const struct job *job, const struct aws_answer *answer,
                       enum outcome outcome) {
    metric_add(&x->metrics[METRIC_ANSWERS + (int)outcome], 1);
    if (answer->http.result == HTTP_UNSENT)
        return;
    metric_add(&x->metrics[METRIC_STARTS], 1);
    metric_observe(&x->metrics[METRIC_START_SECONDS], answer->http.seconds);
    if (x->cloudwatch != NULL)
        cloudwatch_count(x->cloudwatch, CLOUDWATCH_START, database_of(x, job));
}

/* Of a partition that goes away, only what can be finished now is: the rest is the next owner's. */
static bool is_left_to_next_owner(const struct executor *x, const struct job *job,
                                  enum outcome outcome) {
    if (!job->partition->revoking)
        return false;
    return outcome == OUTCOME_STARTED ? x->config->track_queries
                                      : outcome != OUTCOME_QUOTA && outcome != OUTCOME_REJECTED;
}

void answer_take(void *arg, const struct aws_answer *answer) {
    struct job *job = arg;
    struct executor *x = job->executor;
    job->call = NULL;
    x->calls--;
    char *id = execution_id_of(answer);
    struct outcome_input in = outcome_input_of(answer);
    in.id = id;
    in.chose_resources = query_chose_resources(&job->query);
    enum outcome outcome = outcome_of_start(&in);
    count_call(x, job, answer, outcome);
    log_debug("answer outcome=%s status=%d code=%s queryId=%s queryExecutionId=%s limit=%d held=%d",
              outcome_name(outcome), answer->http.status, answer->code, job->id.query_id,
              id != NULL ? id : "", x->admission[job->lane].limit, x->admission[job->lane].running);
    if (outcome == OUTCOME_STARTED || outcome == OUTCOME_QUOTA || outcome == OUTCOME_MISMATCH ||
        outcome == OUTCOME_REJECTED) /* the others may come before the signature is looked at */
        gate_worked(x);
    if (outcome != OUTCOME_AMBIGUOUS)
        job->tries = 0;
    x->ambiguous = outcome == OUTCOME_AMBIGUOUS ? x->ambiguous + 1 : 0;
    if (outcome != OUTCOME_RATE)
        job->rate_limited_ms = 0;
    free(job->execution_id);
    job->execution_id = id;
    if (is_left_to_next_owner(x, job, outcome)) {
        if (outcome == OUTCOME_STARTED)
            settle_running(x, job);
        dispatch_drop(x, job);
    } else {
        acts[outcome](x, job, answer);
    }
    dispatch_run(x);
}
