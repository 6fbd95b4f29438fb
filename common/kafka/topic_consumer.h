/*
 * A consumer of partitions of one topic without a group: whoever has it says which partitions are
 * read, and from where; their records come on one queue. All functions are called from the loop's
 * thread.
 */
#ifndef COMMON_KAFKA_TOPIC_CONSUMER_H
#define COMMON_KAFKA_TOPIC_CONSUMER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/base/must_check.h"
#include "common/kafka/handle.h"
#include "common/kafka/wakeup.h"

/* Read by its owner, set here. */
struct topic_consumer {
    struct kafka_owner owner; /* first: the handle's opaque */
    const char *name;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;      /* NULL before topic_consumer_topic() */
    rd_kafka_queue_t *main_queue; /* statistics, errors: served here */
    rd_kafka_queue_t *records;    /* of all partitions */
    struct kafka_wakeup *main_wakeup, *records_wakeup;
};

/* kafka_conf(), for a consumer to which the end of each partition is reported. */
rd_kafka_conf_t *topic_consumer_conf(const struct kafka_options *kafka);
/*
 * Takes `conf`; `kafka` and `name` are borrowed and outlive it. `on_records` is called when records
 * have come. NULL on failure, with the reason in `error`.
 */
MUST_CHECK struct topic_consumer *topic_consumer_open(struct loop *loop,
                                                      const struct kafka_options *kafka,
                                                      rd_kafka_conf_t *conf, const char *name,
                                                      loop_fn *on_records, void *arg, char *error,
                                                      size_t error_size);
/* Its topic, borrowed; NULL: rd_kafka_last_error(). */
MUST_CHECK rd_kafka_topic_t *topic_consumer_topic(struct topic_consumer *c);
/* Reads the partition from this offset on. False: rd_kafka_last_error(). */
MUST_CHECK bool topic_consumer_start(struct topic_consumer *c, int32_t partition, int64_t offset);
/* Blocks as kafka_close() does. All partitions have been stopped. NULL is fine. */
void topic_consumer_close(struct topic_consumer *c);

#endif
