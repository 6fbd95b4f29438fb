#include "executor/partitions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/group.h"
#include "common/kafka/handle.h"
#include "common/kafka/incarnation.h"
#include "executor/query/job.h"
#include "executor/turn/record_index.h"

enum {
    CATCH_UP_MS = 10000,    /* the longest that starts wait for what was there before, … */
    CATCH_UP_REST_MS = 2000 /* … and the longest without a record of it */
};

enum {
    COUNT_LOST_EVERY_MS = 2000
};

TAILQ_HEAD(partition_list, partition);

struct partitions {
    struct loop *loop;
    struct kafka_group *group;
    struct kafka_commits *commits; /* the group's */
    const struct kafka_options *kafka;
    struct incarnation *incarnation; /* NULL: not watched */
    struct partitions_limits limits;
    struct partitions_events events;
    struct partition_list owned;
    size_t count;
    int64_t catch_up_ms;    /* loop time when somebody waited for it first; 0: nobody has yet */
    int64_t last_record_ms; /* loop time */
    bool joined;
    bool letting_go;       /* the last commit before that is under way */
    struct loop_task look; /* at what may be resumed or let go */
    struct loop_timer lost_timer;
    int64_t lost; /* see partitions_lost() */
};

/* --- one partition ---------------------------------------------------------------------------- */

static struct partition *partitions_find(const struct partitions *ps, int32_t id) {
    struct partition *p;
    TAILQ_FOREACH(p, &ps->owned, link)
    if (p->id == id)
        return p;
    return NULL;
}

static void partitions_add(struct partitions *ps, const rd_kafka_topic_partition_t *tp) {
    struct partition *p = mem_zero(sizeof *p);
    p->id = p->tracker.partition = tp->partition;
    TAILQ_INIT(&p->jobs);
    TAILQ_INIT(&p->indexed);
    p->first_end = -1;
    char *metadata = mem_bytes(tp->metadata, tp->metadata_size);
    kafka_tracker_init(&p->tracker, tp->offset, metadata);
    free(metadata);
    kafka_commits_track(ps->commits, &p->tracker);
    TAILQ_INSERT_TAIL(&ps->owned, p, link);
    ps->count++;
}

static void partitions_drop(struct partitions *ps, struct partition *p) {
    ps->events.gone(ps->events.arg, p);
    kafka_commits_untrack(ps->commits, &p->tracker);
    TAILQ_REMOVE(&ps->owned, p, link);
    ps->count--;
    offsets_free(&p->tracker.offsets);
    free(p);
}

static void partitions_drop_all(struct partitions *ps) {
    struct partition *p;
    while ((p = TAILQ_FIRST(&ps->owned)) != NULL)
        partitions_drop(ps, p);
}

/* --- back-pressure ---------------------------------------------------------------------------- */

static bool is_full(const struct partitions *ps, const struct partition *p) {
    return p->jobs_waiting >= ps->limits.jobs_waiting ||
           p->bytes_waiting >= ps->limits.bytes_waiting ||
           ps->events.is_full(ps->events.arg, p, false);
}

/* Pausing throws away what was prefetched: resume only with room for a while. */
static bool has_room(const struct partitions *ps, const struct partition *p) {
    return p->jobs_waiting <= ps->limits.jobs_waiting / 2 &&
           p->bytes_waiting <= ps->limits.bytes_waiting / 2 &&
           !ps->events.is_full(ps->events.arg, p, true);
}

static void partitions_steer(struct partitions *ps, struct partition *p) {
    bool pause = !p->paused && is_full(ps, p), resume = p->paused && has_room(ps, p);
    if (!p->revoking && (pause || resume) && kafka_group_pause(ps->group, p->id, pause))
        p->paused = pause;
}

/* --- rebalance -------------------------------------------------------------------------------- */

static bool anything_under_way(const struct partitions *ps) {
    struct partition *p;
    TAILQ_FOREACH(p, &ps->owned, link)
    if (!TAILQ_EMPTY(&p->jobs))
        return true;
    return ps->events.unsettled(ps->events.arg);
}

static void partitions_let_go_now(struct partitions *ps) {
    ps->letting_go = false;
    loop_undefer(ps->loop, &ps->look);
    kafka_group_release(ps->group);
    partitions_drop_all(ps);
}

/* What is finished is committed first, if the answer comes in time. */
static void partitions_let_go(struct partitions *ps) {
    if (ps->letting_go)
        return;
    ps->letting_go = true;
    if (!kafka_commits_flush(ps->commits))
        partitions_let_go_now(ps);
}

/* Resumes what has room, lets go once nothing is under way for what was revoked. */
static void partitions_look(void *arg) {
    struct partitions *ps = arg;
    struct partition *p = NULL; /* cppcheck does not know that the loop sets it */
    bool revoking = ps->count == 0;
    TAILQ_FOREACH(p, &ps->owned, link) {
        revoking |= p->revoking;
        partitions_steer(ps, p);
    }
    if (revoking && !anything_under_way(ps))
        partitions_let_go(ps);
}

void partitions_settled(struct partitions *ps) {
    loop_defer(ps->loop, &ps->look, partitions_look, ps);
}

/* What failed to be committed while letting go is done again by the next owner. */
static void partitions_on_committed(void *arg, rd_kafka_resp_err_t err) {
    struct partitions *ps = arg;
    (void)err;
    if (ps->letting_go && !kafka_commits_under_way(ps->commits))
        partitions_let_go_now(ps);
}

static void partitions_begin_revoke(struct partitions *ps) {
    struct partition *p;
    TAILQ_FOREACH(p, &ps->owned, link) {
        p->revoking = true;
        ps->events.revoking(ps->events.arg, p);
    }
    partitions_settled(ps);
}

static void partitions_on_assigned(void *arg, const rd_kafka_topic_partition_list_t *assigned) {
    struct partitions *ps = arg;
    partitions_drop_all(ps);
    for (int i = 0; i < assigned->cnt; i++)
        partitions_add(ps, &assigned->elems[i]);
    ps->joined = true;
    ps->catch_up_ms = 0;
    if (ps->incarnation != NULL)
        incarnation_look_soon(ps->incarnation);
    ps->events.taken(ps->events.arg);
    log_info("partitions taken count=%d", assigned->cnt);
}

static void partitions_on_revoked(void *arg, bool lost) {
    struct partitions *ps = arg;
    if (lost) {
        log_warn("partitions lost: this executor was expelled from the group");
        partitions_let_go_now(ps);
    } else {
        partitions_begin_revoke(ps);
    }
}

static void partitions_on_overdue(void *arg) {
    log_warn("partitions are let go with calls or commits under way: the next owner asks again");
    partitions_let_go_now(arg);
}

/* --- what retention takes --------------------------------------------------------------------- */

/* The offset of the record that comes next, negative: not known. */
static int64_t partition_expects(const struct partition *p) {
    const struct offsets *o = &p->tracker.offsets;
    return o->next >= 0 ? o->next : o->committed;
}

static void partitions_count_lost(void *arg) {
    struct partitions *ps = arg;
    struct partition *p = NULL; /* cppcheck does not know that the loop sets it */
    loop_timer_set(ps->loop, &ps->lost_timer, COUNT_LOST_EVERY_MS, partitions_count_lost, ps);
    TAILQ_FOREACH(p, &ps->owned, link) {
        int64_t lost = lost_count(&p->lost, partition_expects(p), kafka_group_low(ps->group, p->id),
                                  loop_now(ps->loop));
        ps->lost += lost;
        if (lost > 0)
            log_error("retention took records that were not done with topic=%s partition=%d "
                      "records=%lld",
                      ps->kafka->names.topics[TOPIC_QUERY], (int)p->id, (long long)lost);
    }
}

int64_t partitions_lost(const struct partitions *ps) {
    return ps->lost;
}

/* --- records and their ends ------------------------------------------------------------------- */

static void partitions_on_record(void *arg, rd_kafka_message_t *message) {
    struct partitions *ps = arg;
    struct partition *p = partitions_find(ps, message->partition);
    if (p == NULL || p->revoking) {
        rd_kafka_message_destroy(message);
        return;
    }
    lost_received(&p->lost, partition_expects(p), message->offset, loop_now(ps->loop));
    switch (offsets_receive(&p->tracker.offsets, message->offset)) {
    case OFFSETS_RESTARTED:
        /* Another topic of this name, or a group that was reset: an old job must not finish a new
         * record. */
        log_warn("partition %d begins again at offset %lld", (int)p->id,
                 (long long)message->offset);
        ps->events.gone(ps->events.arg, p);
        p->tracker.witness = p->tracker.candidate = (struct witness){0};
        p->lost = (struct lost){0};
        /* fallthrough */
    case OFFSETS_NEW:
        ps->last_record_ms = loop_now(ps->loop);
        kafka_tracker_saw(&p->tracker, message);
        ps->events.record(ps->events.arg, p, message);
        partitions_steer(ps, p);
        return;
    case OFFSETS_FINISHED:
        kafka_commits_moved(ps->commits, &p->tracker);
        break;
    case OFFSETS_REPEATED:
        if (ps->incarnation != NULL) /* the topic may have been created again */
            incarnation_look_soon(ps->incarnation);
        break;
    }
    rd_kafka_message_destroy(message);
}

void partitions_finish(struct partitions *ps, struct partition *p, int64_t offset) {
    kafka_commits_finish(ps->commits, &p->tracker, offset);
}

void partitions_restart(struct partitions *ps, int32_t id) {
    struct partition *p = partitions_find(ps, id);
    if (p == NULL || p->revoking)
        return;
    ps->events.gone(ps->events.arg, p);
    kafka_tracker_restart(&p->tracker);
    p->lost = (struct lost){0};
    kafka_group_read_again(ps->group, id);
    partitions_settled(ps);
}

/* --- life ------------------------------------------------------------------------------------- */

static rd_kafka_conf_t *partitions_conf(const struct kafka_options *kafka) {
    rd_kafka_conf_t *conf = kafka_group_conf(kafka, kafka->names.groups[GROUP_EXECUTOR]);
    /* What is prefetched waits here instead of with another executor, and is lost at a pause. */
    kafka_set_default(conf, kafka, "queued.max.messages.kbytes", "4096");
    /* The last records of an empty partition's end come only after this, and starts wait for it. */
    kafka_set_default(conf, kafka, "fetch.wait.max.ms", "100");
    return conf;
}

struct partitions *partitions_open(struct loop *loop, const struct kafka_options *kafka,
                                   const struct partitions_limits *limits,
                                   const struct partitions_events *events, char *error,
                                   size_t error_size) {
    struct partitions *ps = mem_zero(sizeof *ps);
    ps->loop = loop;
    ps->kafka = kafka;
    ps->limits = *limits;
    ps->events = *events;
    TAILQ_INIT(&ps->owned);
    const struct kafka_group_settings settings = {
        .topic = kafka->names.topics[TOPIC_QUERY],
        .revoke_ms = limits->revoke_ms,
        .trims = true,
        .keep_done_ms = kafka->keep_done_ms,
        .events = {.assigned = partitions_on_assigned,
                   .revoked = partitions_on_revoked,
                   .overdue = partitions_on_overdue,
                   .committed = partitions_on_committed,
                   .record = partitions_on_record,
                   .arg = ps},
    };
    ps->group = kafka_group_open(loop, kafka, partitions_conf(kafka), &settings, error, error_size);
    if (ps->group == NULL) {
        free(ps);
        return NULL;
    }
    ps->commits = kafka_group_commits(ps->group);
    partitions_count_lost(ps);
    return ps;
}

static void partitions_on_other(void *arg, int32_t id) {
    partitions_restart(arg, id);
}

bool partitions_watch(struct partitions *ps, char *error, size_t error_size) {
    const struct incarnation_events events = {partitions_on_other, NULL, ps};
    ps->incarnation = incarnation_open(ps->loop, ps->kafka, ps->kafka->names.topics[TOPIC_QUERY],
                                       ps->commits, &events, error, error_size);
    return ps->incarnation != NULL;
}

bool partitions_join(struct partitions *ps, char *error, size_t error_size) {
    return kafka_group_join(ps->group, error, error_size);
}

/* Not bounded by `revoke_ms`: a stop has a time-out of its own, DRAIN_TIMEOUT_MS. */
void partitions_leave(struct partitions *ps) {
    ps->joined = false;
    kafka_group_stop(ps->group);
    if (ps->count > 0)
        partitions_begin_revoke(ps);
}

void partitions_close(struct partitions *ps) {
    if (ps == NULL)
        return;
    struct partition *p;
    TAILQ_FOREACH(p, &ps->owned, link) {
        p->revoking = true;
        ps->events.revoking(ps->events.arg, p);
    }
    loop_timer_cancel(ps->loop, &ps->lost_timer);
    incarnation_close(ps->incarnation);
    partitions_let_go_now(ps);
    kafka_group_close(ps->group);
    loop_undefer(ps->loop, &ps->look); /* what was dropped has called partitions_settled() */
    free(ps);
}

/* --- what the others ask ---------------------------------------------------------------------- */

size_t partitions_count(const struct partitions *ps) {
    return ps->count;
}

bool partitions_has(const struct partitions *ps, int32_t id) {
    const struct partition *p = partitions_find(ps, id);
    return p != NULL && !p->revoking;
}

static bool is_caught_up(const struct partitions *ps, struct partition *p) {
    if (p->first_end < 0)
        p->first_end = kafka_group_end(ps->group, p->id);
    const struct offsets *o = &p->tracker.offsets;
    int64_t next = o->next >= 0 ? o->next : o->committed;
    return (p->first_end >= 0 && next >= p->first_end) ||
           (p->paused && ps->events.is_full(ps->events.arg, p, true));
}

bool partitions_caught_up(struct partitions *ps) {
    int64_t now_ms = loop_now(ps->loop);
    if (ps->catch_up_ms == 0)
        ps->catch_up_ms = now_ms;
    bool is_overdue = now_ms - ps->catch_up_ms >= CATCH_UP_REST_MS &&
                      (now_ms - ps->last_record_ms >= CATCH_UP_REST_MS ||
                       now_ms - ps->catch_up_ms >= CATCH_UP_MS);
    struct partition *p = NULL; /* cppcheck does not know that the loop sets it */
    TAILQ_FOREACH(p, &ps->owned, link) {
        p->caught_up = p->caught_up || is_overdue || is_caught_up(ps, p);
        if (!p->caught_up)
            return false;
    }
    return true;
}

bool partitions_joined(const struct partitions *ps) {
    return ps->joined;
}

bool partitions_up(const struct partitions *ps) {
    return kafka_group_up(ps->group);
}

void partitions_describe_down(const struct partitions *ps, struct buffer *why) {
    kafka_group_describe_down(ps->group, why);
}

int64_t partitions_lag(const struct partitions *ps) {
    return kafka_group_lag(ps->group);
}

int64_t partitions_unread(const struct partitions *ps) {
    int64_t sum = 0;
    const struct partition *p = NULL; /* cppcheck does not know that the loop sets it */
    TAILQ_FOREACH(p, &ps->owned, link)
    sum += kafka_group_unread(ps->group, &p->tracker);
    return sum;
}

static int64_t older_ms(int64_t a, int64_t b) {
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* What was indexed and is held by now is not in order. */
static int64_t partition_oldest_ms(const struct partition *p) {
    const struct index_entry *entry = TAILQ_FIRST(&p->indexed);
    int64_t oldest_ms = entry != NULL ? entry->received_ms : -1;
    const struct job *job;
    TAILQ_FOREACH(job, &p->jobs, in_partition)
    oldest_ms = older_ms(oldest_ms, job->received_ms);
    return oldest_ms;
}

int64_t partitions_oldest_ms(const struct partitions *ps) {
    int64_t oldest_ms = -1;
    const struct partition *p = NULL; /* cppcheck does not know that the loop sets it */
    TAILQ_FOREACH(p, &ps->owned, link)
    oldest_ms = older_ms(oldest_ms, partition_oldest_ms(p));
    return oldest_ms;
}
