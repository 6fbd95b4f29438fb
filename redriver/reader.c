#include "redriver/reader.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/handle.h"
#include "common/kafka/wakeup.h"

enum {
    SERVE_EVERY_MS = 500
};

struct reader {
    struct kafka_owner owner; /* first: the handle's opaque */
    struct loop *loop;
    const char *topic;
    rd_kafka_t *rk;
    rd_kafka_queue_t *records;
    struct kafka_positions *positions;
    kafka_positions_fn *located;
    void *located_arg;
    struct kafka_wakeup *wakeup;
    struct loop_timer serve_timer;
};

/* Only wakes the loop: the pass reads in the next iteration. */
static void reader_on_records(void *arg) {
    (void)arg;
}

static void reader_on_positions(void *arg, struct kafka_position *positions, size_t count) {
    struct reader *r = arg;
    if (r->located != NULL)
        r->located(r->located_arg, positions, count);
}

/*
 * Statistics, logs and errors come on a queue of their own: they must not wait behind records that
 * nobody takes yet.
 */
static void reader_serve(void *arg) {
    struct reader *r = arg;
    rd_kafka_poll(r->rk, 0);
    loop_timer_set(r->loop, &r->serve_timer, SERVE_EVERY_MS, reader_serve, r);
}

struct reader *reader_open(struct loop *loop, const struct kafka_options *kafka, const char *topic,
                           char *error, size_t error_size) {
    struct reader *r = mem_zero(sizeof *r);
    r->loop = loop;
    r->topic = topic;
    rd_kafka_conf_t *conf = kafka_conf(kafka);
    /*
     * What is fetched and not read yet takes as much memory. librdkafka before 2.2 fetches nothing
     * for a whole second once it is full: it must last as long.
     */
    kafka_set_default(conf, kafka, "queued.max.messages.kbytes", "65536");
    if (kafka_property(&kafka->properties, "fetch.queue.backoff.ms") == NULL)
        (void)kafka_set_where_known(conf, "fetch.queue.backoff.ms", "10");
    /* How long the broker may take to report the end of a partition that is empty. */
    kafka_set_default(conf, kafka, "fetch.wait.max.ms", "100");
    kafka_set(conf, "group.id", kafka->names.groups[GROUP_REDRIVER]);
    kafka_set(conf, "enable.auto.commit", "false");
    kafka_set(conf, "enable.auto.offset.store", "false");
    kafka_set(conf, "auto.offset.reset", "earliest");
    kafka_set(conf, "enable.partition.eof", "true");
    r->rk = kafka_open(RD_KAFKA_CONSUMER, conf, kafka, &r->owner, error, error_size);
    if (r->rk != NULL) {
        r->records = rd_kafka_queue_get_consumer(r->rk);
        r->wakeup = kafka_wakeup_open(loop, r->records, reader_on_records, r);
        r->positions = kafka_positions_open(loop, r->rk, topic, reader_on_positions, r);
    }
    if (r->wakeup == NULL || r->positions == NULL) {
        reader_close(r);
        return NULL;
    }
    reader_serve(r);
    return r;
}

void reader_close(struct reader *r) {
    if (r == NULL)
        return;
    loop_timer_cancel(r->loop, &r->serve_timer);
    kafka_positions_close(r->positions);
    kafka_wakeup_close(r->wakeup);
    if (r->records != NULL)
        rd_kafka_queue_destroy(r->records);
    if (r->rk == NULL || kafka_close(&r->owner, r->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE))
        free(r);
}

bool reader_up(const struct reader *r) {
    return r->owner.health.up;
}

/* --- where a pass begins and ends ------------------------------------------------------------- */

void reader_on_located(struct reader *r, kafka_positions_fn *fn, void *arg) {
    r->located = fn;
    r->located_arg = arg;
}

bool reader_locate(struct reader *r, const int32_t *partitions, size_t count, bool committed) {
    const struct kafka_positions_question question = {
        .partitions = partitions, .count = count, .committed = committed, .since_ms = -1};
    return kafka_positions_ask(r->positions, &question);
}

void reader_forget(struct reader *r) {
    kafka_positions_forget(r->positions);
}

rd_kafka_t *reader_handle(const struct reader *r) {
    return r->rk;
}

/* --- reading ---------------------------------------------------------------------------------- */

void reader_start(struct reader *r, const struct place *places, size_t count) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count + 1);
    for (size_t i = 0; i < count; i++)
        if (places[i].error[0] == '\0' && places[i].from < places[i].end)
            rd_kafka_topic_partition_list_add(list, r->topic, places[i].partition)->offset =
                places[i].from;
    rd_kafka_resp_err_t err = rd_kafka_assign(r->rk, list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_error("cannot read %s: %s", r->topic, rd_kafka_err2str(err));
    rd_kafka_topic_partition_list_destroy(list);
}

rd_kafka_message_t *reader_next(struct reader *r) {
    rd_kafka_message_t *m;
    while ((m = rd_kafka_consumer_poll(r->rk, 0)) != NULL) {
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR || m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            return m;
        /* librdkafka goes on by itself, from where it was. */
        log_warn("reading partition=%d: %s", m->partition, rd_kafka_message_errstr(m));
        rd_kafka_message_destroy(m);
    }
    return NULL;
}

void reader_stop(struct reader *r) {
    rd_kafka_assign(r->rk, NULL);
}
