#include "executor/turn/dispatch.h"

#include <string.h>

#include "common/base/log.h"
#include "executor/metrics.h"
#include "executor/query/known.h"

enum {
    CALL_TIMEOUT_MS = 30000,
    START_BODY_MAX = 4 << 20, /* 262,144 bytes of SQL, each escaped to six, and parameters … */
    OUTAGE_ANSWERS = 10, /* ambiguous ones in a row, over all queries: Athena is out of order, … */
    OUTAGE_START_MS = 2000, /* … and a new query is tried only so often */
    LOOK_AGAIN_MS = 50,     /* while something waits for its pace or a probe */
    SETTLING_MAX = 10000,   /* while Kafka takes no states: bounds what is held for them */
    TURNS = LANES + 1,
    TURN_OF_ASK_AGAIN = LANES,
};

/* --- one query -------------------------------------------------------------------------------- */

/* … which a record that came compressed may have more of: Athena would get half a request. */
static void reject_large(struct dispatch *d, struct job *job) {
    slot_release(d->parts.slots, job->lane, &job->slot);
    settle_rejected(d->parts.settler, job, "RequestTooLarge",
                    "query and executionParameters are larger than 4 MiB as a request to Athena");
}

static void call_athena(struct dispatch *d, struct job *job) {
    struct buffer body;
    buffer_init(&body, START_BODY_MAX);
    job_parse_query(job);
    start_request_write(&d->defaults, &job->query, job->token, &body);
    if (body.failed) {
        buffer_free(&body);
        reject_large(d, job);
        return;
    }
    pace_take(d->parts.pace, loop_now(d->parts.loop));
    job->answers = d->parts.answers;
    job->call = aws_start(d->parts.aws, &aws_athena, "StartQueryExecution", buffer_text(&body),
                          body.len, CALL_TIMEOUT_MS, answer_take, job);
    buffer_free(&body);
}

static bool is_expired(const struct dispatch *d, const struct job *job) {
    int64_t most_ms = d->parts.config->query_max_age_ms;
    return most_ms > 0 && loop_wall() - job_first_seen_ms(job) > most_ms;
}

/*
 * The pair may be that of a query with another text, which has not come to its start yet: Athena,
 * that knows of nothing, would let this one in its place.
 */
static void reject_mismatch(struct dispatch *d, struct job *job) {
    settle_mismatch(d->parts.settler, job, "InvalidRequestException",
                    "Idempotent parameters do not match");
}

static void reject_not_allowed(struct dispatch *d, struct job *job) {
    char why[512] = "";
    job_parse_query(job);
    (void)start_allowed(&d->defaults, &job->query, why, sizeof why);
    settle_rejected(d->parts.settler, job, "NotAllowed", why);
    job_forget_query(job);
}

/*
 * What is known to have started is followed, whatever a request may choose by now. True: the job
 * needs no call of Athena, and is on its way to its end, or followed.
 */
static bool needs_no_call(struct dispatch *d, struct job *job) {
    if (answer_is_known(d->parts.answers, job))
        return true;
    if (job->perhaps_started)
        return false;
    if (known_look(d->parts.view, job, NULL) == KNOWN_ANOTHER)
        reject_mismatch(d, job);
    else if (!job->is_allowed)
        reject_not_allowed(d, job);
    else if (is_expired(d, job))
        settle_rejected(d->parts.settler, job, "QueryExpired",
                        "it waited longer than QUERY_MAX_AGE_MS");
    else
        return false;
    return true;
}

/*
 * More wait than are held: of a partition half of the window is held as it comes, so that the other
 * half is left for what cannot be indexed. Who comes behind an entry of its user or its pair is
 * indexed, too: what is held are the first of each line.
 */
static bool is_indexed(const struct dispatch *d, const struct job *job) {
    const struct executor_config *c = d->parts.config;
    const struct partition *p = job->partition;
    if (job->place != NULL)
        return false;
    return p->jobs_waiting > (size_t)(c->window_records + 1) / 2 ||
           p->bytes_waiting > (size_t)(c->window_bytes + 1) / 2 ||
           window_ends_with_entry(&d->parts.jobs->window[job->lane], job->id.user_id) ||
           record_index_find(d->parts.index, pairs_key(job->token)) != NULL;
}

static void index_job(struct dispatch *d, struct job *job) {
    const struct index_row row = {
        .offset = job->offset,
        .received_ms = job->received_ms,
        .pair = pairs_key(job->token),
        .bytes = job_held_bytes(job),
        .lane = job->lane,
    };
    struct index_entry *entry = record_index_add(d->parts.index, job->partition, &row);
    window_add(&d->parts.jobs->window[job->lane], &entry->item, job->id.user_id);
    job_transition(job, JOB_INDEXED);
}

static void job_waits(struct dispatch *d, struct job *job) {
    if (is_indexed(d, job))
        index_job(d, job);
    else
        job_transition(job, JOB_WAITING);
}

/* RECEIVED, and all is read that was written of states before. */
static void admit(struct dispatch *d, struct job *job) {
    struct job *first = pairs_find(&d->parts.jobs->pairs, job->token);
    bool has_id = first != NULL && first->execution_id != NULL && first->state != JOB_STARTING;
    if (first == NULL) {
        if (!needs_no_call(d, job))
            job_waits(d, job);
    } else if (has_id && memcmp(first->sha256, job->sha256, sizeof job->sha256) != 0) {
        reject_mismatch(d, job);
    } else if (!jobs_take_behind(d->parts.jobs) && job->place == NULL) {
        index_job(d, job);
    } else {
        job_wait_behind(job, first);
    }
}

static void admit_received(struct dispatch *d) {
    struct job *job;
    while (status_reader_caught_up(d->parts.reader) &&
           (job = TAILQ_FIRST(&d->parts.jobs->received)) != NULL)
        admit(d, job);
}

/* --- a pass ----------------------------------------------------------------------------------- */

/*
 * All that was written of states has been read, which says whose a pair is; and so has been what
 * waited in the partitions, which says whose turn it is.
 */
static bool knows_turns(const struct dispatch *d) {
    return status_reader_caught_up(d->parts.reader) && d->parts.caught_up(d->parts.arg);
}

static bool may_call(const struct dispatch *d) {
    size_t calls = jobs_starting(d->parts.jobs);
    if (d->stopping || d->parts.gate->closed || calls >= (size_t)d->parts.config->max_in_flight ||
        d->parts.jobs->count[JOB_SETTLING] >= SETTLING_MAX || !knows_turns(d))
        return false;
    if (d->parts.gate->suspect && calls > 0)
        return false;
    return pace_open(d->parts.pace, loop_now(d->parts.loop));
}

static bool find_held(void *arg, struct window_item *item, size_t before) {
    struct window_item **held = arg;
    (void)before;
    *held = item->is_entry ? NULL : item;
    return item->is_entry;
}

/*
 * The first of the lane that is held, unless one before it is about to be. NULL: there is none near
 * by.
 */
static struct job *first_held(const struct dispatch *d, enum lane lane) {
    const struct window *window = &d->parts.jobs->window[lane];
    struct window_item *first = window_first(window), *held = first;
    if (first == NULL)
        return NULL;
    if (first->is_entry && recall_is_near(d->parts.recall, (struct index_entry *)(void *)first))
        return NULL;
    if (first->is_entry)
        window_walk(window, RECALL_MOST, find_held, &held);
    return held != NULL && !held->is_entry ? job_of_item(held) : NULL;
}

/* The one of the lane whose turn it is; what needs no call by now takes no turn. NULL: none. */
static struct job *next_of_lane(struct dispatch *d, enum lane lane) {
    struct job *job;
    do
        job = first_held(d, lane);
    while (job != NULL && needs_no_call(d, job));
    return job;
}

/* It has its slot. */
static void start_job(struct dispatch *d, struct job *job) {
    job_transition(job, JOB_STARTING);
    call_athena(d, job);
}

/* One of the lane, if its quota has room; false where none may start. */
static bool start_one(struct dispatch *d, enum lane lane) {
    if (!may_call(d))
        return false;
    struct job *job = next_of_lane(d, lane);
    int64_t now_ms = loop_now(d->parts.loop);
    bool outage =
        d->parts.answers->ambiguous >= OUTAGE_ANSWERS && now_ms - d->started_ms < OUTAGE_START_MS;
    if (job == NULL || outage ||
        !slot_take(d->parts.slots, lane, &job->slot, now_ms, dispatch_backlog(d, lane)))
        return false;
    d->started_ms = now_ms;
    start_job(d, job);
    return true;
}

/* One that is asked again: it has its slot. */
static bool start_again(struct dispatch *d) {
    struct job *job = TAILQ_FIRST(&d->parts.jobs->ask_again);
    if (job == NULL || !may_call(d))
        return false;
    if (!needs_no_call(d, job))
        start_job(d, job);
    return true;
}

static bool anything_waits(const struct dispatch *d) {
    const size_t *count = d->parts.jobs->count;
    return count[JOB_RECEIVED] > 0 || count[JOB_WAITING] > 0 || count[JOB_ASK_AGAIN] > 0 ||
           d->parts.index->count > 0;
}

static void dispatch_on_timer(void *arg) {
    dispatch_soon(arg);
}

static void dispatch_pass(void *arg) {
    struct dispatch *d = arg;
    d->unread = d->parts.unread(d->parts.arg);
    admit_received(d);
    d->parts.pass_begins(d->parts.arg);
    /* They take turns at what they share: MAX_RUNNING, MAX_IN_FLIGHT, the pace. */
    for (int idle = 0; idle < TURNS; d->next = (d->next + 1) % TURNS) {
        bool began =
            d->next == TURN_OF_ASK_AGAIN ? start_again(d) : start_one(d, (enum lane)d->next);
        idle = began ? 0 : idle + 1;
    }
    if (!d->stopping && status_reader_caught_up(d->parts.reader))
        recall_look(d->parts.recall);
    if (anything_waits(d) && !d->stopping && d->timer.place == 0)
        loop_timer_set(d->parts.loop, &d->timer, LOOK_AGAIN_MS, dispatch_on_timer, d);
    d->parts.pass_ends(d->parts.arg);
}

void dispatch_soon(struct dispatch *d) {
    loop_defer(d->parts.loop, &d->pass, dispatch_pass, d);
}

/* What waits in Kafka is of either lane. */
int64_t dispatch_backlog(const struct dispatch *d, enum lane lane) {
    return (int64_t)jobs_waiting(d->parts.jobs, lane) + d->unread;
}

int dispatch_startable(const struct dispatch *d, enum lane lane) {
    if (d->stopping || d->parts.gate->closed || !knows_turns(d))
        return 0;
    int waiting = (int)jobs_waiting(d->parts.jobs, lane), room = slots_room(d->parts.slots);
    return waiting < room ? waiting : room;
}

bool dispatch_is_idle(const struct dispatch *d) {
    const size_t *count = d->parts.jobs->count;
    return !anything_waits(d) && count[JOB_STARTING] == 0 && count[JOB_AMBIGUOUS_BACKOFF] == 0 &&
           count[JOB_REFUSED_BACKOFF] == 0 && count[JOB_RUNNING] == 0;
}

/* --- records ---------------------------------------------------------------------------------- */

/* False: it is no request, and is rejected. */
static bool read_record(struct dispatch *d, struct job *job, rd_kafka_message_t *message) {
    char why[512], not_allowed[512];
    bool is_sound = job_read(job, message, d->parts.config->kafka.names.stage, why, sizeof why);
    job_recalled(job);
    job->is_allowed =
        is_sound && start_allowed(&d->defaults, &job->query, not_allowed, sizeof not_allowed);
    job_forget_query(job);
    if (!is_sound)
        settle_rejected(d->parts.settler, job, "InvalidRequest", why);
    job->notice.since_ms = loop_now(d->parts.loop);
    return is_sound;
}

void dispatch_record(void *arg, struct partition *p, rd_kafka_message_t *message) {
    struct dispatch *d = arg;
    struct job *job = job_new(d->parts.jobs, p);
    metric_add(&d->parts.metrics[METRIC_RECEIVED], 1);
    if (!read_record(d, job, message))
        return;
    admit_received(d);
    dispatch_soon(d);
}

/* Hysteresis, since a pause throws away what was prefetched. Each partition has some room. */
bool dispatch_is_full(void *arg, const struct partition *p, bool was_full) {
    const struct dispatch *d = arg;
    const struct executor_config *c = d->parts.config;
    size_t bytes = record_index_bytes(d->parts.index);
    for (int lane = 0; lane < LANES; lane++)
        bytes += window_bytes(&d->parts.jobs->window[lane]);
    size_t bytes_most = (size_t)c->window_index_bytes, own_most = (size_t)c->window_records;
    return was_full ? bytes > bytes_most - bytes_most / 8 && p->indexed_count > own_most / 2
                    : bytes >= bytes_most && p->indexed_count >= own_most;
}

static void forget_entry(struct dispatch *d, struct index_entry *entry) {
    const struct jobs_events *events = &d->parts.jobs->events;
    if (entry->item.user != NULL)
        window_remove(&d->parts.jobs->window[entry->lane], &entry->item);
    record_index_remove(d->parts.index, entry);
    events->fewer(events->arg);
    dispatch_soon(d);
}

void dispatch_recalled(void *arg, struct index_entry *entry, rd_kafka_message_t *message) {
    struct dispatch *d = arg;
    if (!status_reader_caught_up(d->parts.reader)) { /* it is fetched once more */
        rd_kafka_message_destroy(message);
        return;
    }
    struct job *job = job_new(d->parts.jobs, entry->partition);
    job->is_recalled = true;
    if (read_record(d, job, message)) {
        job->place = job->lane == (enum lane)entry->lane ? &entry->item : NULL;
        admit(d, job);
        job->place = NULL;
    }
    forget_entry(d, entry);
}

void dispatch_record_gone(void *arg, struct index_entry *entry) {
    struct dispatch *d = arg;
    const struct jobs_events *events = &d->parts.jobs->events;
    log_error("a record that waited is no longer in its topic: partition=%d offset=%lld",
              (int)entry->partition->id, (long long)entry->offset);
    metric_add(&d->parts.metrics[METRIC_GONE], 1);
    events->finished(events->arg, entry->partition, entry->offset);
    forget_entry(d, entry);
}

static void drop_entries(struct dispatch *d, struct partition *p) {
    recall_forget(d->parts.recall, p);
    record_index_drop(d->parts.index, p, d->parts.jobs->window);
}

static bool ends_soon(const struct job *job) {
    return job->state == JOB_STARTING || (job->state == JOB_SETTLING && settle_ends_soon(job));
}

void dispatch_revoking(void *arg, struct partition *p) {
    drop_entries(arg, p);
    struct job *job, *next;
    for (job = TAILQ_FIRST(&p->jobs); job != NULL; job = next) {
        next = TAILQ_NEXT(job, in_partition);
        if (!ends_soon(job))
            job_drop(job);
    }
}

void dispatch_gone(void *arg, struct partition *p) {
    drop_entries(arg, p);
    struct job *job;
    while ((job = TAILQ_FIRST(&p->jobs)) != NULL)
        job_drop(job);
}

/* --- life ------------------------------------------------------------------------------------- */

void dispatch_init(struct dispatch *d, const struct dispatch_parts *parts) {
    const struct executor_config *c = parts->config;
    *d = (struct dispatch){.parts = *parts};
    d->defaults = (struct start_defaults){
        .database = c->aws.database,
        .catalog = c->aws.catalog,
        .work_group = c->aws.work_group,
        .output_location = c->aws.output_location,
        .allowed_workgroups = c->allowed_workgroups,
        .allowed_output_locations = c->allowed_output_locations,
    };
}

void dispatch_stop(struct dispatch *d) {
    d->stopping = true;
}

void dispatch_close(struct dispatch *d) {
    if (d->parts.loop == NULL)
        return;
    loop_timer_cancel(d->parts.loop, &d->timer);
    loop_undefer(d->parts.loop, &d->pass);
}
