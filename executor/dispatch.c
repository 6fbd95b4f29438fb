#include "executor/dispatch.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "executor/gate.h"
#include "executor/notice.h"
#include "executor/outcome.h"
#include "executor/settle.h"

enum {
    CALL_TIMEOUT_MS = 30000,
    START_BODY_MAX = 4 << 20, /* 262,144 bytes of SQL, each escaped to six, and parameters */
    AGAIN_LEAST_MS = 100,
    AGAIN_MOST_MS = 20000, /* the SDKs': rand × min(2^i, 20 s) */
    RATE_AGAIN_MS = 500,
    MISMATCH_AGAIN_MS = 1000,
    MISMATCHES_MOST = 2,
    TRIES_HELD = 3,         /* ambiguous answers in a row that count as a query that runs */
    OUTAGE_ANSWERS = 10,    /* … over all queries: Athena is out of order, … */
    OUTAGE_START_MS = 2000, /* … and a new query is tried only so often */
    LOOK_AGAIN_MS = 50,     /* while something waits for its pace or a probe */
};

/* --- slots of the admission ------------------------------------------------------------------- */

/* Untracked queries are not counted, for nobody sees their end: then there is only the pace. */
static bool take_slot(struct executor *x, struct job *job) {
    if (!x->config->track_queries)
        return true;
    int out = 0;
    for (int lane = 0; lane < LANES; lane++)
        out += x->admission[lane].held + x->admission[lane].pending;
    if (x->config->max_running > 0 && out >= x->config->max_running)
        return false;
    if (!admission_want(&x->admission[job->lane], loop_now(x->loop), dispatch_backlog(x, job->lane),
                        &job->permit))
        return false;
    job->slot = SLOT_PERMIT;
    return true;
}

static void release_slot(struct executor *x, struct job *job) {
    if (job->slot == SLOT_PERMIT)
        admission_cancelled(&x->admission[job->lane]);
    else if (job->slot == SLOT_HELD)
        admission_ended(&x->admission[job->lane], 1);
    job->slot = SLOT_NONE;
}

static void hold_slot(struct executor *x, struct job *job) {
    if (!x->config->track_queries)
        return;
    if (job->slot == SLOT_PERMIT)
        admission_uncertain(&x->admission[job->lane]);
    else if (job->slot == SLOT_NONE)
        admission_found(&x->admission[job->lane]);
    job->slot = SLOT_HELD;
}

/* --- the end of a job ------------------------------------------------------------------------- */

/* Takes the job out of its list and stops what would bring it back. */
static void detach(struct executor *x, struct job *job) {
    if (job->state == JOB_WAITING)
        window_remove(&x->window[job->lane], &job->in_window);
    else if (job->state == JOB_RUNNING)
        tracker_drop(x, job);
    if (job->state == JOB_BACKING_OFF && job->timer.place == 0)
        TAILQ_REMOVE(&x->again, job, in_list);
    loop_timer_cancel(x->loop, &job->timer);
    if (job->call != NULL) {
        aws_cancel(job->call);
        job->call = NULL;
        x->calls--;
    }
    release_slot(x, job);
}

void dispatch_finish(struct executor *x, struct job *job) {
    struct partition *p = job->partition;
    detach(x, job);
    job_release_message(job);
    TAILQ_REMOVE(&p->jobs, job, in_partition);
    partitions_finish(x->partitions, p, job->offset);
    job_free(job);
    partitions_settled(x->partitions, p);
}

void dispatch_drop(struct executor *x, struct job *job) {
    struct partition *p = job->partition;
    detach(x, job);
    job_release_message(job);
    if (p != NULL) {
        TAILQ_REMOVE(&p->jobs, job, in_partition);
        job->partition = NULL;
    }
    if (!job->copy.in_flight && !job->status.in_flight)
        job_free(job); /* else settle.c drops it again when the last report has come */
    if (p != NULL)
        partitions_settled(x->partitions, p);
}

bool dispatch_is_idle(const struct executor *x) {
    for (int lane = 0; lane < LANES; lane++)
        if (window_count(&x->window[lane]) > 0)
            return false;
    return x->calls == 0 && x->tracker.count == 0 && TAILQ_EMPTY(&x->again);
}

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
    release_slot(x, job);
    job->state = JOB_WAITING;
    window_put_back(&x->window[job->lane], &job->in_window, job->id.user_id);
}

static void on_waited(void *arg) {
    struct job *job = arg;
    wait_again(job->executor, job);
    dispatch_run(job->executor);
}

static int64_t jittered(int64_t most_ms) {
    return (int64_t)((double)most_ms * ((double)random() / (double)RAND_MAX));
}

static int64_t backoff_ms(unsigned tries) {
    int64_t most_ms = AGAIN_LEAST_MS;
    for (unsigned i = 0; i < tries && most_ms < AGAIN_MOST_MS; i++)
        most_ms *= 2;
    return jittered(most_ms < AGAIN_MOST_MS ? most_ms : AGAIN_MOST_MS) + 1;
}

/* --- what each outcome means ------------------------------------------------------------------ */

static void follow(struct executor *x, struct job *job) {
    job_release_message(job);
    if (x->config->track_queries) {
        settle_running(x, job);
        tracker_add(x, job);
    } else {
        release_slot(x, job);
        settle_started(x, job);
    }
    partitions_settled(x->partitions, job->partition); /* one fewer waits in its window */
}

static void act_started(struct executor *x, struct job *job, const struct aws_answer *answer) {
    (void)answer;
    if (job->slot == SLOT_PERMIT) {
        admission_started(&x->admission[job->lane], &job->permit);
        job->slot = SLOT_HELD;
    } else if (job->slot == SLOT_HELD) {
        admission_confirmed(&x->admission[job->lane]);
    } else {
        hold_slot(x, job);
    }
    pace_worked(&x->pace);
    double waited_s =
        (double)(loop_wall() - (job->headers.first_seen_ms >= 0 ? job->headers.first_seen_ms
                                                                : job->received_ms)) /
        1000;
    metric_observe(&x->metrics[METRIC_WAIT_SECONDS], waited_s > 0 ? waited_s : 0);
    follow(x, job);
}

static const char *database_of(const struct executor *x, const struct job *job) {
    return job->query.database != NULL ? job->query.database : x->config->aws.database;
}

static void act_quota(struct executor *x, struct job *job, const struct aws_answer *answer) {
    if (job->slot == SLOT_PERMIT) {
        admission_throttled(&x->admission[job->lane], loop_now(x->loop), &job->permit);
        job->slot = SLOT_NONE;
    }
    if (!x->config->track_queries)
        pace_throttled(&x->pace, loop_now(x->loop));
    release_slot(x, job);
    metric_add(&x->metrics[METRIC_THROTTLED], 1);
    if (x->cloudwatch != NULL)
        cloudwatch_count(x->cloudwatch, CLOUDWATCH_THROTTLED, database_of(x, job));
    settle_throttled(x, job, answer->code, answer->message);
}

static void act_rate(struct executor *x, struct job *job, const struct aws_answer *answer) {
    int64_t now_ms = loop_now(x->loop);
    pace_throttled(&x->pace, now_ms);
    release_slot(x, job);
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
        hold_slot(x, job);
    else
        release_slot(x, job);
    job->perhaps_started = true;
    log_warn("perhaps started, asked again with the same token: status=%d code=%s %s queryId=%s",
             answer->http.status, answer->code, answer->http.error, job->id.query_id);
    again_in(x, job, backoff_ms(job->tries++));
}

static void act_credentials(struct executor *x, struct job *job, const struct aws_answer *answer) {
    gate_refused(x, answer);
    wait_again(x, job);
}

/*
 * Another text of this pair has started, or this one with other defaults. The status topic tells
 * which; what another executor wrote there may lag behind, so it is asked twice.
 */
static void act_mismatch(struct executor *x, struct job *job, const struct aws_answer *answer) {
    struct status known;
    bool is_known = status_view_find(x->view, job->id.user_id, job->id.query_id, &known);
    if (is_known && known.query_execution_id != NULL && known.has_sha256 &&
        memcmp(known.sha256, job->sha256, sizeof known.sha256) == 0) {
        log_info("started before with other defaults, followed: queryId=%s queryExecutionId=%s",
                 job->id.query_id, known.query_execution_id);
        if (status_is_final(known.state)) { /* and ended, and told */
            release_slot(x, job);
            dispatch_finish(x, job);
            return;
        }
        job->execution_id = mem_string(known.query_execution_id);
        hold_slot(x, job);
        follow(x, job);
        return;
    }
    bool has_owner = is_known && known.query_execution_id != NULL;
    bool unsure = !has_owner && ++job->mismatches < MISMATCHES_MOST;
    if (unsure) {
        release_slot(x, job);
        job->state = JOB_BACKING_OFF;
        loop_timer_set(x->loop, &job->timer, MISMATCH_AGAIN_MS, on_waited, job);
        return;
    }
    release_slot(x, job);
    /* This very text's own QUEUED or THROTTLED would be its last word otherwise. */
    bool is_ours = is_known && known.query_execution_id == NULL && known.has_sha256 &&
                   memcmp(known.sha256, job->sha256, sizeof known.sha256) == 0;
    if (is_ours)
        settle_rejected(x, job, answer->code, answer->message);
    else
        settle_mismatch(x, job, answer->code, answer->message);
}

static void act_rejected(struct executor *x, struct job *job, const struct aws_answer *answer) {
    release_slot(x, job);
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

static void on_answer(void *arg, const struct aws_answer *answer) {
    struct job *job = arg;
    struct executor *x = job->executor;
    job->call = NULL;
    x->calls--;
    char *id = execution_id_of(answer);
    struct outcome_input in = {
        .answered = answer->http.result == HTTP_ANSWERED,
        .no_credentials = answer->no_credentials,
        .status = answer->http.status,
        .code = answer->code,
        .message = answer->message,
        .id = id,
        .chose_resources = query_chose_resources(&job->query),
    };
    enum outcome outcome = outcome_of_start(&in);
    count_call(x, job, answer, outcome);
    log_debug("answer outcome=%s status=%d code=%s queryId=%s queryExecutionId=%s limit=%d held=%d",
              outcome_name(outcome), answer->http.status, answer->code, job->id.query_id,
              id != NULL ? id : "", x->admission[job->lane].limit, x->admission[job->lane].held);
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

/* --- starting --------------------------------------------------------------------------------- */

static void call(struct executor *x, struct job *job) {
    struct buffer body;
    buffer_init(&body, START_BODY_MAX);
    start_request_write(&x->defaults, &job->query, job->token, &body);
    job->state = JOB_STARTING;
    pace_take(&x->pace, loop_now(x->loop));
    x->calls++;
    job->call = aws_start(x->aws, &aws_athena, "StartQueryExecution", buffer_text(&body), body.len,
                          CALL_TIMEOUT_MS, on_answer, job);
    buffer_free(&body);
}

/* Too old to be started; one that was started before is followed all the same. */
static bool is_expired(const struct executor *x, const struct job *job) {
    if (x->config->query_max_age_ms == 0 || job->perhaps_started)
        return false;
    int64_t since_ms =
        job->headers.first_seen_ms >= 0 ? job->headers.first_seen_ms : job->received_ms;
    if (loop_wall() - since_ms <= x->config->query_max_age_ms)
        return false;
    struct status known;
    return !status_view_find(x->view, job->id.user_id, job->id.query_id, &known) ||
           known.query_execution_id == NULL;
}

/*
 * The pair is that of a query with another text, which has not come to its start yet: Athena, that
 * knows of nothing, would let this one in its place. One that was rejected holds no pair.
 */
static bool is_anothers_pair(const struct executor *x, const struct job *job) {
    struct status known;
    return !job->perhaps_started &&
           status_view_find(x->view, job->id.user_id, job->id.query_id, &known) &&
           known.state != STATUS_REJECTED && known.has_sha256 &&
           memcmp(known.sha256, job->sha256, sizeof known.sha256) != 0;
}

static void start(struct executor *x, struct job *job) {
    bool mismatch = is_anothers_pair(x, job);
    if (!mismatch && !is_expired(x, job)) {
        call(x, job);
        return;
    }
    release_slot(x, job);
    if (mismatch)
        settle_mismatch(x, job, "InvalidRequestException", "Idempotent parameters do not match");
    else
        settle_rejected(x, job, "QueryExpired", "it waited longer than QUERY_MAX_AGE_MS");
}

/* Not before all that was written of states has been read: it tells whose a pair is. */
static bool may_call(struct executor *x) {
    if (x->stopping || x->gate.closed || x->calls >= x->config->max_in_flight ||
        !status_reader_caught_up(x->reader))
        return false;
    if (x->gate.suspect && x->calls > 0)
        return false;
    return pace_open(&x->pace, loop_now(x->loop));
}

/* One of the lane, if its quota has room; false where none may start. */
static bool start_one(struct executor *x, enum lane lane) {
    struct job *job = job_of_item(window_first(&x->window[lane]));
    bool outage =
        x->ambiguous >= OUTAGE_ANSWERS && loop_now(x->loop) - x->started_ms < OUTAGE_START_MS;
    if (job == NULL || outage || !may_call(x))
        return false;
    x->lane_full[lane] = !take_slot(x, job);
    if (x->lane_full[lane])
        return false;
    window_take(&x->window[lane]);
    x->started_ms = loop_now(x->loop);
    start(x, job);
    return true;
}

static void on_dispatch_timer(void *arg) {
    dispatch_run(arg);
}

int dispatch_waiting(const struct executor *x, enum lane lane) {
    return (int)window_count(&x->window[lane]);
}

/* What waits in Kafka is of either lane. */
int64_t dispatch_backlog(const struct executor *x, enum lane lane) {
    int64_t lag = partitions_lag(x->partitions);
    return dispatch_waiting(x, lane) + (lag > 0 ? lag : 0);
}

void dispatch_run(struct executor *x) {
    struct job *job;
    fleet_link_step(x->fleet); /* what may be started now */
    while ((job = TAILQ_FIRST(&x->again)) != NULL && may_call(x)) {
        TAILQ_REMOVE(&x->again, job, in_list);
        start(x, job);
    }
    /* Lanes take turns at what they share: MAX_RUNNING, MAX_IN_FLIGHT, the pace. */
    for (int idle = 0; idle < LANES; x->lane_next = (x->lane_next + 1) % LANES)
        idle = start_one(x, (enum lane)x->lane_next) ? 0 : idle + 1;
    fleet_link_step(x->fleet); /* what still waits */
    bool waits = !TAILQ_EMPTY(&x->again);
    for (int lane = 0; lane < LANES; lane++)
        waits |= window_count(&x->window[lane]) > 0;
    if (waits && !x->stopping && x->dispatch_timer.place == 0)
        loop_timer_set(x->loop, &x->dispatch_timer, LOOK_AGAIN_MS, on_dispatch_timer, x);
    notice_look(x);
}

/* --- records ---------------------------------------------------------------------------------- */

void dispatch_record(void *arg, struct partition *p, rd_kafka_message_t *message) {
    struct executor *x = arg;
    struct job *job = mem_zero(sizeof *job);
    char why[512];
    job->executor = x;
    job->partition = p;
    TAILQ_INSERT_TAIL(&p->jobs, job, in_partition);
    p->jobs_waiting++;
    p->bytes_waiting += message->len;
    metric_add(&x->metrics[METRIC_RECEIVED], 1);
    if (!job_read(job, message, x->config->common.stage, why, sizeof why)) {
        settle_rejected(x, job, "InvalidRequest", why);
        return;
    }
    if (!start_allowed(&x->defaults, &job->query, why, sizeof why)) {
        settle_rejected(x, job, "NotAllowed", why);
        return;
    }
    job->state = JOB_WAITING;
    job->notice.since_ms = loop_now(x->loop);
    window_add(&x->window[job->lane], &job->in_window, job->id.user_id);
    dispatch_run(x);
}

void dispatch_revoking(void *arg, struct partition *p) {
    struct executor *x = arg;
    struct job *job, *next;
    for (job = TAILQ_FIRST(&p->jobs); job != NULL; job = next) {
        next = TAILQ_NEXT(job, in_partition);
        if (job->state == JOB_STARTING || job->state == JOB_SETTLING)
            continue;
        /* Not by dispatch_drop(): it would let the partition go before all are looked at. */
        detach(x, job);
        job_release_message(job);
        TAILQ_REMOVE(&p->jobs, job, in_partition);
        job_free(job);
    }
}

void dispatch_gone(void *arg, struct partition *p) {
    struct executor *x = arg;
    struct job *job;
    while ((job = TAILQ_FIRST(&p->jobs)) != NULL) {
        detach(x, job);
        job_release_message(job);
        TAILQ_REMOVE(&p->jobs, job, in_partition);
        job->partition = NULL;
        if (!job->copy.in_flight && !job->status.in_flight)
            job_free(job);
    }
}

void dispatch_init(struct executor *x) {
    const struct executor_config *c = x->config;
    x->defaults = (struct start_defaults){
        .database = c->aws.database,
        .catalog = c->aws.catalog,
        .work_group = c->aws.work_group,
        .output_location = c->aws.output_location,
        .allowed_workgroups = c->allowed_workgroups,
        .allowed_output_locations = c->allowed_output_locations,
    };
    TAILQ_INIT(&x->again);
    pace_init(&x->pace);
    for (int lane = 0; lane < LANES; lane++) {
        window_init(&x->window[lane]);
        admission_init(&x->admission[lane]);
    }
    srandom((unsigned)loop_wall() ^ (unsigned)(uintptr_t)x);
}
