#include "common/kafka/fetch_queue.h"

#include <stdio.h>

#include "common/kafka/handle.h"
#include "common/kafka/topic_query.h"

enum {
    /*
     * What is fetched ahead, over all partitions: they share one queue, and librdkafka holds these
     * bounds against its length. A record takes about 300 bytes there beside its own.
     */
    QUEUED_RECORDS = 50000,
    QUEUED_KIB = 32768,
    VERSION_WITH_BACKOFF = 0x02020000 /* fetch.queue.backoff.ms */
};

bool fetch_queue_rests(void) {
    return rd_kafka_version() < VERSION_WITH_BACKOFF;
}

void fetch_queue_shorten_rest(rd_kafka_conf_t *conf) {
    (void)kafka_set_where_known(conf, "fetch.queue.backoff.ms", "5");
}

void fetch_queue_bound(rd_kafka_conf_t *conf) {
    char number[16];
    snprintf(number, sizeof number, "%d", QUEUED_RECORDS);
    kafka_set(conf, "queued.min.messages", number);
    snprintf(number, sizeof number, "%d", QUEUED_KIB);
    kafka_set(conf, "queued.max.messages.kbytes", number);
    fetch_queue_shorten_rest(conf);
}

void fetch_queue_taken(struct fetch_queue *q, rd_kafka_t *rk, rd_kafka_queue_t *records,
                       const char *topic, int32_t partitions, size_t taken, size_t bytes) {
    if (!fetch_queue_rests())
        return;
    size_t queued = rd_kafka_queue_length(records), queued_bytes = queued * (bytes / taken);
    if (queued >= QUEUED_RECORDS || queued_bytes >= QUEUED_KIB * (size_t)1024 / 4 * 3) {
        q->was_full = true;
    } else if (q->was_full && queued < QUEUED_RECORDS / 2 &&
               queued_bytes < QUEUED_KIB * (size_t)1024 / 2) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
        q->was_full = !topic_list_ends(rk, topic, partitions, list, FETCH_QUEUE_WAKE_TIMEOUT_MS);
        rd_kafka_topic_partition_list_destroy(list);
    }
}
