#include "redriver/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/group.h"
#include "common/kafka/handle.h"
#include "common/kafka/wakeup.h"

enum {
    POLL_EVERY_MS = 500, /* well within max.poll.interval.ms, and the paused queue needs no more */
    LEAVE_TIMEOUT_MS = 3000
};

struct member {
    struct kafka_owner owner; /* first: the handle's opaque */
    struct loop *loop;
    struct member_events events;
    const char *topic;
    rd_kafka_t *rk;
    rd_kafka_queue_t *control, *commits;
    struct kafka_wakeup *control_wakeup, *commits_wakeup;
    struct loop_timer poll;
    int32_t *partitions; /* owned */
    size_t count;
    bool joined, assigned, fatal, closing;
    bool revoking;                  /* the group waits for member_release() */
    member_committed_fn *committed; /* NULL: no commit is under way */
    void *committed_arg;
};

/* --- rebalances ------------------------------------------------------------------------------- */

static void keep(struct member *m, const rd_kafka_topic_partition_list_t *list) {
    m->count = 0;
    m->partitions = mem_resize(m->partitions, (size_t)list->cnt + 1, sizeof *m->partitions);
    for (int i = 0; i < list->cnt; i++)
        if (strcmp(list->elems[i].topic, m->topic) == 0)
            m->partitions[m->count++] = list->elems[i].partition;
    m->assigned = true;
}

static void take(struct member *m, rd_kafka_topic_partition_list_t *list) {
    rd_kafka_resp_err_t err = rd_kafka_assign(m->rk, list);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && list->cnt > 0)
        err = rd_kafka_pause_partitions(m->rk, list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_error("group: cannot take partitions: %s", rd_kafka_err2str(err));
    keep(m, list);
    log_info("group: assigned partitions=%zu", m->count);
    m->events.assigned(m->events.arg, m->partitions, m->count);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *list, void *opaque) {
    struct member *m = opaque;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !m->closing) {
        take(m, list);
        return;
    }
    if (err != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && err != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        log_warn("group: %s", rd_kafka_err2str(err));
    if (m->closing || !m->assigned) {
        rd_kafka_assign(rk, NULL);
        return;
    }
    bool lost = rd_kafka_assignment_lost(rk) != 0;
    log_info("group: %s partitions=%zu", lost ? "lost" : "revoked", m->count);
    m->assigned = false;
    m->count = 0;
    m->revoking = true;
    m->events.revoked(m->events.arg, lost);
}

void member_release(struct member *m) {
    if (m->revoking)
        rd_kafka_assign(m->rk, NULL);
    m->revoking = false;
}

/* --- commits ---------------------------------------------------------------------------------- */

static void on_commits(void *arg) {
    struct member *m = arg;
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(m->commits, 0)) != NULL) {
        rd_kafka_resp_err_t err = rd_kafka_event_error(event);
        const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
        for (int i = 0; list != NULL && i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
            err = list->elems[i].err;
        rd_kafka_event_destroy(event);
        member_committed_fn *fn = m->committed;
        m->committed = NULL;
        if (fn != NULL && !m->closing)
            fn(m->committed_arg, err);
    }
}

bool member_commit(struct member *m, const struct member_offset *offsets, size_t count,
                   member_committed_fn *fn, void *arg) {
    if (m->committed != NULL)
        return false;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_topic_partition_t *p =
            rd_kafka_topic_partition_list_add(list, m->topic, offsets[i].partition);
        p->offset = offsets[i].offset;
        if (offsets[i].metadata != NULL && *offsets[i].metadata != '\0') {
            p->metadata = mem_string(offsets[i].metadata);
            p->metadata_size = strlen(offsets[i].metadata);
        }
    }
    rd_kafka_resp_err_t err = rd_kafka_commit_queue(m->rk, list, m->commits, NULL, NULL);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        log_warn("commit: %s", rd_kafka_err2str(err));
        return false;
    }
    m->committed = fn;
    m->committed_arg = arg;
    return true;
}

/* --- the handle ------------------------------------------------------------------------------- */

static void on_control(void *arg) {
    struct member *m = arg;
    rd_kafka_message_t *message;
    /* Nothing but what slipped in between the assignment and the pause: the reader reads it. */
    while ((message = rd_kafka_consumer_poll(m->rk, 0)) != NULL)
        rd_kafka_message_destroy(message);
}

/* A member that is not heard of here for max.poll.interval.ms is expelled. */
static void poll_again(void *arg) {
    struct member *m = arg;
    on_control(m);
    loop_timer_set(m->loop, &m->poll, POLL_EVERY_MS, poll_again, m);
}

static void on_fatal(struct kafka_owner *owner) {
    ((struct member *)(void *)owner)->fatal = true;
}

static rd_kafka_conf_t *configure(const struct options_common *common) {
    rd_kafka_conf_t *conf = kafka_group_conf(common, common->names.groups[GROUP_REDRIVER]);
    kafka_set_default(conf, common, "heartbeat.interval.ms", "1000");
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    return conf;
}

struct member *member_open(struct loop *loop, const struct options_common *common,
                           const struct member_events *events, char *error, size_t error_size) {
    struct member *m = mem_zero(sizeof *m);
    m->loop = loop;
    m->events = *events;
    m->topic = common->names.topics[TOPIC_DEADLETTER];
    m->owner.fatal = on_fatal;
    m->rk = kafka_open(RD_KAFKA_CONSUMER, configure(common), common, &m->owner, error, error_size);
    if (m->rk != NULL) {
        rd_kafka_poll_set_consumer(m->rk);
        m->control = rd_kafka_queue_get_consumer(m->rk);
        m->commits = rd_kafka_queue_new(m->rk);
        m->control_wakeup = kafka_wakeup_open(loop, m->control, on_control, m);
        m->commits_wakeup = kafka_wakeup_open(loop, m->commits, on_commits, m);
    }
    if (m->control_wakeup == NULL || m->commits_wakeup == NULL) {
        member_close(m);
        return NULL;
    }
    loop_timer_set(loop, &m->poll, POLL_EVERY_MS, poll_again, m);
    return m;
}

void member_close(struct member *m) {
    if (m == NULL)
        return;
    m->closing = true;
    loop_timer_cancel(m->loop, &m->poll);
    if (m->joined)
        kafka_group_leave(m->rk);
    kafka_wakeup_close(m->control_wakeup);
    kafka_wakeup_close(m->commits_wakeup);
    if (m->control != NULL)
        rd_kafka_queue_destroy(m->control);
    if (m->commits != NULL)
        rd_kafka_queue_destroy(m->commits);
    if (m->rk != NULL)
        kafka_close(&m->owner, m->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(m->partitions);
    free(m);
}

bool member_join(struct member *m, char *error, size_t error_size) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, m->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(m->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        snprintf(error, error_size, "cannot subscribe to %s: %s", m->topic, rd_kafka_err2str(err));
    m->joined = err == RD_KAFKA_RESP_ERR_NO_ERROR;
    return m->joined;
}

bool member_assigned(const struct member *m) {
    return m->assigned;
}

size_t member_partitions(const struct member *m) {
    return m->count;
}

bool member_fatal(const struct member *m) {
    return m->fatal;
}
