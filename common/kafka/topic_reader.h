/*
 * Reads all of a small topic from its start, outside any group, for as long as the program lives.
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
    /* After some of them, and when the end of all partitions was reached for the first time. */
    void (*batch)(void *arg);
    void *arg;
};

/* `topic` must outlive it. NULL: see `error`. */
struct topic_reader *topic_reader_open(struct loop *loop, const struct options_common *common,
                                       const char *topic, const struct topic_reader_events *events,
                                       char *error, size_t error_size);
/* Begins, once the topic is known to have `partitions`. */
bool topic_reader_start(struct topic_reader *r, int32_t partitions);
/* True once every partition was read to where it ended at some moment since the start. */
bool topic_reader_caught_up(const struct topic_reader *r);
void topic_reader_close(struct topic_reader *r);

#endif
