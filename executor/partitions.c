#include "executor/partitions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/group.h"
#include "common/kafka/handle.h"
#include "common/kafka/wakeup.h"
#include "executor/query/job.h"

enum {
    RECORDS_A_TURN = 200,
    COMMIT_EVERY_MS = 200,
    COMMIT_AGAIN_MS = 1000, /* after one that failed */
    POLL_EVERY_MS = 1000,   /* a floor: max.poll.interval.ms expels who does not poll */
    COMMITTED_TIMEOUT_MS = 5000,
};

TAILQ_HEAD(partition_list, partition);

struct partitions {
    struct kafka_owner owner; /* first: the handle's opaque */
    struct loop *loop;
    const char *topic;
    struct partitions_limits limits;
    struct partitions_events events;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct kafka_wakeup *wakeup;
    struct partition_list owned;
    size_t count;
    bool joined;
    bool unassign_due;  /* the group waits for us to let go */
    bool letting_go;    /* the last commit before that is under way */
    int commits;        /* under way */
    bool plain_commits; /* without metadata */
    bool leaving;       /* for a stop: nothing is taken any more */
    bool closing;
    struct loop_timer commit_timer, poll_timer, revoke_timer;
    struct loop_task look; /* at what may be resumed or let go */
};

/* --- one partition ---------------------------------------------------------------------------- */

static struct partition *find(const struct partitions *ps, int32_t id) {
    struct partition *p;
    TAILQ_FOREACH(p, &ps->owned, link)
    if (p->id == id)
        return p;
    return NULL;
}

static void add(struct partitions *ps, const rd_kafka_topic_partition_t *tp) {
    struct partition *p = mem_zero(sizeof *p);
    p->id = tp->partition;
    TAILQ_INIT(&p->jobs);
    char *metadata = mem_bytes(tp->metadata, tp->metadata_size);
    offsets_init(&p->offsets, tp->offset >= 0 ? tp->offset : -1, metadata);
    free(metadata);
    TAILQ_INSERT_TAIL(&ps->owned, p, link);
    ps->count++;
}

static void drop(struct partitions *ps, struct partition *p) {
    ps->events.gone(ps->events.arg, p);
    TAILQ_REMOVE(&ps->owned, p, link);
    ps->count--;
    offsets_free(&p->offsets);
    free(p);
}

/* --- back-pressure ---------------------------------------------------------------------------- */

static bool is_full(const struct partitions *ps, const struct partition *p) {
    return p->jobs_waiting >= ps->limits.jobs_waiting ||
           p->bytes_waiting >= ps->limits.bytes_waiting;
}

/* Pausing throws away what was prefetched: resume only with room for a while. */
static bool has_room(const struct partitions *ps, const struct partition *p) {
    return p->jobs_waiting <= ps->limits.jobs_waiting / 2 &&
           p->bytes_waiting <= ps->limits.bytes_waiting / 2;
}

static void set_paused(struct partitions *ps, struct partition *p, bool paused) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, ps->topic, p->id);
    rd_kafka_resp_err_t err =
        paused ? rd_kafka_pause_partitions(ps->rk, list) : rd_kafka_resume_partitions(ps->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        p->paused = paused;
    else
        log_warn("partition %d cannot be %s: %s", (int)p->id, paused ? "paused" : "resumed",
                 rd_kafka_err2str(err));
}

static void steer(struct partitions *ps, struct partition *p) {
    if (p->revoking)
        return;
    if (!p->paused && is_full(ps, p))
        set_paused(ps, p, true);
    else if (p->paused && has_room(ps, p))
        set_paused(ps, p, false);
}

/* --- commits ---------------------------------------------------------------------------------- */

/* The positions of all dirty partitions; NULL where there is none. They are no longer dirty. */
static rd_kafka_topic_partition_list_t *positions(struct partitions *ps) {
    rd_kafka_topic_partition_list_t *list = NULL;
    struct partition *p = NULL; /* cppcheck does not know that the loop sets it */
    TAILQ_FOREACH(p, &ps->owned, link) {
        int64_t position = offsets_position(&p->offsets);
        if (!p->dirty || position < 0)
            continue;
        if (list == NULL)
            list = rd_kafka_topic_partition_list_new((int)ps->count);
        rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_add(list, ps->topic, p->id);
        char metadata[OFFSETS_METADATA_MAX + 1];
        offsets_metadata(&p->offsets, metadata, ps->plain_commits ? 1 : sizeof metadata);
        tp->offset = position;
        if (metadata[0] != '\0') {
            tp->metadata = mem_string(metadata); /* librdkafka frees it */
            tp->metadata_size = strlen(metadata);
        }
        p->dirty = false;
    }
    return list;
}

static void on_commit_timer(void *arg);

static void set_dirty(struct partitions *ps, struct partition *p, int64_t commit_in_ms) {
    p->dirty = true;
    if (ps->commit_timer.place == 0)
        loop_timer_set(ps->loop, &ps->commit_timer, commit_in_ms, on_commit_timer, ps);
}

/* What failed is committed again, as it is by then: a commit of old positions would go back. */
static void commit_again(struct partitions *ps, const rd_kafka_topic_partition_list_t *list) {
    for (int i = 0; i < list->cnt; i++) {
        struct partition *p = find(ps, list->elems[i].partition);
        if (p != NULL)
            set_dirty(ps, p, COMMIT_AGAIN_MS);
    }
}

/* In the background; on_committed() is called once for each that this returns true for. */
static bool commit(struct partitions *ps) {
    rd_kafka_topic_partition_list_t *list = positions(ps);
    if (list == NULL)
        return false;
    rd_kafka_resp_err_t err = rd_kafka_commit(ps->rk, list, 1);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        log_warn("offsets not committed: %s", rd_kafka_err2str(err));
        commit_again(ps, list);
        rd_kafka_topic_partition_list_destroy(list);
        return false;
    }
    rd_kafka_topic_partition_list_destroy(list);
    ps->commits++;
    return true;
}

static void on_commit_timer(void *arg) {
    commit(arg);
}

void partitions_finish(struct partitions *ps, struct partition *p, int64_t offset) {
    if (offsets_finish(&p->offsets, offset))
        set_dirty(ps, p, COMMIT_EVERY_MS);
}

/* --- rebalance -------------------------------------------------------------------------------- */

static void unassign(struct partitions *ps) {
    ps->unassign_due = false;
    rd_kafka_resp_err_t err = rd_kafka_assign(ps->rk, NULL);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warn("partitions cannot be let go: %s", rd_kafka_err2str(err));
}

static void drop_all(struct partitions *ps) {
    struct partition *p;
    while ((p = TAILQ_FIRST(&ps->owned)) != NULL)
        drop(ps, p);
}

static void let_go_now(struct partitions *ps) {
    ps->letting_go = false;
    loop_timer_cancel(ps->loop, &ps->revoke_timer);
    drop_all(ps);
    if (ps->unassign_due)
        unassign(ps);
}

/* What is finished is committed first, if that can be had in time (revoke_timer). */
static void let_go(struct partitions *ps) {
    if (ps->letting_go && !ps->closing)
        return;
    ps->letting_go = true;
    commit(ps);
    if (ps->commits == 0 || ps->closing)
        let_go_now(ps);
}

/* One partition's fault is in its own element, the whole commit's in `err`. */
static rd_kafka_resp_err_t commit_fault(rd_kafka_resp_err_t err,
                                        const rd_kafka_topic_partition_list_t *list) {
    if (err == RD_KAFKA_RESP_ERR__NO_OFFSET)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; list != NULL && i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        err = list->elems[i].err;
    return err;
}

static void on_committed(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *list, void *opaque) {
    (void)rk;
    struct partitions *ps = opaque;
    rd_kafka_resp_err_t fault = commit_fault(err, list);
    if (fault != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warn("offsets not committed: %s", rd_kafka_err2str(fault));
    if (fault == RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE)
        ps->plain_commits = true; /* this broker takes less than others: more is done twice */
    ps->commits--;
    if (ps->letting_go && ps->commits == 0)
        let_go_now(ps); /* what failed to be committed is done again by the next owner */
    else if (fault != RD_KAFKA_RESP_ERR_NO_ERROR && list != NULL)
        commit_again(ps, list);
}

static bool anything_under_way(const struct partitions *ps) {
    struct partition *p;
    TAILQ_FOREACH(p, &ps->owned, link)
    if (!TAILQ_EMPTY(&p->jobs))
        return true;
    return false;
}

static void on_revoke_timer(void *arg) {
    struct partitions *ps = arg;
    log_warn("partitions are let go with calls or commits under way: the next owner asks again");
    commit(ps);
    let_go_now(ps);
}

static void begin_revoke(struct partitions *ps) {
    struct partition *p;
    TAILQ_FOREACH(p, &ps->owned, link) {
        p->revoking = true;
        ps->events.revoking(ps->events.arg, p);
    }
    if (!ps->leaving || ps->unassign_due) /* a stop has its own time-out, DRAIN_TIMEOUT_MS */
        loop_timer_set(ps->loop, &ps->revoke_timer, ps->limits.revoke_ms, on_revoke_timer, ps);
    if (ps->closing || !anything_under_way(ps))
        let_go(ps);
}

static void take_over(struct partitions *ps, rd_kafka_topic_partition_list_t *assigned) {
    /* The metadata comes with them; without it more is asked twice, that is all. */
    rd_kafka_resp_err_t err = rd_kafka_committed(ps->rk, assigned, COMMITTED_TIMEOUT_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warn("committed offsets not known yet: %s", rd_kafka_err2str(err));
    drop_all(ps);
    for (int i = 0; i < assigned->cnt; i++) {
        rd_kafka_topic_partition_t *tp = &assigned->elems[i];
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR || tp->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            tp->offset = RD_KAFKA_OFFSET_INVALID; /* librdkafka asks for it itself */
        add(ps, tp);
    }
    err = rd_kafka_assign(ps->rk, assigned);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warn("partitions cannot be taken: %s", rd_kafka_err2str(err));
    /* A pause outlives the assignment it was made under. */
    if (assigned->cnt > 0)
        rd_kafka_resume_partitions(ps->rk, assigned);
    ps->joined = true;
    log_info("partitions taken count=%d", assigned->cnt);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *list, void *opaque) {
    struct partitions *ps = opaque;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !ps->leaving) {
        take_over(ps, list);
        return;
    }
    ps->unassign_due = true;
    if (rd_kafka_assignment_lost(rk)) {
        /* Somebody else owns them by now: nothing may be committed. */
        log_warn("partitions lost: this executor was expelled from the group");
        let_go_now(ps);
        return;
    }
    begin_revoke(ps);
}

static void look_at_all(void *arg) {
    struct partitions *ps = arg;
    struct partition *p = NULL; /* cppcheck does not know that the loop sets it */
    bool revoking = false;
    TAILQ_FOREACH(p, &ps->owned, link) {
        revoking |= p->revoking;
        steer(ps, p);
    }
    if (revoking && !anything_under_way(ps))
        let_go(ps);
}

void partitions_settled(struct partitions *ps) {
    loop_defer(ps->loop, &ps->look, look_at_all, ps);
}

/* --- records ---------------------------------------------------------------------------------- */

static void take(struct partitions *ps, rd_kafka_message_t *message) {
    struct partition *p = find(ps, message->partition);
    if (p == NULL || p->revoking) {
        rd_kafka_message_destroy(message);
        return;
    }
    switch (offsets_receive(&p->offsets, message->offset)) {
    case OFFSETS_RESTARTED:
        /* A topic made anew, or a group set back: an old job must not finish a new record. */
        log_warn("partition %d begins again at offset %lld", (int)p->id,
                 (long long)message->offset);
        ps->events.gone(ps->events.arg, p);
        /* fallthrough */
    case OFFSETS_NEW:
        ps->events.record(ps->events.arg, p, message);
        steer(ps, p);
        return;
    case OFFSETS_FINISHED:
        set_dirty(ps, p, COMMIT_EVERY_MS);
        break;
    case OFFSETS_REPEATED:
        break;
    }
    rd_kafka_message_destroy(message);
}

static void on_records(void *arg) {
    struct partitions *ps = arg;
    rd_kafka_message_t *message;
    int taken = 0;
    while (taken < RECORDS_A_TURN && (message = rd_kafka_consumer_poll(ps->rk, 0)) != NULL) {
        taken++;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            take(ps, message);
            continue;
        }
        log_warn("query topic: %s", rd_kafka_message_errstr(message));
        rd_kafka_message_destroy(message);
    }
    if (taken == RECORDS_A_TURN)
        kafka_wakeup_again(ps->wakeup);
}

static void on_poll_timer(void *arg) {
    struct partitions *ps = arg;
    loop_timer_set(ps->loop, &ps->poll_timer, POLL_EVERY_MS, on_poll_timer, ps);
    on_records(ps);
}

/* --- life ------------------------------------------------------------------------------------- */

static rd_kafka_conf_t *configure(const struct options_common *common) {
    rd_kafka_conf_t *conf = kafka_group_conf(common, common->names.groups[GROUP_EXECUTOR]);
    /* What is prefetched waits here instead of with another executor, and is lost at a pause. */
    kafka_set_default(conf, common, "queued.max.messages.kbytes", "2048");
    kafka_set_default(conf, common, "queued.min.messages", "500");
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, on_committed);
    return conf;
}

struct partitions *partitions_open(struct loop *loop, const struct options_common *common,
                                   const struct partitions_limits *limits,
                                   const struct partitions_events *events, char *error,
                                   size_t error_size) {
    struct partitions *ps = mem_zero(sizeof *ps);
    ps->loop = loop;
    ps->topic = common->names.topics[TOPIC_QUERY];
    ps->limits = *limits;
    ps->events = *events;
    TAILQ_INIT(&ps->owned);
    ps->rk =
        kafka_open(RD_KAFKA_CONSUMER, configure(common), common, &ps->owner, error, error_size);
    if (ps->rk == NULL) {
        free(ps);
        return NULL;
    }
    rd_kafka_poll_set_consumer(ps->rk);
    ps->queue = rd_kafka_queue_get_consumer(ps->rk);
    ps->wakeup = kafka_wakeup_open(loop, ps->queue, on_records, ps);
    if (ps->wakeup == NULL) {
        snprintf(error, error_size, "no eventfd");
        partitions_close(ps);
        return NULL;
    }
    on_poll_timer(ps);
    return ps;
}

bool partitions_join(struct partitions *ps, char *error, size_t error_size) {
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, ps->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(ps->rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        snprintf(error, error_size, "the group cannot be joined: %s", rd_kafka_err2str(err));
    return err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

void partitions_leave(struct partitions *ps) {
    ps->joined = false;
    ps->leaving = true;
    if (ps->count > 0)
        begin_revoke(ps);
}

size_t partitions_count(const struct partitions *ps) {
    return ps->count;
}

bool partitions_has(const struct partitions *ps, int32_t id) {
    const struct partition *p = find(ps, id);
    return p != NULL && !p->revoking;
}

bool partitions_joined(const struct partitions *ps) {
    return ps->joined;
}

bool partitions_up(const struct partitions *ps) {
    return ps->owner.health.up;
}

void partitions_describe_down(const struct partitions *ps, struct buffer *why) {
    kafka_describe_down(&ps->owner, why);
}

int64_t partitions_lag(const struct partitions *ps) {
    return ps->owner.health.lag;
}

int64_t partitions_unread(const struct partitions *ps) {
    int64_t sum = 0;
    const struct partition *p = NULL; /* cppcheck does not know that the loop sets it */
    TAILQ_FOREACH(p, &ps->owned, link) {
        int64_t low, high;
        if (rd_kafka_get_watermark_offsets(ps->rk, ps->topic, p->id, &low, &high) !=
                RD_KAFKA_RESP_ERR_NO_ERROR ||
            high < 0)
            continue;
        int64_t next = p->offsets.next >= 0 ? p->offsets.next : p->offsets.committed;
        if (next < low)
            next = low;
        if (next >= 0 && high > next)
            sum += high - next;
    }
    return sum;
}

int64_t partitions_oldest_ms(const struct partitions *ps) {
    int64_t oldest_ms = -1;
    struct partition *p;
    TAILQ_FOREACH(p, &ps->owned, link) {
        const struct job *first = TAILQ_FIRST(&p->jobs);
        if (first != NULL && (oldest_ms < 0 || first->received_ms < oldest_ms))
            oldest_ms = first->received_ms;
    }
    return oldest_ms;
}

void partitions_close(struct partitions *ps) {
    if (ps == NULL)
        return;
    ps->closing = ps->leaving = true;
    loop_timer_cancel(ps->loop, &ps->poll_timer);
    if (ps->count > 0)
        begin_revoke(ps);
    kafka_group_leave(ps->rk);
    loop_timer_cancel(ps->loop, &ps->commit_timer);
    loop_timer_cancel(ps->loop, &ps->revoke_timer);
    loop_undefer(ps->loop, &ps->look);
    kafka_wakeup_close(ps->wakeup);
    rd_kafka_queue_destroy(ps->queue);
    kafka_close(&ps->owner, ps->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(ps);
}
