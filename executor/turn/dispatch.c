#include "executor/turn/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "executor/limit/slot.h"
#include "executor/query/answer.h"
#include "executor/query/settle.h"
#include "executor/turn/notice.h"

enum {
    CALL_TIMEOUT_MS = 30000,
    START_BODY_MAX = 4 << 20, /* 262,144 bytes of SQL, each escaped to six, and parameters */
    OUTAGE_ANSWERS = 10, /* ambiguous ones in a row, over all queries: Athena is out of order, … */
    OUTAGE_START_MS = 2000, /* … and a new query is tried only so often */
    LOOK_AGAIN_MS = 50,     /* while something waits for its pace or a probe */
};

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
    slot_release(x, job);
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

/* Frees it, but not while a record of it is under way: then settle.c drops it again. */
static void forget(struct executor *x, struct job *job) {
    detach(x, job);
    job_release_message(job);
    if (job->partition != NULL)
        TAILQ_REMOVE(&job->partition->jobs, job, in_partition);
    job->partition = NULL;
    if (!job->copy.in_flight && !job->status.in_flight)
        job_free(job);
}

void dispatch_drop(struct executor *x, struct job *job) {
    struct partition *p = job->partition;
    forget(x, job);
    if (p != NULL)
        partitions_settled(x->partitions, p);
}

bool dispatch_is_idle(const struct executor *x) {
    return !dispatch_any_waits(x) && x->calls == 0 && x->tracker.count == 0 &&
           TAILQ_EMPTY(&x->again);
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
                          CALL_TIMEOUT_MS, answer_take, job);
    buffer_free(&body);
}

/* Too old to be started; one that was started before is followed all the same. */
static bool is_expired(const struct executor *x, const struct job *job) {
    if (x->config->query_max_age_ms == 0 || job->perhaps_started)
        return false;
    if (loop_wall() - job_first_seen_ms(job) <= x->config->query_max_age_ms)
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
    slot_release(x, job);
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
    if (job == NULL || outage || !may_call(x) || !slot_take(x, job))
        return false;
    window_take(&x->window[lane]);
    x->started_ms = loop_now(x->loop);
    start(x, job);
    return true;
}

/* One that is asked again: it has its slot. */
static bool start_again(struct executor *x) {
    struct job *job = TAILQ_FIRST(&x->again);
    if (job == NULL || !may_call(x))
        return false;
    TAILQ_REMOVE(&x->again, job, in_list);
    start(x, job);
    return true;
}

static void on_dispatch_timer(void *arg) {
    dispatch_run(arg);
}

int dispatch_waiting(const struct executor *x, enum lane lane) {
    return (int)window_count(&x->window[lane]);
}

bool dispatch_any_waits(const struct executor *x) {
    for (int lane = 0; lane < LANES; lane++)
        if (dispatch_waiting(x, (enum lane)lane) > 0)
            return true;
    return false;
}

/* What waits in Kafka is of either lane. */
int64_t dispatch_backlog(const struct executor *x, enum lane lane) {
    return dispatch_waiting(x, lane) + x->unread;
}

void dispatch_run(struct executor *x) {
    enum {
        TURNS = LANES + 1 /* the last: what is asked again */
    };
    x->unread = partitions_unread(x->partitions);
    fleet_link_step(x->fleet); /* what may be started now */
    /* They take turns at what they share: MAX_RUNNING, MAX_IN_FLIGHT, the pace. */
    for (int idle = 0; idle < TURNS; x->turn = (x->turn + 1) % TURNS) {
        bool began = x->turn == LANES ? start_again(x) : start_one(x, (enum lane)x->turn);
        idle = began ? 0 : idle + 1;
    }
    fleet_link_step(x->fleet); /* what still waits */
    learning_tell(x);
    bool waits = !TAILQ_EMPTY(&x->again) || dispatch_any_waits(x);
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
    if (!job_read(job, message, x->config->common.names.stage, why, sizeof why)) {
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
        forget(x, job);
    }
}

void dispatch_gone(void *arg, struct partition *p) {
    struct executor *x = arg;
    struct job *job;
    while ((job = TAILQ_FIRST(&p->jobs)) != NULL)
        forget(x, job);
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
}
