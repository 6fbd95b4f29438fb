#include "common/kafka/commits.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/wakeup.h"

enum {
    COMMIT_EVERY_MS = 200,
    COMMIT_AGAIN_MS = 1000 /* after one that failed */
};

TAILQ_HEAD(kafka_tracker_list, kafka_tracker);

struct kafka_commits {
    struct loop *loop;
    rd_kafka_t *rk;
    const char *topic;
    kafka_commits_fn *answered;
    void *arg;
    rd_kafka_queue_t *queue; /* of the answers */
    struct kafka_wakeup *wakeup;
    struct kafka_tracker_list tracked;
    size_t tracked_count;
    size_t under_way;
    bool allowed;
    bool failing; /* the last one did */
    bool due;     /* as soon as the one under way is answered */
    enum {
        METADATA_WHOLE,
        METADATA_WITNESS, /* nothing beside it: the broker refused the whole */
        METADATA_NONE
    } metadata;
    struct loop_timer timer;
};

void kafka_tracker_init(struct kafka_tracker *t, int64_t committed, const char *metadata) {
    t->candidate = (struct witness){0};
    offsets_init(&t->offsets, committed >= 0 ? committed : -1, witness_read(metadata, &t->witness));
}

void kafka_tracker_restart(struct kafka_tracker *t) {
    offsets_free(&t->offsets);
    kafka_tracker_init(t, -1, NULL);
}

/* One record between two looks at the witness is hashed, not every one. */
void kafka_tracker_saw(struct kafka_tracker *t, const rd_kafka_message_t *message) {
    if (t->candidate.known)
        return;
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    t->candidate = witness_of(message->offset, timestamp_ms, message->payload, message->len);
    if (!t->witness.known)
        t->witness = t->candidate;
}

/* One partition's position, with the metadata that names what is finished beyond it. */
static void commits_add_position(const struct kafka_commits *c, const struct kafka_tracker *t,
                                 rd_kafka_topic_partition_list_t *list) {
    rd_kafka_topic_partition_t *tp =
        rd_kafka_topic_partition_list_add(list, c->topic, t->partition);
    char metadata[OFFSETS_METADATA_MAX + 1];
    metadata[0] = '\0';
    if (c->metadata != METADATA_NONE)
        witness_write(&t->witness, metadata);
    size_t len = strlen(metadata);
    if (c->metadata == METADATA_WHOLE)
        offsets_metadata(&t->offsets, metadata + len, sizeof metadata - len);
    tp->offset = offsets_position(&t->offsets);
    if (metadata[0] != '\0') {
        tp->metadata = mem_string(metadata); /* librdkafka frees it */
        tp->metadata_size = strlen(metadata);
    }
}

/* The positions of all dirty partitions; NULL where there is none. They are no longer dirty. */
static rd_kafka_topic_partition_list_t *commits_take_positions(struct kafka_commits *c) {
    rd_kafka_topic_partition_list_t *list = NULL;
    struct kafka_tracker *t = NULL; /* cppcheck does not know that the loop sets it */
    TAILQ_FOREACH(t, &c->tracked, link) {
        if (t->dirty && offsets_position(&t->offsets) >= 0) {
            if (list == NULL)
                list = rd_kafka_topic_partition_list_new((int)c->tracked_count);
            commits_add_position(c, t, list);
        }
        t->dirty = false;
    }
    return list;
}

static void commits_on_timer(void *arg);

static void commits_set_dirty(struct kafka_commits *c, struct kafka_tracker *t,
                              int64_t commit_in_ms) {
    t->dirty = true;
    if (c->timer.place == 0)
        loop_timer_set(c->loop, &c->timer, commit_in_ms, commits_on_timer, c);
}

static bool commits_is_in(const rd_kafka_topic_partition_list_t *list, const char *topic,
                          int32_t partition) {
    return list == NULL || rd_kafka_topic_partition_list_find(
                               (rd_kafka_topic_partition_list_t *)list, topic, partition) != NULL;
}

/*
 * The partitions of a commit that failed, NULL: all. They are committed again, as they are by then:
 * a commit of the old positions would go back.
 */
static void commits_repeat(struct kafka_commits *c, const rd_kafka_topic_partition_list_t *list) {
    struct kafka_tracker *t;
    TAILQ_FOREACH(t, &c->tracked, link)
    if (commits_is_in(list, c->topic, t->partition))
        commits_set_dirty(c, t, COMMIT_AGAIN_MS);
}

/* One line when commits begin to fail, one when they are taken again. */
static void commits_note_fault(struct kafka_commits *c, rd_kafka_resp_err_t fault) {
    bool fails = fault != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (fails)
        log_write(c->failing ? LOG_DEBUG : LOG_WARN, "offsets not committed: %s",
                  rd_kafka_err2str(fault));
    else if (c->failing)
        log_info("offsets are committed again");
    c->failing = fails;
}

void kafka_commits_now(struct kafka_commits *c) {
    c->due = false;
    rd_kafka_topic_partition_list_t *list = c->allowed ? commits_take_positions(c) : NULL;
    if (list == NULL)
        return;
    rd_kafka_resp_err_t err = rd_kafka_commit_queue(c->rk, list, c->queue, NULL, NULL);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        c->under_way++;
    } else {
        commits_note_fault(c, err);
        commits_repeat(c, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

bool kafka_commits_flush(struct kafka_commits *c) {
    if (c->under_way == 0)
        kafka_commits_now(c);
    else
        c->due = true;
    return c->under_way > 0;
}

static void commits_on_timer(void *arg) {
    kafka_commits_flush(arg);
}

/* One partition's fault is in its own element, the whole commit's in `err`. */
static rd_kafka_resp_err_t commits_fault(rd_kafka_resp_err_t err,
                                         const rd_kafka_topic_partition_list_t *list) {
    if (err == RD_KAFKA_RESP_ERR__NO_OFFSET)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; list != NULL && i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        err = list->elems[i].err;
    return err;
}

static void commits_take_answer(struct kafka_commits *c, rd_kafka_resp_err_t err,
                                const rd_kafka_topic_partition_list_t *list) {
    rd_kafka_resp_err_t fault = commits_fault(err, list);
    c->under_way--;
    if (fault != RD_KAFKA_RESP_ERR_NO_ERROR) {
        commits_repeat(c, list);
    }
    commits_note_fault(c, fault);
    /* Its offset.metadata.max.bytes is smaller: more is repeated. */
    if (fault == RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE && c->metadata != METADATA_NONE)
        c->metadata++;
    if (c->due && c->under_way == 0)
        kafka_commits_now(c);
    if (c->answered != NULL)
        c->answered(c->arg, fault);
}

static void commits_on_answers(void *arg) {
    struct kafka_commits *c = arg;
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(c->queue, 0)) != NULL) {
        commits_take_answer(c, rd_kafka_event_error(event),
                            rd_kafka_event_topic_partition_list(event));
        rd_kafka_event_destroy(event);
    }
}

void kafka_commits_track(struct kafka_commits *c, struct kafka_tracker *t) {
    t->dirty = false;
    TAILQ_INSERT_TAIL(&c->tracked, t, link);
    c->tracked_count++;
}

struct kafka_tracker *kafka_commits_first(const struct kafka_commits *c) {
    return TAILQ_FIRST(&c->tracked);
}

struct kafka_tracker *kafka_commits_find(const struct kafka_commits *c, int32_t partition) {
    struct kafka_tracker *t;
    TAILQ_FOREACH(t, &c->tracked, link)
    if (t->partition == partition)
        return t;
    return NULL;
}

void kafka_commits_untrack(struct kafka_commits *c, struct kafka_tracker *t) {
    TAILQ_REMOVE(&c->tracked, t, link);
    c->tracked_count--;
}

void kafka_commits_moved(struct kafka_commits *c, struct kafka_tracker *t) {
    commits_set_dirty(c, t, COMMIT_EVERY_MS);
}

void kafka_commits_finish(struct kafka_commits *c, struct kafka_tracker *t, int64_t offset) {
    if (offsets_finish(&t->offsets, offset))
        kafka_commits_moved(c, t);
}

bool kafka_commits_under_way(const struct kafka_commits *c) {
    return c->under_way > 0;
}

bool kafka_commits_done(const struct kafka_commits *c) {
    const struct kafka_tracker *t;
    TAILQ_FOREACH(t, &c->tracked, link)
    if (t->dirty)
        return false;
    return c->under_way == 0;
}

struct kafka_commits *kafka_commits_open(struct loop *loop, rd_kafka_t *rk, const char *topic,
                                         kafka_commits_fn *answered, void *arg) {
    struct kafka_commits *c = mem_zero(sizeof *c);
    *c = (struct kafka_commits){
        .loop = loop, .rk = rk, .topic = topic, .answered = answered, .arg = arg};
    TAILQ_INIT(&c->tracked);
    c->queue = rd_kafka_queue_new(rk);
    c->wakeup = kafka_wakeup_open(loop, c->queue, commits_on_answers, c);
    if (c->wakeup == NULL) {
        kafka_commits_close(c);
        return NULL;
    }
    return c;
}

void kafka_commits_close(struct kafka_commits *c) {
    if (c == NULL)
        return;
    loop_timer_cancel(c->loop, &c->timer);
    kafka_wakeup_close(c->wakeup);
    rd_kafka_queue_destroy(c->queue);
    free(c);
}

void kafka_commits_allow(struct kafka_commits *c, bool allowed) {
    c->allowed = allowed;
}
