#include "executor/query/tracker.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "executor/metrics.h"
#include "executor/query/outcome.h"
#include "executor/query/poll_answer.h"

enum {
    CALL_TIMEOUT_MS = 10000,
    UNREPORTED_HELD = 100, /* looks in vain after which a query no longer counts as active */
    UNREPORTED_LOGGED_EVERY_MS = 60000,
    LOST_LOOKS = 5, /* so often, and for so long, an execution must be unknown to be given up */
    LOST_MS = 60000,
    BATCH_TEXT_BYTES =
        2 << 20, /* of SQL that an answer brings back: bounds its size and our memory */
};

static void tracker_on_timer(void *arg);

/* --- what was seen ---------------------------------------------------------------------------- */

/* Asked between two calls: nothing is POLLING then. */
double tracker_last_submitted(const struct tracker *t, enum lane lane) {
    const struct job *job;
    double last = 0;
    TAILQ_FOREACH(job, &t->parts.jobs->running, in_list)
    if (job->lane == lane && job->submitted > last)
        last = job->submitted;
    return last;
}

int tracker_active_at(const struct tracker *t, enum lane lane, double at) {
    const struct job *job;
    int active = 0;
    TAILQ_FOREACH(job, &t->parts.jobs->running, in_list)
    active += job->lane == lane && job->submitted > 0 && job->submitted <= at;
    return active + sweep_ended_active_at(&t->seen, lane, at);
}

int tracker_peak(const struct tracker *t, enum lane lane) {
    return sweep_peak(t->seen.seen, t->seen.count, lane);
}

/* --- sweeps ----------------------------------------------------------------------------------- */

static void begin_sweep(struct tracker *t) {
    t->sweeping = true;
    t->sweep_failed = false;
    t->runaways = t->parts.jobs->runaways;
    sweep_begin(&t->seen);
    t->parts.sweep_begins(t->parts.arg);
}

static void end_sweep(struct tracker *t) {
    bool sound = !t->sweep_failed && t->runaways == t->parts.jobs->runaways;
    t->parts.sweep_ends(t->parts.arg, sound);
    t->sweeping = false;
    t->sweep++;
}

/* Whether some that run were not looked at in this sweep: those are at the front. */
static bool sweep_goes_on(const struct tracker *t) {
    const struct job *next = TAILQ_FIRST(&t->parts.jobs->running);
    return next != NULL && next->sweep != t->sweep;
}

static void call_in(struct tracker *t, int64_t delay_ms) {
    loop_timer_set(t->parts.loop, &t->timer, delay_ms, tracker_on_timer, t);
}

/* The rest of this sweep follows at once, the next sweep an interval after this call was made. */
static void go_on(struct tracker *t) {
    int64_t now_ms = loop_now(t->parts.loop);
    bool goes_on = sweep_goes_on(t);
    if (!goes_on)
        end_sweep(t);
    if (jobs_followed(t->parts.jobs) > 0)
        call_in(t, goes_on ? poll_pace_delay_ms(&t->pace, now_ms, 0)
                           : poll_pace_next_sweep_ms(&t->pace, now_ms));
}

/* --- answers ---------------------------------------------------------------------------------- */

static void end_query(struct tracker *t, struct job *job, const struct poll_execution *e) {
    struct metric *metrics = t->parts.metrics;
    double seconds = e->completed > e->submitted && e->submitted > 0
                         ? e->completed - e->submitted
                         : (double)(loop_now(t->parts.loop) - job->started_ms) / 1000;
    poll_pace_ended(&t->pace, seconds);
    sweep_add_ended(&t->seen, (struct sweep_seen){job->lane, e->submitted, e->completed});
    metric_observe(&metrics[METRIC_RUN_SECONDS], seconds);
    metric_add(&metrics[METRIC_SCANNED_BYTES], e->scanned_bytes);
    metric_add(&metrics[e->state == STATUS_SUCCEEDED ? METRIC_SUCCEEDED
                        : e->state == STATUS_FAILED  ? METRIC_FAILED
                                                     : METRIC_CANCELLED],
               1);
    slot_release(t->parts.slots, job->lane, &job->slot);
    settle_ended(t->parts.settler, job, e->state, e->reason[0] != '\0' ? e->reason : NULL);
}

static void look_at(struct tracker *t, struct job *job, const struct poll_execution *e) {
    sweep_add(&t->seen, (struct sweep_seen){job->lane, e->submitted, e->completed});
    job->submitted = e->submitted;
    job->lost_looks = 0;
    job->batch_max = 0;
    if (job->output_location == NULL && e->output_location[0] != '\0')
        job->output_location = mem_string(e->output_location);
    if (status_is_final(e->state))
        end_query(t, job, e);
    else
        job_transition(job, JOB_RUNNING);
}

/* Two jobs may follow one execution: the same query was posted twice. */
static void look_at_each(struct tracker *t, const struct poll_execution *e) {
    struct job *job, *next;
    for (job = TAILQ_FIRST(&t->parts.jobs->polling); job != NULL; job = next) {
        next = TAILQ_NEXT(job, in_list);
        if (strcmp(job->execution_id, e->id) == 0)
            look_at(t, job, e);
    }
}

/* Its work group was deleted with its history, say. */
static void note_lost(struct tracker *t, struct job *job) {
    int64_t now_ms = loop_now(t->parts.loop);
    if (job->lost_looks++ == 0)
        job->lost_ms = now_ms;
    if (job->lost_looks < LOST_LOOKS || now_ms - job->lost_ms < LOST_MS)
        return;
    log_warn("Athena no longer knows what it has started: queryId=%s queryExecutionId=%s",
             job->id.query_id, job->execution_id);
    metric_add(&t->parts.metrics[METRIC_FAILED], 1);
    slot_release(t->parts.slots, job->lane, &job->slot);
    settle_ended(t->parts.settler, job, STATUS_FAILED,
                 "Athena no longer knows this execution; how it ended is unknown");
}

static void note_each_lost(struct tracker *t, const char *id) {
    struct job *job, *next;
    for (job = TAILQ_FIRST(&t->parts.jobs->polling); job != NULL; job = next) {
        next = TAILQ_NEXT(job, in_list);
        if (strcmp(job->execution_id, id) == 0)
            note_lost(t, job);
    }
}

/* It may run, and takes a slot, but not for ever. */
static void note_unreported(struct tracker *t, struct job *job) {
    if (job->slot.state == SLOT_HELD && ++job->unreported > UNREPORTED_HELD)
        slot_release(t->parts.slots, job->lane, &job->slot);
    if (job->slot.state == SLOT_HELD)
        sweep_add(&t->seen, (struct sweep_seen){.lane = job->lane});
}

/* Those of the batch that the answer leaves out count as active, and are asked for again. */
static void note_all_unreported(struct tracker *t, const char *why) {
    int64_t now_ms = loop_now(t->parts.loop);
    struct job *job = NULL; /* cppcheck does not know that the loop sets it */
    size_t unreported = 0;
    TAILQ_FOREACH(job, &t->parts.jobs->polling, in_list) {
        note_unreported(t, job);
        unreported++;
    }
    if (unreported == 0 || now_ms < t->quiet_until_ms)
        return;
    t->quiet_until_ms = now_ms + UNREPORTED_LOGGED_EVERY_MS;
    log_warn("Athena reports nothing of %zu queries that it started, asked again: %s", unreported,
             why);
}

static bool take_answer(struct tracker *t, const struct aws_answer *answer) {
    struct poll_answer polled;
    struct poll_execution execution;
    bool sound = poll_answer_open(&polled, answer->http.body, answer->http.body_len);
    while (sound && poll_answer_next(&polled, &execution))
        look_at_each(t, &execution);
    const char *lost;
    while (sound && (lost = poll_answer_next_lost(&polled)) != NULL)
        note_each_lost(t, lost);
    if (sound)
        note_all_unreported(t, polled.unprocessed);
    poll_answer_close(&polled);
    return sound;
}

/* False: it is about this call alone. */
static bool closes_gate(enum outcome outcome, enum gate_cause *cause) {
    *cause = outcome == OUTCOME_CONFIGURATION ? GATE_CONFIGURATION
             : outcome == OUTCOME_UNREACHABLE ? GATE_UNREACHABLE
                                              : GATE_CREDENTIALS;
    return outcome == OUTCOME_CREDENTIALS || *cause != GATE_CREDENTIALS;
}

static void log_failure(const struct aws_answer *answer) {
    log_warn("running queries cannot be looked at, tried again: status=%d code=%s %s",
             answer->http.status, answer->code,
             answer->http.error != NULL ? answer->http.error : answer->message);
}

/* What is still POLLING goes behind all that runs. */
static void end_batch(struct tracker *t) {
    struct job *job;
    while ((job = TAILQ_FIRST(&t->parts.jobs->polling)) != NULL)
        job_transition(job, JOB_RUNNING);
}

/* One of them may spoil it for the others: it is asked for with fewer and fewer, at last alone. */
static void split_batch(struct tracker *t, size_t batch_count) {
    struct job *job = NULL; /* cppcheck does not know that the loop sets it */
    TAILQ_FOREACH(job, &t->parts.jobs->polling, in_list)
    job->batch_max = batch_count / 2;
}

static void take_failure(struct tracker *t, const struct aws_answer *answer, enum outcome outcome) {
    size_t batch_count = t->parts.jobs->count[JOB_POLLING];
    enum gate_cause cause;
    bool is_of_all = closes_gate(outcome, &cause);
    t->sweep_failed = true;
    metric_add(&t->parts.metrics[METRIC_POLL_ERRORS], 1);
    if (outcome == OUTCOME_REJECTED && batch_count == 1 &&
        poll_answer_is_lost(answer->athena_code, answer->message))
        note_lost(t, TAILQ_FIRST(&t->parts.jobs->polling));
    if ((outcome == OUTCOME_REJECTED || outcome == OUTCOME_STARTED) && batch_count > 1)
        split_batch(t, batch_count);
    else
        poll_pace_failed(&t->pace, loop_now(t->parts.loop), is_of_all);
    if (outcome != OUTCOME_UNREACHABLE) /* which the gate logs, once */
        log_failure(answer);
    if (is_of_all)
        gate_refused(t->parts.gate, cause, answer);
}

static void tracker_on_answer(void *arg, const struct aws_answer *answer) {
    struct tracker *t = arg;
    struct outcome_input in = outcome_input_of(answer);
    enum outcome outcome = outcome_of_poll(&in);
    t->call = NULL;
    if (outcome == OUTCOME_STARTED && take_answer(t, answer)) {
        poll_pace_worked(&t->pace);
        gate_worked(t->parts.gate);
    } else {
        take_failure(t, answer, outcome);
    }
    end_batch(t);
    go_on(t);
    t->parts.changed(t->parts.arg);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* The next of this sweep, from the front. */
static void fill_batch(struct tracker *t) {
    struct jobs *jobs = t->parts.jobs;
    struct job *job;
    size_t text_bytes = 0, most = TRACKER_BATCH;
    while (text_bytes < BATCH_TEXT_BYTES && (job = TAILQ_FIRST(&jobs->running)) != NULL &&
           job->sweep != t->sweep) {
        if (job->batch_max > 0 && job->batch_max < most)
            most = job->batch_max;
        if (jobs->count[JOB_POLLING] > 0 && jobs->count[JOB_POLLING] >= most)
            break;
        text_bytes += job->text_bytes;
        job->sweep = t->sweep;
        job_transition(job, JOB_POLLING);
    }
}

/* Two jobs may follow one execution; Athena is asked for it once. */
static bool is_asked_before(const struct jobs *jobs, const struct job *job) {
    const struct job *earlier;
    for (earlier = TAILQ_FIRST(&jobs->polling); earlier != job;
         earlier = TAILQ_NEXT(earlier, in_list))
        if (strcmp(earlier->execution_id, job->execution_id) == 0)
            return true;
    return false;
}

static void write_batch(const struct jobs *jobs, struct buffer *body) {
    const struct job *job = NULL; /* cppcheck does not know that the loop sets it */
    buffer_puts(body, "{\"QueryExecutionIds\":[");
    TAILQ_FOREACH(job, &jobs->polling, in_list) {
        if (is_asked_before(jobs, job))
            continue;
        buffer_puts(body, job != TAILQ_FIRST(&jobs->polling) ? "," : "");
        buffer_json_string(body, job->execution_id, strlen(job->execution_id));
    }
    buffer_puts(body, "]}");
}

static void tracker_on_timer(void *arg) {
    struct tracker *t = arg;
    if (t->call != NULL || jobs_followed(t->parts.jobs) == 0)
        return;
    if (t->sweeping && !sweep_goes_on(t)) /* those that were left of it are gone */
        end_sweep(t);
    if (!t->sweeping)
        begin_sweep(t);
    fill_batch(t);
    struct buffer body;
    buffer_init(&body, 65536);
    write_batch(t->parts.jobs, &body);
    poll_pace_called(&t->pace, loop_now(t->parts.loop));
    metric_add(&t->parts.metrics[METRIC_POLLS], 1);
    t->call = aws_start(t->parts.aws, &aws_athena, "BatchGetQueryExecution", buffer_text(&body),
                        body.len, CALL_TIMEOUT_MS, tracker_on_answer, t);
    buffer_free(&body);
}

/* --- life ------------------------------------------------------------------------------------- */

void tracker_init(struct tracker *t, const struct tracker_parts *parts) {
    *t = (struct tracker){.parts = *parts, .sweep = 1};
    poll_pace_init(&t->pace, parts->interval_ms);
}

void tracker_add(struct tracker *t, struct job *job) {
    int64_t now_ms = loop_now(t->parts.loop);
    job->started_ms = now_ms;
    job->sweep = t->sweeping ? t->sweep : t->sweep - 1;
    job_transition(job, JOB_RUNNING);
    if (t->call == NULL && t->timer.place == 0)
        call_in(t, poll_pace_delay_ms(&t->pace, now_ms, poll_pace_sweep_ms(&t->pace)));
}

void tracker_close(struct tracker *t) {
    if (t->parts.loop == NULL)
        return;
    loop_timer_cancel(t->parts.loop, &t->timer);
    if (t->call != NULL)
        aws_cancel(t->call);
    t->call = NULL;
    sweep_free(&t->seen);
}
