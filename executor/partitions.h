/*
 * The partitions of the query topic that this executor owns: the consumer group at the edge.
 *
 * A partition that is taken away is not let go at once: the group waits (bounded) while what is
 * under way for it is finished and committed, and what still runs in Athena is left to the next
 * owner. Finished offsets are committed with the metadata of common/kafka/offsets.h.
 *
 * All from the loop's thread.
 */
#ifndef EXECUTOR_PARTITIONS_H
#define EXECUTOR_PARTITIONS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/loop.h"
#include "common/kafka/options.h"
#include "executor/partition.h"

struct partitions;

struct partitions_events {
    /* A record to be worked on; `message` becomes the callee's. */
    void (*record)(void *arg, struct partition *p, rd_kafka_message_t *message);
    /* It will be taken away (`revoking` is set): drop all jobs that have nothing under way. */
    void (*revoking)(void *arg, struct partition *p);
    /* It is no longer ours, or begins anew at another offset: forget every job that is left. */
    void (*gone)(void *arg, struct partition *p);
    void *arg;
};

struct partitions_limits {
    size_t jobs_waiting;  /* a partition with so many waiting is paused, … */
    size_t bytes_waiting; /* … or so many bytes */
    int64_t revoke_ms;    /* the longest that a rebalance waits for us */
};

struct partitions *partitions_open(struct loop *loop, const struct options_common *common,
                                   const struct partitions_limits *limits,
                                   const struct partitions_events *events, char *error,
                                   size_t error_size);
/* Joins the group; call once the topic is there. */
bool partitions_join(struct partitions *ps, char *error, size_t error_size);

/* An offset is done with: its query has ended, or its copy is acknowledged elsewhere. */
void partitions_finish(struct partitions *ps, struct partition *p, int64_t offset);
/*
 * The number of waiting or of all jobs of a partition has fallen: at the end of this iteration of
 * the loop partitions are resumed, or let go and freed, never from within this call.
 */
void partitions_settled(struct partitions *ps);

/* For a stop: as if all partitions were taken away. Gone when partitions_count() is 0. */
void partitions_leave(struct partitions *ps);
size_t partitions_count(const struct partitions *ps);
bool partitions_has(const struct partitions *ps, int32_t id); /* and may keep it, for now */
bool partitions_joined(const struct partitions *ps);          /* it has had an assignment */
bool partitions_up(const struct partitions *ps);              /* a broker is reached */
void partitions_describe_down(const struct partitions *ps,
                              struct buffer *why);   /* where it is not */
int64_t partitions_lag(const struct partitions *ps); /* -1: not known */
/* Records that wait in Kafka and were not handed over yet, as far as the last fetch has told. */
int64_t partitions_unread(const struct partitions *ps);
/* When the oldest record that is not finished was written, UTC ms; -1: there is none. */
int64_t partitions_oldest_ms(const struct partitions *ps);
/* Commits what is finished, leaves the group, frees. */
void partitions_close(struct partitions *ps);

#endif
