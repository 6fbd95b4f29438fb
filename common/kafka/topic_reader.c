#include "common/kafka/topic_reader.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/fetch_queue.h"
#include "common/kafka/read_position.h"
#include "common/kafka/topic_consumer.h"
#include "common/kafka/topic_look.h"
#include "common/kafka/topic_query.h"

enum {
    RECORDS_AN_ITERATION = 1000,
    METADATA_TIMEOUT_MS = 500,
    ENDS_TIMEOUT_MS = 1000,
    /*
     * Whether the topic is as it was. In less time than REST_MS no topic is deleted and made anew,
     * so there is a look behind the first records after a rest, too.
     */
    LOOK_EVERY_MS = 5000,
    LOOK_APART_MS = 500,
    REST_MS = 100,
    LOOK_AFTER_REST_MS = 20,
    ENDS_AGAIN_LEAST_MS = 250,
    ENDS_AGAIN_MOST_MS = 5000,
};

struct topic_reader {
    struct topic_consumer *consumer;
    struct loop *loop;
    const char *name;
    struct topic_reader_events events;
    int32_t partitions; /* being read; 0: not started */
    struct read_position *each;
    int32_t behind;               /* partitions that were not yet read to the ends asked for */
    bool renewing;                /* the ends of a barrier are not known yet */
    bool asks_ends, again;        /* the question under way; the ends are wanted anew */
    bool gone;                    /* the topic was deleted; what comes back is another one */
    struct loop_timer ends_timer; /* asks for them */
    int64_t ends_again_ms;
    struct topic_look *look;
    struct loop_timer look_timer;
    bool look_is_soon; /* behind a rest: what was read before it stays marked until then */
    int64_t looked_ms; /* when the last look began, loop_now() */
    int64_t took_ms;   /* when records were taken last, loop_now() */
    int64_t recent;    /* records that are read first, over all partitions; 0: none */
    bool previewing;   /* these are being read */
    struct fetch_queue fetched;
};

static void topic_reader_on_look_timer(void *arg);
static void topic_reader_on_ends_timer(void *arg);
static void topic_reader_on_answer(void *arg, const struct topic_look_answer *answer);

/* --- records ---------------------------------------------------------------------------------- */

/* All of it before `next` was read, see read_position_advance(). */
static void topic_reader_advance(struct topic_reader *r, int32_t partition, int64_t from,
                                 int64_t next) {
    if (partition < 0 || partition >= r->partitions)
        return;
    struct read_position *p = &r->each[partition];
    bool was_behind = read_position_is_behind(p);
    if (!read_position_advance(p, from, next)) {
        log_warn("topic %s: partition %d begins anew at offset %lld", r->name, (int)partition,
                 (long long)from);
        topic_reader_renew(r);
    }
    r->behind -= was_behind && !read_position_is_behind(p);
}

static void topic_reader_note_time(struct topic_reader *r, const rd_kafka_message_t *message) {
    rd_kafka_timestamp_type_t type;
    if (message->partition < r->partitions)
        read_position_note_time(&r->each[message->partition],
                                rd_kafka_message_timestamp(message, &type));
}

/* librdkafka tries again by itself, but at the offset that it had. */
static void topic_reader_on_error(struct topic_reader *r, const rd_kafka_message_t *message) {
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        if (r->gone)
            break;
        log_warn("topic %s: it is gone: %s", r->name, rd_kafka_err2str(message->err));
        r->gone = true;
        topic_reader_renew(r);
        break;
    default:
        log_warn("topic %s: %s", r->name, rd_kafka_message_errstr(message));
    }
}

static void topic_reader_take(struct topic_reader *r, const rd_kafka_message_t *message) {
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        r->events.record(r->events.arg, message);
        topic_reader_note_time(r, message);
        topic_reader_advance(r, message->partition, message->offset, message->offset + 1);
        break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        topic_reader_advance(r, message->partition, message->offset, message->offset);
        break;
    default:
        topic_reader_on_error(r, message);
    }
}

static bool topic_reader_read(struct topic_reader *r, int32_t partition, int64_t offset) {
    bool begun = topic_consumer_start(r->consumer, partition, offset);
    if (!begun)
        log_error("topic %s: partition %d cannot be read: %s", r->name, (int)partition,
                  rd_kafka_err2str(rd_kafka_last_error()));
    return begun;
}

/*
 * What was fetched before is dropped from the queue when this returns. Not by rd_kafka_seek():
 * where that is late, what comes from the old position would count as read from the beginning.
 */
static void topic_reader_begin_again(struct topic_reader *r, int32_t partition) {
    rd_kafka_consume_stop(r->consumer->topic, partition);
    if (topic_reader_read(r, partition, RD_KAFKA_OFFSET_BEGINNING))
        return;
    r->gone = true; /* and so tried again */
    topic_reader_renew(r);
}

/* All that is recent has been read: now all from the beginning. Not while records are taken. */
static void topic_reader_end_preview(struct topic_reader *r) {
    if (!r->previewing || r->behind > 0 || r->renewing)
        return;
    r->previewing = false;
    for (int32_t p = 0; p < r->partitions; p++) {
        int64_t end = r->each[p].end;
        read_position_restart(&r->each[p]);
        r->each[p].end = end;
        r->behind += read_position_is_behind(&r->each[p]);
        topic_reader_begin_again(r, p);
    }
}

/*
 * What was read before the rest is what the topic is recognised by. A mark that is not asked about
 * yet stays: what has come since may be of another topic.
 */
static void topic_reader_after_rest(struct topic_reader *r) {
    int64_t now_ms = loop_now(r->loop), apart_ms = r->looked_ms + LOOK_APART_MS - now_ms;
    bool rested = now_ms - r->took_ms >= REST_MS;
    bool pending = r->look_is_soon || topic_look_busy(r->look);
    r->took_ms = now_ms;
    if (!rested || !topic_reader_caught_up(r))
        return;
    for (int32_t p = 0; p < r->partitions; p++)
        if (!pending || r->each[p].marked_next == 0)
            read_position_mark(&r->each[p]);
    if (r->look_is_soon)
        return;
    r->look_is_soon = true;
    loop_timer_set(r->loop, &r->look_timer,
                   apart_ms > LOOK_AFTER_REST_MS ? apart_ms : LOOK_AFTER_REST_MS,
                   topic_reader_on_look_timer, r);
}

static void topic_reader_on_records(void *arg) {
    struct topic_reader *r = arg;
    if (rd_kafka_queue_length(r->consumer->records) == 0)
        return;
    topic_reader_after_rest(r);
    rd_kafka_message_t *messages[RECORDS_AN_ITERATION];
    size_t bytes = 0;
    ssize_t taken =
        rd_kafka_consume_batch_queue(r->consumer->records, 0, messages, RECORDS_AN_ITERATION);
    for (ssize_t i = 0; i < taken; i++) {
        bytes += messages[i]->len;
        topic_reader_take(r, messages[i]);
        rd_kafka_message_destroy(messages[i]);
    }
    if (taken <= 0)
        return;
    if (rd_kafka_queue_length(r->consumer->records) > 0)
        kafka_wakeup_again(r->consumer->records_wakeup);
    fetch_queue_taken(&r->fetched, r->consumer->rk, r->consumer->records, r->name, r->partitions,
                      (size_t)taken, bytes);
    topic_reader_end_preview(r);
    r->events.batch(r->events.arg);
}

struct topic_reader *topic_reader_open(struct loop *loop, const struct kafka_options *kafka,
                                       const char *topic, const struct topic_reader_events *events,
                                       char *error, size_t error_size) {
    struct topic_reader *r = mem_zero(sizeof *r);
    r->loop = loop;
    r->name = topic;
    r->events = *events;
    rd_kafka_conf_t *conf = topic_consumer_conf(kafka);
    kafka_set(conf, "enable.auto.offset.store", "false");
    fetch_queue_bound(conf);
    r->consumer = topic_consumer_open(loop, kafka, conf, topic, topic_reader_on_records, r, error,
                                      error_size);
    if (r->consumer == NULL) {
        free(r);
        return NULL;
    }
    if (topic_consumer_topic(r->consumer) != NULL)
        r->look = topic_look_open(loop, r->consumer->rk, r->consumer->topic, topic,
                                  topic_reader_on_answer, r);
    if (r->look == NULL) {
        snprintf(error, error_size, "the reader of %s cannot be set up", topic);
        topic_reader_close(r);
        return NULL;
    }
    return r;
}

/* --- the topic's partitions ------------------------------------------------------------------- */

/* `from`: the offset to begin with of each; NULL: the beginning. */
static bool topic_reader_add_partitions(struct topic_reader *r, int32_t count,
                                        const rd_kafka_topic_partition_list_t *from) {
    r->each = mem_resize(r->each, (size_t)count, sizeof *r->each);
    for (; r->partitions < count; r->partitions++) {
        r->each[r->partitions] = (struct read_position){0};
        int64_t offset =
            from != NULL ? from->elems[r->partitions].offset : RD_KAFKA_OFFSET_BEGINNING;
        if (!topic_reader_read(r, r->partitions, offset))
            return false;
    }
    return true;
}

/* A topic that was made anew may have fewer. */
static void topic_reader_drop_partitions(struct topic_reader *r, int32_t count) {
    while (r->partitions > count) {
        r->partitions--;
        rd_kafka_consume_stop(r->consumer->topic, r->partitions);
        r->behind -= read_position_is_behind(&r->each[r->partitions]);
    }
}

/*
 * Whether another topic has taken the name meanwhile. librdkafka 2.0 reports nothing of that, and
 * goes on at the offset that it had. Without an answer: no.
 */
static bool topic_reader_is_another(struct topic_reader *r,
                                    const rd_kafka_topic_partition_list_t *later) {
    bool is_another = false;
    for (int i = 0; later != NULL && i < later->cnt; i++)
        if (later->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            is_another |= read_position_is_another(&r->each[later->elems[i].partition],
                                                   later->elems[i].offset);
    return is_another;
}

static void topic_reader_begin_all_again(struct topic_reader *r) {
    for (int32_t p = 0; p < r->partitions; p++) {
        r->behind -= read_position_is_behind(&r->each[p]);
        read_position_restart(&r->each[p]);
        topic_reader_begin_again(r, p);
    }
}

/* True where the topic is as it was by now, so that its ends are those of what is read. */
static bool topic_reader_take_look(struct topic_reader *r, const struct topic_look_answer *answer) {
    int32_t count = answer->partitions;
    if (count <= 0) {
        r->gone |= count == 0;
        r->renewing |= r->gone;
        return false;
    }
    r->gone |= topic_reader_is_another(r, answer->later);
    if (r->gone)
        log_warn("topic %s: it was made anew, and is read from its beginning", r->name);
    if (count != r->partitions)
        log_info("topic %s: partitions %d instead of %d", r->name, (int)count, (int)r->partitions);
    bool changed = r->gone || count != r->partitions;
    if (count < r->partitions)
        topic_reader_drop_partitions(r, count);
    r->renewing |= changed;
    if (r->gone) {
        r->gone = false;
        topic_reader_begin_all_again(r);
    }
    return topic_reader_add_partitions(r, count, NULL) && !r->gone;
}

/* Partitions cannot be added or dropped while it is under way: only its answer does so. */
static bool topic_reader_ask(struct topic_reader *r, bool ends) {
    rd_kafka_topic_partition_list_t *later = rd_kafka_topic_partition_list_new(r->partitions);
    for (int32_t p = 0; p < r->partitions; p++)
        rd_kafka_topic_partition_list_add(later, r->name, p)->offset =
            read_position_ask(&r->each[p]);
    r->again = r->look_is_soon = false;
    r->asks_ends = ends;
    r->looked_ms = loop_now(r->loop);
    return topic_look_ask(r->look, later, ends);
}

static void topic_reader_on_look_timer(void *arg) {
    struct topic_reader *r = arg;
    bool busy = topic_look_busy(r->look);
    loop_timer_set(r->loop, &r->look_timer, busy ? LOOK_APART_MS : LOOK_EVERY_MS,
                   topic_reader_on_look_timer, r);
    /* While much is read, the brokers' answers wait behind it; without brokers there are none. */
    if (!busy && topic_reader_caught_up(r) && r->consumer->owner.health.up &&
        !topic_reader_ask(r, false))
        log_debug("topic %s: not looked at", r->name);
}

/* Fills `from`, empty, with where the recent records of each partition begin. False: no preview. */
static bool topic_reader_find_recent(struct topic_reader *r, int32_t partitions,
                                     rd_kafka_topic_partition_list_t *from) {
    int64_t total = 0, each = r->recent / partitions;
    if (r->recent == 0 ||
        !topic_list_ends(r->consumer->rk, r->name, partitions, from, ENDS_TIMEOUT_MS))
        return false;
    for (int32_t p = 0; p < partitions; p++) {
        int64_t end = from->elems[p].offset;
        total += end;
        from->elems[p].offset = end > each ? end - each : 0;
    }
    return total > 2 * r->recent; /* else it would cost more than it spares */
}

void topic_reader_read_recent_first(struct topic_reader *r, int64_t records) {
    r->recent = records;
}

bool topic_reader_start(struct topic_reader *r, int32_t partitions) {
    if (topic_count_partitions(r->consumer->rk, r->consumer->topic, METADATA_TIMEOUT_MS) < 0)
        log_debug("topic %s: read before a broker has answered", r->name);
    rd_kafka_topic_partition_list_t *from = rd_kafka_topic_partition_list_new(partitions);
    r->previewing = topic_reader_find_recent(r, partitions, from);
    bool ok = topic_reader_add_partitions(r, partitions, r->previewing ? from : NULL);
    rd_kafka_topic_partition_list_destroy(from);
    if (!ok)
        return false;
    topic_reader_renew(r);
    loop_timer_set(r->loop, &r->look_timer, LOOK_EVERY_MS, topic_reader_on_look_timer, r);
    return true;
}

/* --- barriers --------------------------------------------------------------------------------- */

static void topic_reader_take_ends(struct topic_reader *r,
                                   const rd_kafka_topic_partition_list_t *list) {
    for (int i = 0; i < list->cnt; i++) {
        int32_t partition = list->elems[i].partition;
        struct read_position *p = &r->each[partition];
        int64_t end = list->elems[i].offset;
        r->behind -= read_position_is_behind(p);
        if (!read_position_take_end(p, end)) {
            log_warn("topic %s: partition %d ends at offset %lld, below what was read", r->name,
                     (int)partition, (long long)end);
            topic_reader_begin_again(r, partition);
        }
        r->behind += read_position_is_behind(p);
    }
    r->renewing = r->gone;
    topic_reader_end_preview(r);
    if (topic_reader_caught_up(r))
        r->events.batch(r->events.arg);
}

static void topic_reader_ask_ends_later(struct topic_reader *r) {
    if (r->ends_again_ms == ENDS_AGAIN_LEAST_MS) /* not at once: it may have just been made */
        log_warn("topic %s: its ends are not known yet", r->name);
    r->ends_again_ms = backoff_next_ms(r->ends_again_ms, ENDS_AGAIN_LEAST_MS, ENDS_AGAIN_MOST_MS);
    loop_timer_set(r->loop, &r->ends_timer, r->ends_again_ms, topic_reader_on_ends_timer, r);
}

static void topic_reader_on_ends_timer(void *arg) {
    struct topic_reader *r = arg;
    if (topic_look_busy(r->look))
        r->again = true; /* what it brings may be older than the barrier */
    else if (!topic_reader_ask(r, true))
        topic_reader_ask_ends_later(r);
}

static void topic_reader_on_answer(void *arg, const struct topic_look_answer *answer) {
    struct topic_reader *r = arg;
    bool is_same = topic_reader_take_look(r, answer);
    if (r->again || (r->renewing && !r->asks_ends)) {
        topic_reader_renew(r);
    } else if (r->renewing && is_same && answer->ends != NULL) {
        if (r->ends_again_ms > ENDS_AGAIN_LEAST_MS)
            log_info("topic %s: its ends are known again", r->name);
        topic_reader_take_ends(r, answer->ends);
    } else if (r->renewing) {
        topic_reader_ask_ends_later(r);
    }
}

void topic_reader_renew(struct topic_reader *r) {
    if (r->partitions == 0) /* all that it reads is read later */
        return;
    r->renewing = true;
    r->ends_again_ms = 0;
    loop_timer_set(r->loop, &r->ends_timer, 0, topic_reader_on_ends_timer, r);
}

bool topic_reader_caught_up(const struct topic_reader *r) {
    return r->partitions > 0 && r->behind == 0 && !r->renewing && !r->previewing;
}

/* --- the end ---------------------------------------------------------------------------------- */

void topic_reader_close(struct topic_reader *r) {
    if (r == NULL)
        return;
    loop_timer_cancel(r->loop, &r->ends_timer);
    loop_timer_cancel(r->loop, &r->look_timer);
    topic_look_close(r->look);
    for (int32_t p = 0; p < r->partitions; p++)
        rd_kafka_consume_stop(r->consumer->topic, p);
    topic_consumer_close(r->consumer);
    free(r->each);
    free(r);
}
