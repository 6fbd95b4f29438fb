/*
 * What the brokers know of one topic now. Each call blocks until they have answered, for
 * `timeout_ms` at most.
 */
#ifndef COMMON_KAFKA_TOPIC_QUERY_H
#define COMMON_KAFKA_TOPIC_QUERY_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/must_check.h"

/*
 * How many partitions it has; 0: it does not exist; -1: no broker answered in time. What the handle
 * itself knows of the topic is new from then on, too: one that has seen a topic missing would look
 * again a second later only.
 */
MUST_CHECK int32_t topic_count_partitions(rd_kafka_t *rk, rd_kafka_topic_t *topic, int timeout_ms);
/*
 * Adds to `list`, empty, the first `partitions` of the topic in their order, each with the offset
 * of its end. False: not all are known.
 */
MUST_CHECK bool topic_list_ends(rd_kafka_t *rk, const char *name, int32_t partitions,
                                rd_kafka_topic_partition_list_t *list, int timeout_ms);

#endif
