#include "common/kafka/refetch.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/topic_consumer.h"

enum {
    RECORDS_AN_ITERATION = 200
};

struct kafka_refetch {
    struct topic_consumer *consumer; /* its topic: from the first run on, when it is there */
    struct kafka_refetch_events events;
    bool runs;
    int32_t partition;
    int64_t next, to; /* what is left of the run */
};

void kafka_refetch_stop(struct kafka_refetch *f) {
    if (!f->runs)
        return;
    f->runs = false;
    if (rd_kafka_consume_stop(f->consumer->topic, f->partition) != 0)
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
           (message = rd_kafka_consume_queue(f->consumer->records, 0)) != NULL) {
        refetch_take(f, message);
        taken++;
    }
    if (taken == RECORDS_AN_ITERATION)
        kafka_wakeup_again(f->consumer->records_wakeup);
}

bool kafka_refetch_start(struct kafka_refetch *f, int32_t partition, int64_t from, int64_t to) {
    if (!topic_consumer_start(f->consumer, partition, from)) {
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
    rd_kafka_conf_t *conf = topic_consumer_conf(kafka);
    /* Few records are wanted at a time, and what is fetched beyond them is thrown away. */
    kafka_set(conf, "queued.max.messages.kbytes", "1024");
    kafka_set(conf, "fetch.message.max.bytes", "131072");
    return conf;
}

struct kafka_refetch *kafka_refetch_open(struct loop *loop, const struct kafka_options *kafka,
                                         const char *topic,
                                         const struct kafka_refetch_events *events, char *error,
                                         size_t error_size) {
    struct kafka_refetch *f = mem_zero(sizeof *f);
    f->events = *events;
    f->consumer = topic_consumer_open(loop, kafka, refetch_conf(kafka), topic, refetch_on_records,
                                      f, error, error_size);
    if (f->consumer == NULL) {
        free(f);
        return NULL;
    }
    return f;
}

void kafka_refetch_close(struct kafka_refetch *f) {
    if (f == NULL)
        return;
    kafka_refetch_stop(f);
    topic_consumer_close(f->consumer);
    free(f);
}
