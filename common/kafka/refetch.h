/*
 * Fetches records of one topic once more, by their offsets, beside the consumer group that received
 * them: a run of offsets of one partition at a time, so its memory does not grow with the
 * partitions. It commits nothing.
 *
 * All from the loop's thread; the callbacks come from the loop.
 */
#ifndef COMMON_KAFKA_REFETCH_H
#define COMMON_KAFKA_REFETCH_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/options.h"

struct kafka_refetch;

struct kafka_refetch_events {
    /* A record of the run, in order of offset; `message` becomes the callee's. */
    void (*record)(void *arg, rd_kafka_message_t *message);
    /*
     * The run is over, and another may be started from within. `last`: the partition was read up to
     * the last offset of the run; else it ends before that.
     */
    void (*ended)(void *arg, bool last);
    void *arg;
};

/* `topic` and `kafka` must outlive it. NULL on failure, with the reason in `error`. */
struct kafka_refetch *kafka_refetch_open(struct loop *loop, const struct kafka_options *kafka,
                                         const char *topic,
                                         const struct kafka_refetch_events *events, char *error,
                                         size_t error_size);
/*
 * Begins a run over the offsets `from` to `to`, both included. Only where none is under way. False,
 * logged, where the partition cannot be read: no event comes then.
 */
bool kafka_refetch_start(struct kafka_refetch *f, int32_t partition, int64_t from, int64_t to);
/* Ends the run under way, if there is one, without an event. */
void kafka_refetch_stop(struct kafka_refetch *f);
void kafka_refetch_close(struct kafka_refetch *f); /* NULL is fine */

#endif
