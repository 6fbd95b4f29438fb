#include "common/kafka/topic_reader.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/handle.h"
#include "common/kafka/wakeup.h"

enum {
    RECORDS_A_TURN = 1000,
    METADATA_TIMEOUT_MS = 500,
    ENDS_TIMEOUT_MS = 1000,
    ENDS_AGAIN_LEAST_MS = 250,
    ENDS_AGAIN_MOST_MS = 5000,
};

/* One partition of the topic. */
struct reader_partition {
    bool at_end;  /* its end was seen once */
    int64_t next; /* the offset behind what was read; 0: nothing was */
    int64_t end;  /* that the barrier asks for; 0: none */
};

struct topic_reader {
    struct kafka_owner owner; /* first: the handle's opaque */
    struct loop *loop;
    const char *name;
    struct topic_reader_events events;
    rd_kafka_t *rk;
    rd_kafka_queue_t *main_queue; /* statistics, errors */
    rd_kafka_queue_t *records;    /* of all partitions */
    struct kafka_wakeup *main_wakeup, *records_wakeup;
    rd_kafka_topic_t *topic;
    int32_t partitions; /* being read */
    struct reader_partition *each;
    int32_t behind;               /* partitions that were not yet read to their ends */
    bool renewing;                /* the ends of a barrier are not known yet */
    struct loop_timer ends_timer; /* asks for them */
    int64_t ends_again_ms;
};

static bool is_behind(const struct reader_partition *p) {
    return !p->at_end || p->next < p->end;
}

/* All of it before `next` was read. */
static void topic_reader_advance(struct topic_reader *r, int32_t partition, int64_t next,
                                 bool at_end) {
    if (partition < 0 || partition >= r->partitions)
        return;
    struct reader_partition *p = &r->each[partition];
    bool was_behind = is_behind(p);
    p->next = next;
    p->at_end |= at_end;
    r->behind -= was_behind && !is_behind(p);
}

static void topic_reader_take(struct topic_reader *r, const rd_kafka_message_t *message) {
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        r->events.record(r->events.arg, message);
        topic_reader_advance(r, message->partition, message->offset + 1, false);
        break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        topic_reader_advance(r, message->partition, message->offset, true);
        break;
    default: /* librdkafka goes on by itself */
        log_warn("topic %s: %s", r->name, rd_kafka_message_errstr(message));
    }
}

static void topic_reader_on_records(void *arg) {
    struct topic_reader *r = arg;
    bool had_caught_up = topic_reader_caught_up(r);
    int taken = 0;
    rd_kafka_message_t *message;
    while (taken < RECORDS_A_TURN && (message = rd_kafka_consume_queue(r->records, 0)) != NULL) {
        topic_reader_take(r, message);
        rd_kafka_message_destroy(message);
        taken++;
    }
    if (taken == RECORDS_A_TURN || rd_kafka_queue_length(r->records) > 0)
        kafka_wakeup_again(r->records_wakeup);
    if (taken > 0 || had_caught_up != topic_reader_caught_up(r))
        r->events.batch(r->events.arg);
}

static void topic_reader_on_main(void *arg) {
    struct topic_reader *r = arg;
    rd_kafka_poll(r->rk, 0);
}

struct topic_reader *topic_reader_open(struct loop *loop, const struct kafka_options *kafka,
                                       const char *topic, const struct topic_reader_events *events,
                                       char *error, size_t error_size) {
    struct topic_reader *r = mem_zero(sizeof *r);
    r->loop = loop;
    r->name = topic;
    r->events = *events;
    rd_kafka_conf_t *conf = kafka_conf(kafka);
    kafka_set(conf, "enable.partition.eof", "true");
    kafka_set(conf, "auto.offset.reset", "earliest");
    /* For each partition: what is fetched and waits here takes memory beside the view. */
    kafka_set(conf, "queued.max.messages.kbytes", "1024");
    /* The broker reports the end of an empty partition only after this, and the start waits. */
    kafka_set_default(conf, kafka, "fetch.wait.max.ms", "100");
    r->rk = kafka_open(RD_KAFKA_CONSUMER, conf, kafka, &r->owner, error, error_size);
    if (r->rk == NULL) {
        free(r);
        return NULL;
    }
    r->main_queue = rd_kafka_queue_get_main(r->rk);
    r->records = rd_kafka_queue_new(r->rk);
    r->main_wakeup = kafka_wakeup_open(loop, r->main_queue, topic_reader_on_main, r);
    r->records_wakeup = kafka_wakeup_open(loop, r->records, topic_reader_on_records, r);
    r->topic = rd_kafka_topic_new(r->rk, topic, NULL);
    if (r->main_wakeup == NULL || r->records_wakeup == NULL || r->topic == NULL) {
        snprintf(error, error_size, "the reader of %s cannot be set up", topic);
        topic_reader_close(r);
        return NULL;
    }
    return r;
}

/*
 * A handle that asked for the topic before it was created would ask again a second later only. This
 * blocks for METADATA_TIMEOUT_MS at most; without an answer the reader starts all the same.
 */
static void topic_reader_refresh_metadata(struct topic_reader *r) {
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(r->rk, 0, r->topic, &metadata, METADATA_TIMEOUT_MS) ==
        RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
}

bool topic_reader_start(struct topic_reader *r, int32_t partitions) {
    topic_reader_refresh_metadata(r);
    r->each = mem_zero((size_t)partitions * sizeof *r->each);
    r->behind = partitions;
    for (; r->partitions < partitions; r->partitions++)
        if (rd_kafka_consume_start_queue(r->topic, r->partitions, RD_KAFKA_OFFSET_BEGINNING,
                                         r->records) != 0) {
            log_error("topic %s: partition %d cannot be read: %s", r->name, (int)r->partitions,
                      rd_kafka_err2str(rd_kafka_last_error()));
            return false;
        }
    return true;
}

/* --- barriers --------------------------------------------------------------------------------- */

static bool ask_ends(struct topic_reader *r, rd_kafka_topic_partition_list_t *list) {
    for (int32_t p = 0; p < r->partitions; p++)
        rd_kafka_topic_partition_list_add(list, r->name, p)->offset = RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(r->rk, list, ENDS_TIMEOUT_MS);
    for (int i = 0; i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        err = list->elems[i].offset >= 0 ? list->elems[i].err : RD_KAFKA_RESP_ERR__NO_OFFSET;
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && r->ends_again_ms == 0)
        log_warn("topic %s: its ends are not known yet: %s", r->name, rd_kafka_err2str(err));
    return err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void take_ends(struct topic_reader *r, const rd_kafka_topic_partition_list_t *list) {
    for (int i = 0; i < list->cnt; i++) {
        struct reader_partition *p = &r->each[list->elems[i].partition];
        bool was_behind = is_behind(p);
        p->end = list->elems[i].offset;
        r->behind += !was_behind && is_behind(p);
    }
    r->renewing = false;
    if (topic_reader_caught_up(r))
        r->events.batch(r->events.arg);
}

static void topic_reader_on_ends_timer(void *arg) {
    struct topic_reader *r = arg;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(r->partitions);
    if (ask_ends(r, list)) {
        if (r->ends_again_ms > 0)
            log_info("topic %s: its ends are known again", r->name);
        take_ends(r, list);
    } else {
        r->ends_again_ms =
            backoff_next_ms(r->ends_again_ms, ENDS_AGAIN_LEAST_MS, ENDS_AGAIN_MOST_MS);
        loop_timer_set(r->loop, &r->ends_timer, r->ends_again_ms, topic_reader_on_ends_timer, r);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

void topic_reader_renew(struct topic_reader *r) {
    if (r->partitions == 0) /* all that it reads is read later */
        return;
    r->renewing = true;
    r->ends_again_ms = 0;
    loop_timer_set(r->loop, &r->ends_timer, 0, topic_reader_on_ends_timer, r);
}

bool topic_reader_caught_up(const struct topic_reader *r) {
    return r->partitions > 0 && r->behind == 0 && !r->renewing;
}

/* --- the end ---------------------------------------------------------------------------------- */

void topic_reader_close(struct topic_reader *r) {
    if (r == NULL)
        return;
    loop_timer_cancel(r->loop, &r->ends_timer);
    for (int32_t p = 0; p < r->partitions; p++)
        rd_kafka_consume_stop(r->topic, p);
    kafka_wakeup_close(r->records_wakeup);
    kafka_wakeup_close(r->main_wakeup);
    rd_kafka_queue_destroy(r->records);
    rd_kafka_queue_destroy(r->main_queue);
    if (r->topic != NULL)
        rd_kafka_topic_destroy(r->topic);
    free(r->each);
    if (kafka_close(&r->owner, r->rk, 0))
        free(r);
}
