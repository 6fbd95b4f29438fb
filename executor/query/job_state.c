#include "executor/query/job_state.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"

enum {
    BEHIND_MOST = 1000 /* repetitions that wait as jobs */
};

/* --- the table -------------------------------------------------------------------------------- */

#define TO(state) (1U << (JOB_##state))

static const unsigned allowed[] = {
    [JOB_RECEIVED] = TO(BEHIND) | TO(WAITING) | TO(RUNNING) | TO(SETTLING) | TO(FINISHED) |
                     TO(INDEXED) | TO(DROPPED),
    [JOB_BEHIND] = TO(RECEIVED) | TO(DROPPED),
    [JOB_WAITING] = TO(STARTING) | TO(RUNNING) | TO(SETTLING) | TO(FINISHED) | TO(DROPPED),
    [JOB_STARTING] = TO(RUNNING) | TO(SETTLING) | TO(AMBIGUOUS_BACKOFF) | TO(REFUSED_BACKOFF) |
                     TO(WAITING) | TO(FINISHED) | TO(DROPPED),
    [JOB_AMBIGUOUS_BACKOFF] = TO(ASK_AGAIN) | TO(DROPPED),
    [JOB_ASK_AGAIN] = TO(STARTING) | TO(RUNNING) | TO(SETTLING) | TO(FINISHED) | TO(DROPPED),
    [JOB_REFUSED_BACKOFF] = TO(WAITING) | TO(DROPPED),
    [JOB_RUNNING] = TO(RUNNING) | TO(SETTLING) | TO(DROPPED),
    [JOB_SETTLING] = TO(WAITING) | TO(FINISHED) | TO(DROPPED),
    [JOB_FINISHED] = 0,
    [JOB_INDEXED] = 0,
    [JOB_DROPPED] = 0,
};
_Static_assert(sizeof allowed / sizeof *allowed == JOB_STATES, "a row for each state");

static const char *const names[] = {
    [JOB_RECEIVED] = "received",
    [JOB_BEHIND] = "behind",
    [JOB_WAITING] = "waiting",
    [JOB_STARTING] = "starting",
    [JOB_AMBIGUOUS_BACKOFF] = "ambiguous-backoff",
    [JOB_ASK_AGAIN] = "ask-again",
    [JOB_REFUSED_BACKOFF] = "refused-backoff",
    [JOB_RUNNING] = "running",
    [JOB_SETTLING] = "settling",
    [JOB_FINISHED] = "finished",
    [JOB_INDEXED] = "indexed",
    [JOB_DROPPED] = "dropped",
};
_Static_assert(sizeof names / sizeof *names == JOB_STATES, "a name for each state");

bool job_may_become(enum job_state from, enum job_state to) {
    return (allowed[from] >> to & 1U) != 0;
}

const char *job_state_name(enum job_state state) {
    return names[state];
}

/* False: it has ended, and is read-only; or this build aborts. */
static bool is_sound(const struct job *job, enum job_state to) {
    if (job_may_become(job->state, to))
        return true;
    log_error("a fault of this program: a query that is %s becomes %s: queryId=%s",
              names[job->state], names[to], job->id.query_id);
#ifdef DEBUG_CHECKS
    abort();
#endif
    return job->state != JOB_FINISHED && job->state != JOB_INDEXED && job->state != JOB_DROPPED;
}

/* --- lists ------------------------------------------------------------------------------------ */

static void leave_list(struct jobs *jobs, struct job *job, enum job_state to) {
    struct window *window = &jobs->window[job->lane];
    if (job->list != NULL) {
        TAILQ_REMOVE(job->list, job, in_list);
        job->list = NULL;
    } else if (job->state == JOB_WAITING) {
        if (to == JOB_STARTING)
            window_take(window, &job->in_window); /* it was its user's turn */
        else
            window_remove(window, &job->in_window);
    }
    if (to == JOB_DROPPED && job->state == JOB_RUNNING)
        jobs->runaways++;
}

static void put_in(struct job_list *list, struct job *job) {
    TAILQ_INSERT_TAIL(list, job, in_list);
    job->list = list;
}

static void put_in_window(struct jobs *jobs, struct job *job) {
    struct window *window = &jobs->window[job->lane];
    if (job->place != NULL)
        window_replace(window, job->place, &job->in_window);
    else if (job->keeps_place)
        window_put_back(window, &job->in_window, job->id.user_id);
    else
        window_add(window, &job->in_window, job->id.user_id);
    job->place = NULL;
}

/* --- pairs ------------------------------------------------------------------------------------ */

static bool is_same_text(const struct job *a, const struct job *b) {
    return a->has_sha256 && b->has_sha256 && memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0;
}

static bool has_started(const struct job *job) {
    return job->execution_id != NULL && job->state != JOB_STARTING;
}

/* It needs its bytes no longer: whatever becomes of the first, its execution is followed. */
static void share_execution(const struct job *first, struct job *job) {
    free(job->execution_id);
    free(job->output_location);
    job->execution_id = mem_string(first->execution_id);
    job->output_location = mem_string(first->output_location);
    job_message_done(job);
}

void job_wait_behind(struct job *job, struct job *first) {
    job->first = first;
    job_transition(job, JOB_BEHIND);
    if (has_started(first) && is_same_text(first, job))
        share_execution(first, job);
}

static void pair_has_started(struct job *first) {
    struct job *job, *next;
    for (job = TAILQ_FIRST(&first->behind); job != NULL; job = next) {
        next = TAILQ_NEXT(job, in_list);
        if (is_same_text(first, job))
            share_execution(first, job);
        else
            job_transition(job, JOB_RECEIVED);
    }
}

static void release_pair(struct jobs *jobs, struct job *first) {
    bool has_ended = first->state == JOB_FINISHED && first->final_state >= STATUS_STARTED;
    struct job *job;
    pairs_remove(&jobs->pairs, first);
    while ((job = TAILQ_FIRST(&first->behind)) != NULL) {
        job->pair_ended = has_ended && is_same_text(first, job);
        job_transition(job, JOB_RECEIVED);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

static void forget_send(struct loop *loop, struct job_send *send) {
    loop_timer_cancel(loop, &send->timer);
    if (send->flight != NULL)
        send->flight->job = NULL;
    send->flight = NULL;
}

void job_forget_sends(struct job *job) {
    forget_send(job->jobs->loop, &job->copy);
    forget_send(job->jobs->loop, &job->status);
}

static void count_recalled(struct jobs *jobs, const struct job *job, bool held) {
    if (!job->is_recalled || job->message == NULL)
        return;
    size_t bytes = job_held_bytes(job);
    jobs->recalled = held ? jobs->recalled + 1 : jobs->recalled - 1;
    jobs->recalled_bytes = held ? jobs->recalled_bytes + bytes : jobs->recalled_bytes - bytes;
}

void job_recalled(struct job *job) {
    count_recalled(job->jobs, job, true);
}

static void release_message(struct job *job) {
    count_recalled(job->jobs, job, false);
    job_release_message(job);
}

/* What would bring the job back is stopped, and what it holds is given back. */
static void give_back(struct jobs *jobs, struct job *job, enum job_state to) {
    struct partition *p = job->partition;
    release_pair(jobs, job);
    loop_timer_cancel(jobs->loop, &job->timer);
    job_forget_sends(job);
    if (job->call != NULL)
        aws_cancel(job->call);
    job->call = NULL;
    slot_release(jobs->slots, job->lane, &job->slot);
    release_message(job);
    if (p == NULL)
        return;
    TAILQ_REMOVE(&p->jobs, job, in_partition);
    job->partition = NULL;
    if (to == JOB_FINISHED)
        jobs->events.finished(jobs->events.arg, p, job->offset);
    jobs->events.fewer(jobs->events.arg);
}

static void jobs_free_ended(void *arg) {
    struct jobs *jobs = arg;
    struct job *job;
    while ((job = TAILQ_FIRST(&jobs->ended)) != NULL) {
        TAILQ_REMOVE(&jobs->ended, job, in_list);
        jobs->count[job->state]--;
        job_free(job);
    }
}

static void enter_list(struct jobs *jobs, struct job *job, enum job_state from) {
    switch (job->state) {
    case JOB_RECEIVED:
        job->first = NULL;
        put_in(&jobs->received, job);
        break;
    case JOB_BEHIND:
        put_in(&job->first->behind, job);
        break;
    case JOB_WAITING:
        pairs_add(&jobs->pairs, job);
        put_in_window(jobs, job);
        break;
    case JOB_ASK_AGAIN:
        put_in(&jobs->ask_again, job);
        break;
    case JOB_RUNNING:
        put_in(&jobs->running, job);
        if (from == JOB_RUNNING)
            break;
        pairs_add(&jobs->pairs, job);
        pair_has_started(job);
        break;
    case JOB_SETTLING:
        put_in(&jobs->settling, job);
        break;
    case JOB_FINISHED:
    case JOB_INDEXED:
    case JOB_DROPPED:
        put_in(&jobs->ended, job);
        loop_defer(jobs->loop, &jobs->free_ended, jobs_free_ended, jobs);
        give_back(jobs, job, job->state);
        break;
    case JOB_STARTING:
    case JOB_AMBIGUOUS_BACKOFF:
    case JOB_REFUSED_BACKOFF:
    case JOB_STATES:
        break;
    }
}

void job_transition(struct job *job, enum job_state to) {
    struct jobs *jobs = job->jobs;
    if (!is_sound(job, to))
        return;
    enum job_state from = job->state;
    leave_list(jobs, job, to);
    jobs->count[from]--;
    jobs->count[to]++;
    job->state = to;
    if (from == JOB_STARTING)
        job_forget_query(job);
    enter_list(jobs, job, from);
}

void job_drop(struct job *job) {
    job_transition(job, JOB_DROPPED);
}

void job_message_done(struct job *job) {
    release_message(job);
    job->jobs->events.fewer(job->jobs->events.arg);
}

/* --- all of them ------------------------------------------------------------------------------ */

struct job *job_new(struct jobs *jobs, struct partition *p) {
    struct job *job = mem_zero(sizeof *job);
    job->jobs = jobs;
    job->partition = p;
    job->state = JOB_RECEIVED;
    jobs->count[JOB_RECEIVED]++;
    TAILQ_INIT(&job->behind);
    put_in(&jobs->received, job);
    TAILQ_INSERT_TAIL(&p->jobs, job, in_partition);
    return job;
}

size_t jobs_waiting(const struct jobs *jobs, enum lane lane) {
    return window_count(&jobs->window[lane]);
}

size_t jobs_followed(const struct jobs *jobs) {
    return jobs->count[JOB_RUNNING];
}

size_t jobs_starting(const struct jobs *jobs) {
    return jobs->count[JOB_STARTING];
}

bool jobs_take_behind(const struct jobs *jobs) {
    return jobs->count[JOB_BEHIND] < BEHIND_MOST;
}

void jobs_init(struct jobs *jobs, struct loop *loop, struct slots *slots,
               const struct jobs_events *events) {
    *jobs = (struct jobs){.loop = loop, .slots = slots, .events = *events};
    for (int lane = 0; lane < LANES; lane++)
        window_init(&jobs->window[lane]);
    pairs_init(&jobs->pairs);
    TAILQ_INIT(&jobs->received);
    TAILQ_INIT(&jobs->ask_again);
    TAILQ_INIT(&jobs->running);
    TAILQ_INIT(&jobs->settling);
    TAILQ_INIT(&jobs->ended);
}

void jobs_close(struct jobs *jobs) {
    if (jobs->loop == NULL)
        return;
    loop_undefer(jobs->loop, &jobs->free_ended);
    jobs_free_ended(jobs);
}
