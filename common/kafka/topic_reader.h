/*
 * Reads a whole topic from its start, outside any group, and follows it for as long as the program
 * lives. Meant for topics that are compacted or small.
 */
#ifndef COMMON_KAFKA_TOPIC_READER_H
#define COMMON_KAFKA_TOPIC_READER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/options.h"

struct topic_reader;

struct topic_reader_events {
    /* Each record, in order within its partition; a NULL payload is a tombstone. */
    void (*record)(void *arg, const rd_kafka_message_t *message);
    /* After each batch of records, and when all partitions have been read to their ends. */
    void (*batch)(void *arg);
    void *arg;
};

/* `topic` and `kafka` must outlive it. NULL on failure, with the reason in `error`. */
struct topic_reader *topic_reader_open(struct loop *loop, const struct kafka_options *kafka,
                                       const char *topic, const struct topic_reader_events *events,
                                       char *error, size_t error_size);
/*
 * Before the start: in a topic that holds over twice as many, these last `records` of all
 * partitions are read first, and then all from the beginning, these once more. Who keeps the newest
 * of a long past then knows early what it need not keep.
 */
void topic_reader_read_recent_first(struct topic_reader *r, int64_t records);
/* Starts to read; `partitions`: how many the topic has. False, logged, where one cannot be read. */
bool topic_reader_start(struct topic_reader *r, int32_t partitions);
/*
 * A barrier: from now on topic_reader_caught_up() is false until every partition was read to an end
 * that it had after this call. So what was acknowledged to its writer before this call is read.
 *
 * The brokers are asked for the ends (ListOffsets) from the loop, in one call that blocks for 1 s
 * at most, and again after a pause until they answer.
 */
void topic_reader_renew(struct topic_reader *r);
/* True once every partition was read to an end that it had after the start, or the last barrier. */
bool topic_reader_caught_up(const struct topic_reader *r);
void topic_reader_close(struct topic_reader *r);

#endif
