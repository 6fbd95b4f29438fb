/*
 * The partitions of the query topic that this executor owns, as a member of common/kafka/group.h.
 *
 * Partitions that are revoked are not let go at once: the group waits (bounded) until calls and
 * acknowledgements under way have come to their end and the finished offsets are committed. Queries
 * that run in Athena are left to the next owner, which asks with the same token.
 *
 * All from the loop's thread. No call of this header frees a partition but partitions_close(): the
 * loop does, in a rebalance or at the end of an iteration.
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
    /* Partitions are assigned: from now on their records come. */
    void (*taken)(void *arg);
    /* A record to be processed; `message` becomes the callee's. */
    void (*record)(void *arg, struct partition *p, rd_kafka_message_t *message);
    /* No more records of it can be kept; `was_full`: it was so before, and has room again only
     * where this is false. */
    bool (*is_full)(void *arg, const struct partition *p, bool was_full);
    /* It is revoked (`revoking` is set): drop all jobs that have nothing under way. */
    void (*revoking)(void *arg, struct partition *p);
    /* It is let go, or begins again at another offset: forget every job that is left. */
    void (*gone)(void *arg, struct partition *p);
    /*
     * Whether the next owner must wait for something that belongs to no job here any more. While it
     * is so, what was revoked is not let go; call partitions_settled() when it may have changed.
     */
    bool (*unsettled)(void *arg);
    void *arg;
};

struct partitions_limits {
    size_t jobs_waiting;  /* a partition with so many held is paused, … */
    size_t bytes_waiting; /* … or so many bytes */
    int64_t revoke_ms;    /* the longest that a rebalance waits for this member */
};

struct partitions *partitions_open(struct loop *loop, const struct kafka_options *kafka,
                                   const struct partitions_limits *limits,
                                   const struct partitions_events *events, char *error,
                                   size_t error_size);
/*
 * Watches whether the partitions are still those whose offsets are tracked, over a client of its
 * own (common/kafka/incarnation.h). False, with the reason in `error`, where that cannot be opened.
 */
bool partitions_watch(struct partitions *ps, char *error, size_t error_size);
/*
 * The partition is another one than before: its jobs are forgotten, and all its records are
 * received.
 */
void partitions_restart(struct partitions *ps, int32_t id);

/* Joins the group; call once the topic is there. */
bool partitions_join(struct partitions *ps, char *error, size_t error_size);

/* The record at `offset` is finished: its final state or its copy is acknowledged elsewhere. */
void partitions_finish(struct partitions *ps, struct partition *p, int64_t offset);
/*
 * The number of waiting or of all jobs of a partition has fallen: at the end of this iteration of
 * the loop partitions are resumed, or let go and freed, never from within this call.
 */
void partitions_settled(struct partitions *ps);

/*
 * For a stop: as if all partitions were revoked, without the bound of `revoke_ms`. They are let go
 * when partitions_count() is 0. Nothing is assigned any more.
 */
void partitions_leave(struct partitions *ps);
size_t partitions_count(const struct partitions *ps);
bool partitions_has(const struct partitions *ps, int32_t id); /* it is owned and not revoked */
/*
 * Whether all is received that was in the partitions when they were assigned, as far as there is
 * room for it. Counts as received in any case after 10 s, or where nothing has come for 2 s.
 */
bool partitions_caught_up(struct partitions *ps);
bool partitions_joined(const struct partitions *ps); /* there was an assignment, and no stop yet */
bool partitions_up(const struct partitions *ps);     /* a broker is reached */
/* For /readyz, where no broker is reached: appends one line with the reason. */
void partitions_describe_down(const struct partitions *ps, struct buffer *why);
int64_t partitions_lag(const struct partitions *ps); /* records; -1: not known */
/* Records that wait in Kafka and were not received yet, as far as the last fetch has shown. */
int64_t partitions_unread(const struct partitions *ps);
/* Records that retention took before they were received, by offsets, since it was opened. */
int64_t partitions_lost(const struct partitions *ps);
/* When the oldest record that is not finished was written, UTC ms; -1: there is none. */
int64_t partitions_oldest_ms(const struct partitions *ps);
/* Commits what is finished, leaves the group, frees. Blocks for 3 s at most. NULL is fine. */
void partitions_close(struct partitions *ps);

#endif
