/*
 * The queue into which one consumer's partitions are fetched ahead: bounded, and fetched into
 * without rests. One thread.
 *
 * librdkafka before 2.2 stops to fetch when the queue is full, and looks at it again only when its
 * broker's thread has anything to do, or after a second: longer than the queue takes to be read. A
 * request to the broker is something to do. The broker's connection is at rest then, so the answer
 * comes at once. Later versions have a property, fetch.queue.backoff.ms.
 */
#ifndef COMMON_KAFKA_FETCH_QUEUE_H
#define COMMON_KAFKA_FETCH_QUEUE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FETCH_QUEUE_WAKE_TIMEOUT_MS = 100, /* for the answer to such a request */
};

struct fetch_queue {
    bool was_full; /* since the last request */
};

bool fetch_queue_rests(void); /* this librdkafka is one that needs requests */
/* Where it is one that has the property. */
void fetch_queue_shorten_rest(rd_kafka_conf_t *conf);
/* Sets the bounds, see fetch_queue.c: all partitions share one queue. Shortens the rest, too. */
void fetch_queue_bound(rd_kafka_conf_t *conf);
/*
 * `taken` records of `bytes` in all were taken from `records`, the queue of the first `partitions`
 * of the topic. Where a request is needed it blocks for a round trip.
 */
void fetch_queue_taken(struct fetch_queue *q, rd_kafka_t *rk, rd_kafka_queue_t *records,
                       const char *topic, int32_t partitions, size_t taken, size_t bytes);

#endif
