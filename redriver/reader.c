#include "redriver/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/handle.h"
#include "common/kafka/wakeup.h"

enum {
    SERVE_EVERY_MS = 500,
    ANSWER_TIMEOUT_MS = 1500,
    /* What ListOffsets calls the newest and the oldest offset. */
    NEWEST = -1,
    OLDEST = -2
};

struct reader {
    struct kafka_owner owner; /* first: the handle's opaque */
    struct loop *loop;
    rd_kafka_t *rk;
    rd_kafka_queue_t *records;
    struct kafka_wakeup *wakeup;
    struct loop_timer serve_timer;
};

/* Only wakes the loop: the pass reads in the next iteration. */
static void reader_on_records(void *arg) {
    (void)arg;
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

struct reader *reader_open(struct loop *loop, const struct kafka_options *kafka, char *error,
                           size_t error_size) {
    struct reader *r = mem_zero(sizeof *r);
    r->loop = loop;
    rd_kafka_conf_t *conf = kafka_conf(kafka);
    /* What is fetched and not read yet takes as much memory. */
    kafka_set_default(conf, kafka, "queued.max.messages.kbytes", "16384");
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
    }
    if (r->wakeup == NULL) {
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

static rd_kafka_topic_partition_list_t *
reader_list(const char *topic, const struct reader_place *places, size_t count, int64_t offset) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, places[i].partition)->offset = offset;
    return list;
}

static bool reader_is_answered(const rd_kafka_topic_partition_list_t *list, rd_kafka_resp_err_t err,
                               const char *what, char *error, size_t error_size) {
    int32_t partition = -1;
    for (int i = 0; i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        if ((err = list->elems[i].err) != RD_KAFKA_RESP_ERR_NO_ERROR)
            partition = list->elems[i].partition;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    if (partition >= 0)
        snprintf(error, error_size, "%s of partition %d: %s", what, partition,
                 rd_kafka_err2str(err));
    else
        snprintf(error, error_size, "%s: %s", what, rd_kafka_err2str(err));
    return false;
}

static struct reader_place *reader_find(struct reader_place *places, size_t count,
                                        int32_t partition) {
    for (size_t i = 0; i < count; i++)
        if (places[i].partition == partition)
            return &places[i];
    return NULL;
}

/*
 * One request a broker for all partitions. rd_kafka_query_watermark_offsets() would send two for
 * each partition, of the same kind (ListOffsets).
 */
static bool reader_ask_offsets(struct reader *r, const char *topic, struct reader_place *places,
                               size_t count, int64_t which, char *error, size_t error_size) {
    rd_kafka_topic_partition_list_t *list = reader_list(topic, places, count, which);
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(r->rk, list, ANSWER_TIMEOUT_MS);
    bool ok = reader_is_answered(list, err, "offsets", error, error_size);
    for (int i = 0; ok && i < list->cnt; i++) {
        struct reader_place *place = reader_find(places, count, list->elems[i].partition);
        if (list->elems[i].offset < 0) {
            snprintf(error, error_size, "offsets of partition %d: none known",
                     list->elems[i].partition);
            ok = false;
        } else if (which == NEWEST) {
            place->end = list->elems[i].offset;
        } else {
            place->low = list->elems[i].offset;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

static bool reader_ask_committed(struct reader *r, const char *topic, struct reader_place *places,
                                 size_t count, char *error, size_t error_size) {
    rd_kafka_topic_partition_list_t *list =
        reader_list(topic, places, count, RD_KAFKA_OFFSET_INVALID);
    rd_kafka_resp_err_t err = rd_kafka_committed(r->rk, list, ANSWER_TIMEOUT_MS);
    bool ok = reader_is_answered(list, err, "committed offsets", error, error_size);
    for (int i = 0; ok && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *answer = &list->elems[i];
        struct reader_place *place = reader_find(places, count, answer->partition);
        place->committed = answer->offset >= 0 ? answer->offset : -1;
        free(place->metadata);
        place->metadata =
            answer->metadata_size > 0 ? mem_bytes(answer->metadata, answer->metadata_size) : NULL;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

bool reader_locate(struct reader *r, const char *topic, struct reader_place *places, size_t count,
                   bool committed, char *error, size_t error_size) {
    if (count == 0)
        return true;
    for (size_t i = 0; i < count; i++)
        places[i].committed = -1;
    /* The ends last: all that was there when the pass was asked for is within. */
    if (committed && !reader_ask_committed(r, topic, places, count, error, error_size))
        return false;
    if (!reader_ask_offsets(r, topic, places, count, OLDEST, error, error_size) ||
        !reader_ask_offsets(r, topic, places, count, NEWEST, error, error_size))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct reader_place *p = &places[i];
        if (p->committed >= 0 && p->committed < p->low)
            log_warn("retention took records that were not moved partition=%d offsets=%lld..%lld",
                     p->partition, (long long)p->committed, (long long)p->low);
        p->from = p->committed > p->low ? p->committed : p->low;
    }
    return true;
}

struct reader_place *reader_places(const int32_t *partitions, size_t count) {
    struct reader_place *places = mem_zero((count + 1) * sizeof *places);
    for (size_t i = 0; i < count; i++)
        places[i].partition = partitions[i];
    return places;
}

void reader_places_free(struct reader_place *places, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(places[i].metadata);
    free(places);
}

/* --- reading ---------------------------------------------------------------------------------- */

void reader_start(struct reader *r, const char *topic, const struct reader_place *places,
                  size_t count) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        if (places[i].from < places[i].end)
            rd_kafka_topic_partition_list_add(list, topic, places[i].partition)->offset =
                places[i].from;
    rd_kafka_resp_err_t err = rd_kafka_assign(r->rk, list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_error("cannot read %s: %s", topic, rd_kafka_err2str(err));
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
