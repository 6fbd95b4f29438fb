#include "common/kafka/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/fetch_queue.h"
#include "common/kafka/handle.h"
#include "common/kafka/trim.h"
#include "common/kafka/wakeup.h"

enum {
    RECORDS_AN_ITERATION = 200,
    RECORDS_IN_A_ROW = 2000, /* without a pause: more was fetched than could be taken at once */
    POLL_EVERY_MS = 500,     /* a floor: a member that does not poll within max.poll.interval.ms is
                                expelled */
    COMMITTED_TIMEOUT_MS = 5000,
    SEEK_TIMEOUT_MS = 100,
    LEAVE_TIMEOUT_MS = 3000,
    LEAVE_POLL_MS = 10
};

struct kafka_group {
    struct kafka_owner owner; /* first: the handle's opaque */
    struct loop *loop;
    struct kafka_group_settings settings;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct kafka_wakeup *wakeup;
    struct kafka_commits *commits;
    struct kafka_trim *trim; /* NULL: nothing is deleted */
    bool joined;
    bool owns;        /* partitions are assigned and not lost */
    bool release_due; /* the rebalance waits for kafka_group_release() */
    bool stopped, closing, broken;
    int in_a_row; /* records that were taken since there was none to take */
    struct loop_timer poll_timer, revoke_timer;
};

/* --- rebalance -------------------------------------------------------------------------------- */

static void group_set_owns(struct kafka_group *g, bool owns) {
    g->owns = owns;
    kafka_commits_allow(g->commits, owns);
    if (!owns)
        kafka_trim_assign(g->trim, NULL);
}

static void group_unassign(struct kafka_group *g) {
    group_set_owns(g, false);
    g->release_due = false;
    rd_kafka_resp_err_t err = rd_kafka_assign(g->rk, NULL);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warn("partitions cannot be let go: %s", rd_kafka_err2str(err));
}

void kafka_group_release(struct kafka_group *g) {
    loop_timer_cancel(g->loop, &g->revoke_timer);
    kafka_commits_now(g->commits);
    if (g->release_due)
        group_unassign(g);
}

static void group_on_overdue(void *arg) {
    struct kafka_group *g = arg;
    g->settings.events.overdue(g->settings.events.arg);
    kafka_group_release(g);
}

/* The metadata comes with the offsets; without it more is repeated, that is all. */
static void group_read_committed(struct kafka_group *g, rd_kafka_topic_partition_list_t *list) {
    rd_kafka_resp_err_t err = rd_kafka_committed(g->rk, list, COMMITTED_TIMEOUT_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warn("committed offsets not known yet: %s", rd_kafka_err2str(err));
    for (int i = 0; i < list->cnt; i++)
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR || list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            list->elems[i].offset = RD_KAFKA_OFFSET_INVALID; /* librdkafka asks for it itself */
}

static void group_take(struct kafka_group *g, rd_kafka_topic_partition_list_t *list) {
    bool reads = g->settings.events.record != NULL;
    if (reads)
        group_read_committed(g, list);
    rd_kafka_resp_err_t err = rd_kafka_assign(g->rk, list);
    /* A pause outlives the assignment it was made under. */
    if (list->cnt > 0 && reads)
        rd_kafka_resume_partitions(g->rk, list);
    else if (list->cnt > 0 && err == RD_KAFKA_RESP_ERR_NO_ERROR)
        err = rd_kafka_pause_partitions(g->rk, list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_error("partitions cannot be taken: %s", rd_kafka_err2str(err));
    group_set_owns(g, true);
    kafka_trim_assign(g->trim, list);
    g->release_due = false;
    g->settings.events.assigned(g->settings.events.arg, list);
}

/* From within a poll. */
static void group_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                               rd_kafka_topic_partition_list_t *list, void *opaque) {
    struct kafka_group *g = opaque;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !g->stopped) {
        group_take(g, list);
        return;
    }
    if (err != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && err != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        log_warn("rebalance: %s", rd_kafka_err2str(err));
    if (!g->owns || g->closing) {
        group_unassign(g);
        return;
    }
    bool lost = rd_kafka_assignment_lost(rk) != 0;
    g->release_due = true;
    if (lost)
        group_set_owns(g, false); /* another member owns them by now: nothing may be committed */
    else
        loop_timer_set(g->loop, &g->revoke_timer, g->settings.revoke_ms, group_on_overdue, g);
    g->settings.events.revoked(g->settings.events.arg, lost);
}

/* --- records ---------------------------------------------------------------------------------- */

/* Takes the message. */
static void group_take_message(struct kafka_group *g, rd_kafka_message_t *message) {
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && g->settings.events.record != NULL) {
        g->settings.events.record(g->settings.events.arg, message);
        return;
    }
    /* Of a member that does not read: fetched between the assignment and the pause. */
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_write(message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? LOG_DEBUG : LOG_WARN,
                  "topic %s: %s", g->settings.topic, rd_kafka_message_errstr(message));
    rd_kafka_message_destroy(message);
}

static void group_list_assigned(const struct kafka_group *g,
                                rd_kafka_topic_partition_list_t *list) {
    rd_kafka_topic_partition_list_t *assigned = NULL;
    if (rd_kafka_assignment(g->rk, &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR || assigned == NULL)
        return;
    for (int i = 0; i < assigned->cnt; i++)
        rd_kafka_topic_partition_list_add(list, g->settings.topic, assigned->elems[i].partition)
            ->offset = RD_KAFKA_OFFSET_END;
    rd_kafka_topic_partition_list_destroy(assigned);
}

/* Many records in a row count as a queue that was full, see fetch_queue.h. */
static void group_keep_fetching(struct kafka_group *g, int taken) {
    g->in_a_row += taken;
    if (taken == RECORDS_AN_ITERATION)
        return;
    bool was_full = g->in_a_row >= RECORDS_IN_A_ROW;
    g->in_a_row = 0;
    if (!was_full || !fetch_queue_rests())
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    group_list_assigned(g, list);
    if (list->cnt > 0)
        rd_kafka_offsets_for_times(g->rk, list, FETCH_QUEUE_WAKE_TIMEOUT_MS);
    rd_kafka_topic_partition_list_destroy(list);
}

static void group_on_records(void *arg) {
    struct kafka_group *g = arg;
    rd_kafka_message_t *message;
    int taken = 0;
    while (taken < RECORDS_AN_ITERATION && (message = rd_kafka_consumer_poll(g->rk, 0)) != NULL) {
        taken++;
        group_take_message(g, message);
    }
    if (taken == RECORDS_AN_ITERATION)
        kafka_wakeup_again(g->wakeup);
    group_keep_fetching(g, taken);
}

static void group_on_poll_timer(void *arg) {
    struct kafka_group *g = arg;
    loop_timer_set(g->loop, &g->poll_timer, POLL_EVERY_MS, group_on_poll_timer, g);
    group_on_records(g);
}

bool kafka_group_pause(struct kafka_group *g, int32_t partition, bool paused) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, g->settings.topic, partition);
    rd_kafka_resp_err_t err =
        paused ? rd_kafka_pause_partitions(g->rk, list) : rd_kafka_resume_partitions(g->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warn("partition %d cannot be %s: %s", (int)partition, paused ? "paused" : "resumed",
                 rd_kafka_err2str(err));
    return err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

void kafka_group_read_again(struct kafka_group *g, int32_t partition) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, g->settings.topic, partition)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_error_t *error = rd_kafka_seek_partitions(g->rk, list, SEEK_TIMEOUT_MS);
    rd_kafka_topic_partition_list_destroy(list);
    if (error == NULL)
        return;
    /* After a time-out librdkafka goes on with it. */
    if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__TIMED_OUT)
        log_warn("partition %d cannot be read from its start: %s", (int)partition,
                 rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
}

/* As of the last fetch. False: there was none, or the partition is not read. */
static bool group_watermarks(const struct kafka_group *g, int32_t partition, int64_t *low,
                             int64_t *high) {
    return rd_kafka_get_watermark_offsets(g->rk, g->settings.topic, partition, low, high) ==
           RD_KAFKA_RESP_ERR_NO_ERROR;
}

int64_t kafka_group_low(const struct kafka_group *g, int32_t partition) {
    int64_t low, high;
    return group_watermarks(g, partition, &low, &high) ? low : -1;
}

int64_t kafka_group_end(const struct kafka_group *g, int32_t partition) {
    int64_t low, high;
    return group_watermarks(g, partition, &low, &high) && high >= 0 ? high : -1;
}

int64_t kafka_group_unread(const struct kafka_group *g, const struct kafka_tracker *t) {
    int64_t low, high;
    if (!group_watermarks(g, t->partition, &low, &high) || high < 0)
        return 0;
    int64_t next = t->offsets.next >= 0 ? t->offsets.next : t->offsets.committed;
    if (next < low)
        next = low;
    return next >= 0 && high > next ? high - next : 0;
}

int64_t kafka_group_deleted(const struct kafka_group *g) {
    return kafka_trim_deleted(g->trim);
}

struct kafka_commits *kafka_group_commits(const struct kafka_group *g) {
    return g->commits;
}

/* --- life ------------------------------------------------------------------------------------- */

static void group_on_fatal(struct kafka_owner *owner) {
    ((struct kafka_group *)(void *)owner)->broken = true;
}

rd_kafka_conf_t *kafka_group_conf(const struct kafka_options *kafka, const char *group) {
    rd_kafka_conf_t *conf = kafka_conf(kafka);
    kafka_set(conf, "group.id", group);
    kafka_set(conf, "enable.auto.commit", "false");
    kafka_set(conf, "enable.auto.offset.store", "false");
    kafka_set(conf, "auto.offset.reset", "earliest");
    /* Eager: the cooperative assignor of librdkafka has known faults until 2.10. */
    kafka_set(conf, "partition.assignment.strategy", "range,roundrobin");
    /* How long the partitions of a killed member wait for another one. */
    kafka_set_default(conf, kafka, "session.timeout.ms", "10000");
    fetch_queue_shorten_rest(conf);
    rd_kafka_conf_set_rebalance_cb(conf, group_on_rebalance);
    return conf;
}

struct kafka_group *kafka_group_open(struct loop *loop, const struct kafka_options *kafka,
                                     rd_kafka_conf_t *conf,
                                     const struct kafka_group_settings *settings, char *error,
                                     size_t error_size) {
    struct kafka_group *g = mem_zero(sizeof *g);
    g->owner.fatal = group_on_fatal;
    g->loop = loop;
    g->settings = *settings;
    g->rk = kafka_open(RD_KAFKA_CONSUMER, conf, kafka, &g->owner, error, error_size);
    if (g->rk == NULL) {
        free(g);
        return NULL;
    }
    rd_kafka_poll_set_consumer(g->rk);
    g->queue = rd_kafka_queue_get_consumer(g->rk);
    g->wakeup = kafka_wakeup_open(loop, g->queue, group_on_records, g);
    g->commits = kafka_commits_open(loop, g->rk, settings->topic, settings->events.committed,
                                    settings->events.arg);
    bool trims = settings->trims && settings->keep_done_ms != KAFKA_TRIM_NEVER;
    if (trims && g->commits != NULL)
        g->trim = kafka_trim_open(loop, g->rk, settings->topic, g->commits, settings->keep_done_ms);
    if (g->wakeup == NULL || g->commits == NULL || (trims && g->trim == NULL)) {
        snprintf(error, error_size, "no eventfd");
        kafka_group_close(g);
        return NULL;
    }
    group_on_poll_timer(g);
    return g;
}

bool kafka_group_join(struct kafka_group *g, char *error, size_t error_size) {
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, g->settings.topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(g->rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        snprintf(error, error_size, "the group cannot be joined: %s", rd_kafka_err2str(err));
    g->joined = err == RD_KAFKA_RESP_ERR_NO_ERROR;
    return g->joined;
}

void kafka_group_stop(struct kafka_group *g) {
    g->stopped = true;
}

/*
 * Not rd_kafka_consumer_close(): it waits for a commit under way for as long as the broker is
 * silent.
 */
static void group_leave(struct kafka_group *g) {
    rd_kafka_queue_t *queue = rd_kafka_queue_new(g->rk);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(g->rk, queue);
    for (int waited_ms = 0;
         error == NULL && !rd_kafka_consumer_closed(g->rk) && waited_ms < LEAVE_TIMEOUT_MS;
         waited_ms += LEAVE_POLL_MS) {
        /* group_on_rebalance() is called from within this poll. */
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, LEAVE_POLL_MS);
        if (event != NULL && rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
            rd_kafka_assign(g->rk, NULL);
        if (event != NULL)
            rd_kafka_event_destroy(event);
    }
    if (error != NULL)
        rd_kafka_error_destroy(error);
    rd_kafka_queue_destroy(queue);
}

void kafka_group_close(struct kafka_group *g) {
    if (g == NULL)
        return;
    g->stopped = g->closing = true;
    loop_timer_cancel(g->loop, &g->poll_timer);
    loop_timer_cancel(g->loop, &g->revoke_timer);
    kafka_trim_close(g->trim);
    g->trim = NULL;
    if (g->joined)
        group_leave(g);
    kafka_wakeup_close(g->wakeup);
    kafka_commits_close(g->commits);
    rd_kafka_queue_destroy(g->queue);
    if (kafka_close(&g->owner, g->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE))
        free(g);
}

/* --- health ----------------------------------------------------------------------------------- */

bool kafka_group_up(const struct kafka_group *g) {
    return g->owner.health.up;
}

bool kafka_group_broken(const struct kafka_group *g) {
    return g->broken;
}

int64_t kafka_group_lag(const struct kafka_group *g) {
    return g->owner.health.lag;
}

void kafka_group_describe_down(const struct kafka_group *g, struct buffer *why) {
    kafka_describe_down(&g->owner, why);
}
