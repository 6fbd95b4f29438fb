/*
 * Notices that a partition is another one than the one whose offsets are tracked: its topic was
 * deleted and created again, or records were lost with a leader.
 *
 * Every 10 s, after the process was stopped for a while, and when it is asked to, it reads the
 * witness of each tracked partition again (common/kafka/witness.h), over a handle of its own and
 * in the background. A witness that is still there is replaced by a record that was received before
 * it was asked for, so that it stays young; commits carry it. Until a change is noticed, commits of
 * the old offsets carry the old witness, and so whoever reads them notices the change, too.
 *
 * All from the loop's thread.
 */
#ifndef COMMON_KAFKA_INCARNATION_H
#define COMMON_KAFKA_INCARNATION_H

#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/commits.h"
#include "common/kafka/options.h"

struct incarnation;

struct incarnation_events {
    /*
     * What is tracked of the partition is of another one: forget it all, kafka_tracker_restart(),
     * and read from the partition's start. From the loop.
     */
    void (*changed)(void *arg, int32_t partition);
    /* The same partition: its committed offset may be trusted. May be NULL. */
    void (*same)(void *arg, int32_t partition);
    void *arg;
};

/*
 * `topic`, `kafka` and `commits` must outlive it. NULL on failure, with the reason in `error`.
 */
struct incarnation *incarnation_open(struct loop *loop, const struct kafka_options *kafka,
                                     const char *topic, struct kafka_commits *commits,
                                     const struct incarnation_events *events, char *error,
                                     size_t error_size);
/* Looks at all partitions in the next iteration: they were assigned, or there is doubt. */
void incarnation_look_soon(struct incarnation *i);
void incarnation_close(struct incarnation *i); /* NULL is fine */

#endif
