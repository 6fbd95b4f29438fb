#include "common/kafka/refetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/handle.h"
#include "common/kafka/wakeup.h"

enum {
    RECORDS_AN_ITERATION = 200
};

struct kafka_refetch {
    struct kafka_owner owner; /* first: the handle's opaque */
    const char *name;
    struct kafka_refetch_events events;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic; /* NULL before the first run, when the topic is there for certain */
    rd_kafka_queue_t *main_queue; /* statistics, errors */
    rd_kafka_queue_t *records;
    struct kafka_wakeup *main_wakeup, *records_wakeup;
    bool runs;
    int32_t partition;
    int64_t next, to; /* what is left of the run */
};

void kafka_refetch_stop(struct kafka_refetch *f) {
    if (!f->runs)
        return;
    f->runs = false;
    if (rd_kafka_consume_stop(f->topic, f->partition) != 0)
        log_warn("partition %d cannot be left: %s", (int)f->partition,
                 rd_kafka_err2str(rd_kafka_last_error()));
}

static void refetch_end(struct kafka_refetch *f, bool last) {
    kafka_refetch_stop(f);
    f->events.ended(f->events.arg, last);
}

/* What was fetched for an earlier run may still come; takes the message. */
static void refetch_take_record(struct kafka_refetch *f, rd_kafka_message_t *message) {
    int64_t offset = message->offset;
    if (!f->runs || message->partition != f->partition || offset < f->next) {
        rd_kafka_message_destroy(message);
        return;
    }
    f->next = offset + 1;
    if (offset <= f->to)
        f->events.record(f->events.arg, message);
    else
        rd_kafka_message_destroy(message);
    if (f->runs && offset >= f->to)
        refetch_end(f, true);
}

static void refetch_take(struct kafka_refetch *f, rd_kafka_message_t *message) {
    bool is_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && f->runs &&
                  message->partition == f->partition && message->offset >= f->next;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        refetch_take_record(f, message);
        return;
    }
    if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        log_warn("records are fetched again: %s", rd_kafka_message_errstr(message));
    rd_kafka_message_destroy(message);
    if (is_end)
        refetch_end(f, false);
}

static void refetch_on_records(void *arg) {
    struct kafka_refetch *f = arg;
    int taken = 0;
    rd_kafka_message_t *message;
    while (taken < RECORDS_AN_ITERATION &&
           (message = rd_kafka_consume_queue(f->records, 0)) != NULL) {
        refetch_take(f, message);
        taken++;
    }
    if (taken == RECORDS_AN_ITERATION)
        kafka_wakeup_again(f->records_wakeup);
}

static void refetch_on_main(void *arg) {
    struct kafka_refetch *f = arg;
    rd_kafka_poll(f->rk, 0);
}

bool kafka_refetch_start(struct kafka_refetch *f, int32_t partition, int64_t from, int64_t to) {
    if (f->topic == NULL)
        f->topic = rd_kafka_topic_new(f->rk, f->name, NULL);
    if (f->topic == NULL ||
        rd_kafka_consume_start_queue(f->topic, partition, from, f->records) != 0) {
        log_warn("partition %d cannot be read: %s", (int)partition,
                 rd_kafka_err2str(rd_kafka_last_error()));
        return false;
    }
    f->runs = true;
    f->partition = partition;
    f->next = from;
    f->to = to;
    return true;
}

static rd_kafka_conf_t *refetch_conf(const struct kafka_options *kafka) {
    rd_kafka_conf_t *conf = kafka_conf(kafka);
    kafka_set(conf, "enable.partition.eof", "true");
    kafka_set(conf, "auto.offset.reset", "earliest");
    /* Few records are wanted at a time, and what is fetched beyond them is thrown away. */
    kafka_set(conf, "queued.max.messages.kbytes", "1024");
    kafka_set(conf, "fetch.message.max.bytes", "131072");
    kafka_set_default(conf, kafka, "fetch.wait.max.ms", "100");
    return conf;
}

struct kafka_refetch *kafka_refetch_open(struct loop *loop, const struct kafka_options *kafka,
                                         const char *topic,
                                         const struct kafka_refetch_events *events, char *error,
                                         size_t error_size) {
    struct kafka_refetch *f = mem_zero(sizeof *f);
    f->name = topic;
    f->events = *events;
    f->rk = kafka_open(RD_KAFKA_CONSUMER, refetch_conf(kafka), kafka, &f->owner, error, error_size);
    if (f->rk == NULL) {
        free(f);
        return NULL;
    }
    f->main_queue = rd_kafka_queue_get_main(f->rk);
    f->records = rd_kafka_queue_new(f->rk);
    f->main_wakeup = kafka_wakeup_open(loop, f->main_queue, refetch_on_main, f);
    f->records_wakeup = kafka_wakeup_open(loop, f->records, refetch_on_records, f);
    if (f->main_wakeup == NULL || f->records_wakeup == NULL) {
        snprintf(error, error_size, "no eventfd");
        kafka_refetch_close(f);
        return NULL;
    }
    return f;
}

void kafka_refetch_close(struct kafka_refetch *f) {
    if (f == NULL)
        return;
    kafka_refetch_stop(f);
    kafka_wakeup_close(f->records_wakeup);
    kafka_wakeup_close(f->main_wakeup);
    rd_kafka_queue_destroy(f->records);
    rd_kafka_queue_destroy(f->main_queue);
    if (f->topic != NULL)
        rd_kafka_topic_destroy(f->topic);
    kafka_close(&f->owner, f->rk, 0);
    free(f);
}
