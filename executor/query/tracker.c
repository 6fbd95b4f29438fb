#include "executor/query/tracker.h"

#include <stdlib.h>
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
    DUE_MAX =
        POLL_MAX * 4 / 5, /* places for what may have ended; the others go on with the sweep */
};

static void tracker_on_timer(void *arg);

/* --- what was seen ---------------------------------------------------------------------------- */

double tracker_last_submitted(const struct tracker *t, enum lane lane, int64_t version) {
    double last = sweeps_ended_submitted(&t->sweeps, lane, version);
    const struct job *job;
    TAILQ_FOREACH(job, &t->parts.jobs->running, in_list)
    if (job->lane == lane && job->slot.permit.version < version && job->submitted > last)
        last = job->submitted;
    return last;
}

int tracker_active_at(const struct tracker *t, enum lane lane, double at) {
    const struct job *job;
    int active = 0;
    TAILQ_FOREACH(job, &t->parts.jobs->running, in_list)
    active += job->lane == lane && job->submitted > 0 && job->submitted <= at;
    return active + sweeps_ended_active_at(&t->sweeps, lane, at);
}

static int most_active(const struct tracker *t, enum lane lane, uint32_t generation) {
    size_t room = (size_t)2 * SWEEP_ENDED + jobs_followed(t->parts.jobs);
    struct sweep_change *changes = mem_resize(NULL, room, sizeof *changes);
    size_t count = sweeps_ended_changes(&t->sweeps, lane, generation, changes);
    const struct job *job;
    TAILQ_FOREACH(job, &t->parts.jobs->running, in_list)
    if (job->lane == lane && job->submitted > 0)
        changes[count++] =
            (struct sweep_change){job->submitted, 1, job->slot.permit.generation == generation};
    int most = sweep_most_active(changes, count);
    free(changes);
    return most;
}

/* Those of which Athena reports nothing count as active: perhaps they are. */
int tracker_peak(const struct tracker *t, const struct sweep *s, enum lane lane,
                 uint32_t generation) {
    const struct job *job;
    int unreported = 0;
    TAILQ_FOREACH(job, &t->parts.jobs->running, in_list)
    unreported += job->lane == lane && job->submitted <= 0 && job->started_ms < s->began_ms &&
                  job->slot.state == SLOT_HELD;
    if (generation != ADMISSION_ANY_GENERATION)
        return most_active(t, lane, generation) + unreported;
    return tracker_active_at(t, lane, tracker_last_submitted(t, lane, INT64_MAX)) + unreported;
}

/* --- sweeps ----------------------------------------------------------------------------------- */

/* Whether all that ran when it began were asked for. */
static bool has_asked_all(const struct tracker *t, const struct sweep *s) {
    const struct job *job;
    TAILQ_FOREACH(job, &t->parts.jobs->running, in_list)
    if (job->sweep != s->number)
        return false;
    return true;
}

static void end_sweep_if_over(struct tracker *t, struct sweep *s) {
    if (!sweep_is_over(s))
        return;
    if (!s->failed && s->dropped == t->parts.jobs->runaways)
        t->parts.sweep_ends(t->parts.arg, s);
    s->number = 0;
}

/* NULL: it is not time for one yet. */
static struct sweep *sweep_to_ask_for(struct tracker *t) {
    int64_t now_ms = loop_now(t->parts.loop);
    struct sweep *s = sweeps_asking(&t->sweeps);
    if (s != NULL && has_asked_all(t, s)) { /* those that were left of it are gone */
        s->asked_all = true;
        end_sweep_if_over(t, s);
        s = NULL;
    }
    if (s != NULL || !poll_pace_sweep_is_due(&t->pace, now_ms))
        return s;
    s = sweeps_begin(&t->sweeps, now_ms, t->parts.jobs->runaways);
    if (s == NULL)
        return NULL;
    poll_pace_swept(&t->pace, now_ms);
    t->parts.sweep_begins(t->parts.arg, s);
    return s;
}

static void call_next(struct tracker *t) {
    int64_t now_ms = loop_now(t->parts.loop);
    if (t->timer.place != 0 || jobs_followed(t->parts.jobs) == 0)
        return;
    bool asking = sweeps_asking(&t->sweeps) != NULL;
    loop_timer_set(t->parts.loop, &t->timer, poll_pace_delay_ms(&t->pace, now_ms, !asking),
                   tracker_on_timer, t);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void end_query(struct tracker *t, struct job *job, const struct poll_execution *e) {
    struct metric *metrics = t->parts.metrics;
    double seconds = e->completed > e->submitted && e->submitted > 0
                         ? e->completed - e->submitted
                         : (double)(loop_now(t->parts.loop) - job->started_ms) / 1000;
    poll_pace_ended(&t->pace, seconds);
    sweeps_add_ended(&t->sweeps,
                     (struct sweep_ended){job->lane, job->slot.permit.generation, e->submitted,
                                          e->completed, job->slot.permit.version});
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
    job->submitted = e->submitted;
    job->lost_looks = 0;
    job->batch_max = 0;
    if (job->output_location == NULL && e->output_location[0] != '\0')
        job->output_location = mem_string(e->output_location);
    if (status_is_final(e->state))
        end_query(t, job, e);
}

/*
 * The next job behind `job`, NULL: the first, that follows this execution. There may be several:
 * the same query was posted twice. There is none where an answer to a call that was made later has
 * come first.
 */
static struct job *next_of(const struct tracker *t, struct job *job, const char *id) {
    job = job == NULL ? TAILQ_FIRST(&t->parts.jobs->running) : TAILQ_NEXT(job, in_list);
    while (job != NULL && strcmp(job->execution_id, id) != 0)
        job = TAILQ_NEXT(job, in_list);
    return job;
}

static void look_at_each(struct tracker *t, const struct poll_execution *e) {
    struct job *next;
    for (struct job *job = next_of(t, NULL, e->id); job != NULL; job = next) {
        next = next_of(t, job, e->id);
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
    struct job *next;
    for (struct job *job = next_of(t, NULL, id); job != NULL; job = next) {
        next = next_of(t, job, id);
        note_lost(t, job);
    }
}

/* It may run, and takes a slot, but not for ever. */
static size_t note_unreported(struct tracker *t, const char *id) {
    size_t count = 0;
    for (struct job *job = next_of(t, NULL, id); job != NULL; job = next_of(t, job, id)) {
        count++;
        if (job->slot.state == SLOT_HELD && ++job->unreported > UNREPORTED_HELD)
            slot_release(t->parts.slots, job->lane, &job->slot);
    }
    return count;
}

/* Those that the answer leaves out count as active, and are asked for again. */
static void note_all_unreported(struct tracker *t, const struct poll *p, const char *why) {
    int64_t now_ms = loop_now(t->parts.loop);
    size_t unreported = 0;
    for (size_t i = 0; i < p->count; i++)
        if (!p->named[i])
            unreported += note_unreported(t, p->ids[i]);
    if (unreported == 0 || now_ms < t->quiet_until_ms)
        return;
    t->quiet_until_ms = now_ms + UNREPORTED_LOGGED_EVERY_MS;
    log_warn("Athena reports nothing of %zu queries that it started, asked again: %s", unreported,
             why);
}

static bool take_answer(struct tracker *t, struct tracker_poll *p,
                        const struct aws_answer *answer) {
    struct poll_answer polled;
    struct poll_execution execution;
    bool sound = poll_answer_open(&polled, answer->http.body, answer->http.body_len);
    while (sound && poll_answer_next(&polled, &execution))
        if (poll_note(&p->poll, execution.id))
            look_at_each(t, &execution);
    const char *lost;
    while (sound && (lost = poll_answer_next_lost(&polled)) != NULL)
        if (poll_asks_for(&p->poll, lost))
            note_each_lost(t, lost);
    if (sound)
        note_all_unreported(t, &p->poll, polled.unprocessed);
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

/* One of them may spoil it for the others, or all together are too much: it is asked for with fewer
 * and fewer, at last alone. */
static void split_batch(struct tracker *t, const struct poll *p) {
    for (size_t i = 0; i < p->count; i++)
        for (struct job *job = next_of(t, NULL, p->ids[i]); job != NULL;
             job = next_of(t, job, p->ids[i]))
            job->batch_max = p->count / 2;
}

static void take_failure(struct tracker *t, const struct tracker_poll *p,
                         const struct aws_answer *answer, enum outcome outcome) {
    enum gate_cause cause;
    bool is_of_all = closes_gate(outcome, &cause);
    p->sweep->failed = true;
    metric_add(&t->parts.metrics[METRIC_POLL_ERRORS], 1);
    if (outcome == OUTCOME_REJECTED && p->poll.count == 1 &&
        poll_answer_is_lost(answer->athena_code, answer->message))
        note_each_lost(t, p->poll.ids[0]);
    bool is_of_one =
        outcome == OUTCOME_REJECTED || outcome == OUTCOME_STARTED || answer->http.too_long;
    if (is_of_one && p->poll.count > 1)
        split_batch(t, &p->poll);
    else if (outcome == OUTCOME_RATE)
        poll_pace_throttled(&t->pace, loop_now(t->parts.loop));
    else
        poll_pace_failed(&t->pace, loop_now(t->parts.loop), is_of_all);
    if (outcome != OUTCOME_UNREACHABLE) /* which the gate logs, once */
        log_failure(answer);
    if (is_of_all)
        gate_refused(t->parts.gate, cause, answer);
}

static void tracker_on_answer(void *arg, const struct aws_answer *answer) {
    struct tracker_poll *p = arg;
    struct tracker *t = p->tracker;
    struct outcome_input in = outcome_input_of(answer);
    enum outcome outcome = outcome_of_poll(&in);
    p->call = NULL;
    p->sweep->calls--;
    if (outcome == OUTCOME_STARTED && take_answer(t, p, answer)) {
        poll_pace_worked(&t->pace, loop_now(t->parts.loop) - p->made_ms);
        gate_worked(t->parts.gate);
    } else {
        take_failure(t, p, answer, outcome);
    }
    poll_clear(&p->poll);
    end_sweep_if_over(t, p->sweep);
    call_next(t);
    t->parts.changed(t->parts.arg);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* What one call asks for. */
struct batch {
    struct job *jobs[POLL_MAX];
    size_t count, text_bytes;
    size_t max; /* less than POLL_MAX where one of them is to be asked for with few others */
};

static void put_in_batch(const struct tracker *t, struct batch *b, struct job *job) {
    job->poll = t->polls_made;
    b->jobs[b->count++] = job;
    b->text_bytes += job->text_bytes;
    if (job->batch_max > 0 && job->batch_max < b->max)
        b->max = job->batch_max;
}

static bool fits(const struct batch *b, const struct job *job) {
    size_t max = job->batch_max > 0 && job->batch_max < b->max ? job->batch_max : b->max;
    return b->count < max && b->text_bytes < BATCH_TEXT_BYTES;
}

/*
 * At the front of the list is what was asked for longest ago. It is taken in any case: of those
 * that are to be asked for with few others none waits for ever.
 */
static void fill_batch(struct tracker *t, const struct sweep *s, struct batch *b) {
    const struct job_list *running = &t->parts.jobs->running;
    int64_t due_ms = loop_now(t->parts.loop) - poll_pace_least_ms(&t->pace);
    struct job *job;
    t->polls_made++;
    put_in_batch(t, b, TAILQ_FIRST(running));
    for (job = TAILQ_FIRST(running); job != NULL && b->count < DUE_MAX;
         job = TAILQ_NEXT(job, in_list))
        if (job->poll != t->polls_made && job->started_ms <= due_ms && fits(b, job))
            put_in_batch(t, b, job);
    for (job = TAILQ_FIRST(running); job != NULL && b->count < b->max;
         job = TAILQ_NEXT(job, in_list))
        if (job->poll != t->polls_made && job->sweep != s->number && fits(b, job))
            put_in_batch(t, b, job);
}

static void call_athena(struct tracker *t, struct tracker_poll *p) {
    struct buffer body;
    buffer_init(&body, 65536);
    poll_write(&p->poll, &body);
    p->made_ms = loop_now(t->parts.loop);
    p->sweep->calls++;
    poll_pace_called(&t->pace, p->made_ms);
    metric_add(&t->parts.metrics[METRIC_POLLS], 1);
    p->call = aws_start(t->parts.aws, &aws_athena, "BatchGetQueryExecution", buffer_text(&body),
                        body.len, CALL_TIMEOUT_MS, tracker_on_answer, p);
    buffer_free(&body);
}

static struct tracker_poll *free_poll(struct tracker *t) {
    for (size_t i = 0; i < TRACKER_POLLS; i++)
        if (t->polls[i].call == NULL)
            return &t->polls[i];
    return NULL;
}

static void tracker_on_timer(void *arg) {
    struct tracker *t = arg;
    struct tracker_poll *p = free_poll(t);
    if (p == NULL || jobs_followed(t->parts.jobs) == 0)
        return; /* the next answer, or what starts next, goes on */
    struct sweep *s = sweep_to_ask_for(t);
    if (s != NULL) {
        struct batch batch = {.max = POLL_MAX};
        fill_batch(t, s, &batch);
        for (size_t i = 0; i < batch.count; i++) {
            batch.jobs[i]->sweep = s->number;
            poll_add(&p->poll, batch.jobs[i]->execution_id);
            job_transition(batch.jobs[i], JOB_RUNNING); /* behind all others */
        }
        s->asked_all = has_asked_all(t, s);
        p->sweep = s;
        call_athena(t, p);
    }
    call_next(t);
}

/* --- life ------------------------------------------------------------------------------------- */

void tracker_init(struct tracker *t, const struct tracker_parts *parts) {
    *t = (struct tracker){.parts = *parts};
    for (size_t i = 0; i < TRACKER_POLLS; i++)
        t->polls[i].tracker = t;
    poll_pace_init(&t->pace, parts->interval_ms);
}

void tracker_add(struct tracker *t, struct job *job) {
    job->started_ms = loop_now(t->parts.loop);
    job->sweep = t->sweeps.last; /* the next one looks at it */
    if (jobs_followed(t->parts.jobs) == 0)
        poll_pace_swept(&t->pace, job->started_ms);
    job_transition(job, JOB_RUNNING);
    call_next(t);
}

void tracker_close(struct tracker *t) {
    if (t->parts.loop == NULL)
        return;
    loop_timer_cancel(t->parts.loop, &t->timer);
    for (size_t i = 0; i < TRACKER_POLLS; i++) {
        if (t->polls[i].call != NULL)
            aws_cancel(t->polls[i].call);
        t->polls[i].call = NULL;
        poll_clear(&t->polls[i].poll);
    }
}
