#include "common/status_reader.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/kafka.h"
#include "common/log.h"
#include "common/memory.h"

enum {
    RECORDS_A_TURN = 1000,
    METADATA_TIMEOUT_MS = 500
};

struct status_reader {
    struct kafka_owner owner; /* first: the handle's opaque */
    struct loop *loop;
    struct status_view *view;
    loop_fn *changed;
    void *arg;
    status_covered_fn *covered;
    void *covered_arg;
    rd_kafka_t *rk;
    rd_kafka_queue_t *main_queue; /* statistics, errors */
    rd_kafka_queue_t *records;    /* of all partitions */
    struct kafka_wakeup *main_wakeup, *records_wakeup;
    rd_kafka_topic_t *topic;
    int32_t partitions; /* being read */
    bool *at_end;       /* by partition: its end was seen once */
    int32_t behind;     /* partitions whose end was not yet seen */
};

static void take_tombstone(struct status_reader *r, const rd_kafka_message_t *message) {
    char user_id[QUERY_ID_MAX + 1], query_id[QUERY_ID_MAX + 1];
    if (status_key_read(message->key, message->key_len, user_id, query_id))
        status_view_forget(r->view, user_id, query_id);
}

static void take_record(struct status_reader *r, const rd_kafka_message_t *message) {
    struct status s;
    if (message->payload == NULL) {
        take_tombstone(r, message);
        return;
    }
    if (!status_read(message->payload, message->len, &s)) {
        log_debug("not a status: partition=%d offset=%lld", (int)message->partition,
                  (long long)message->offset);
        return;
    }
    bool applied = status_view_apply(r->view, &s);
    if (!applied && r->covered != NULL && status_reader_caught_up(r))
        r->covered(r->covered_arg, &s);
    status_free(&s);
}

static void take_end(struct status_reader *r, int32_t partition) {
    if (partition < 0 || partition >= r->partitions || r->at_end[partition])
        return;
    r->at_end[partition] = true;
    if (--r->behind == 0)
        log_info("status view has caught up entries=%zu", status_view_count(r->view));
}

static void take(struct status_reader *r, const rd_kafka_message_t *message) {
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        take_record(r, message);
        break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        take_end(r, message->partition);
        break;
    default: /* librdkafka goes on by itself */
        log_warn("status topic: %s", rd_kafka_message_errstr(message));
    }
}

static void on_records(void *arg) {
    struct status_reader *r = arg;
    int32_t behind = r->behind;
    int taken = 0;
    rd_kafka_message_t *message;
    while (taken < RECORDS_A_TURN && (message = rd_kafka_consume_queue(r->records, 0)) != NULL) {
        take(r, message);
        rd_kafka_message_destroy(message);
        taken++;
    }
    if (taken == RECORDS_A_TURN || rd_kafka_queue_length(r->records) > 0)
        kafka_wakeup_again(r->records_wakeup);
    if (r->changed != NULL && (taken > 0 || behind != r->behind))
        r->changed(r->arg);
}

static void on_main(void *arg) {
    struct status_reader *r = arg;
    rd_kafka_poll(r->rk, 0);
}

struct status_reader *status_reader_open(struct loop *loop, const struct options_common *common,
                                         struct status_view *view, loop_fn *changed, void *arg,
                                         char *error, size_t error_size) {
    struct status_reader *r = mem_zero(sizeof *r);
    r->loop = loop;
    r->view = view;
    r->changed = changed;
    r->arg = arg;
    rd_kafka_conf_t *conf = kafka_conf(common);
    kafka_set(conf, "enable.partition.eof", "true");
    kafka_set(conf, "auto.offset.reset", "earliest");
    /* A view is small; what waits to be taken into it must be as well (this is a partition). */
    kafka_set(conf, "queued.max.messages.kbytes", "1024");
    /* The end of an empty partition is only told when this has passed, and all wait for it. */
    kafka_set_default(conf, common, "fetch.wait.max.ms", "100");
    r->rk = kafka_open(RD_KAFKA_CONSUMER, conf, common, &r->owner, error, error_size);
    if (r->rk == NULL) {
        free(r);
        return NULL;
    }
    r->main_queue = rd_kafka_queue_get_main(r->rk);
    r->records = rd_kafka_queue_new(r->rk);
    r->main_wakeup = kafka_wakeup_open(loop, r->main_queue, on_main, r);
    r->records_wakeup = kafka_wakeup_open(loop, r->records, on_records, r);
    r->topic = rd_kafka_topic_new(r->rk, common->status_topic, NULL);
    if (r->main_wakeup == NULL || r->records_wakeup == NULL || r->topic == NULL) {
        snprintf(error, error_size, "the reader of %s cannot be set up", common->status_topic);
        status_reader_close(r);
        return NULL;
    }
    return r;
}

void status_reader_watch(struct status_reader *r, status_covered_fn *covered, void *arg) {
    r->covered = covered;
    r->covered_arg = arg;
}

/*
 * Where this handle looked before the topic was made, it would look again a second later. Waits for
 * a broker that has just answered; without its answer it goes on all the same.
 */
static void learn_of_topic(struct status_reader *r) {
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(r->rk, 0, r->topic, &metadata, METADATA_TIMEOUT_MS) ==
        RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
}

bool status_reader_start(struct status_reader *r, int32_t partitions) {
    learn_of_topic(r);
    r->at_end = mem_zero((size_t)partitions * sizeof *r->at_end);
    r->behind = partitions;
    for (; r->partitions < partitions; r->partitions++)
        if (rd_kafka_consume_start_queue(r->topic, r->partitions, RD_KAFKA_OFFSET_BEGINNING,
                                         r->records) != 0) {
            log_error("status topic: partition %d cannot be read: %s", (int)r->partitions,
                      rd_kafka_err2str(rd_kafka_last_error()));
            return false;
        }
    return true;
}

bool status_reader_caught_up(const struct status_reader *r) {
    return r->partitions > 0 && r->behind == 0;
}

bool status_reader_up(const struct status_reader *r) {
    return r->owner.health.up;
}

void status_reader_close(struct status_reader *r) {
    if (r == NULL)
        return;
    for (int32_t p = 0; p < r->partitions; p++)
        rd_kafka_consume_stop(r->topic, p);
    kafka_wakeup_close(r->records_wakeup);
    kafka_wakeup_close(r->main_wakeup);
    rd_kafka_queue_destroy(r->records);
    rd_kafka_queue_destroy(r->main_queue);
    if (r->topic != NULL)
        rd_kafka_topic_destroy(r->topic);
    kafka_close(&r->owner, r->rk, 0);
    free(r->at_end);
    free(r);
}
