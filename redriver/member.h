/*
 * Which partitions the next pass goes over: those that the redriver's consumer group assigns to
 * this member, or all of the topic for a redriver that only copies and is in no group.
 *
 * A member of the group reads no records: its partitions stay paused, and the reader
 * (redriver/reader.h) reads them. A rebalance waits, bounded, until the pass under way has ended.
 */
#ifndef REDRIVER_MEMBER_H
#define REDRIVER_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/commits.h"
#include "common/kafka/options.h"

struct member;

struct member_events {
    /* member_partitions() has changed; none perhaps. */
    void (*assigned)(void *arg);
    /*
     * There are none any more. The group waits for member_release(), from within this call or some
     * seconds later. `lost`: they may be another member's already, nothing can be committed.
     */
    void (*revoked)(void *arg, bool lost);
    /*
     * A commit was refused because the topic is not there any more: what this member has read is
     * of a topic that was deleted, and must not be committed to the one that is made in its place.
     */
    void (*gone)(void *arg);
    /* member_release() was not called in time: the partitions are let go when this returns. */
    void (*overdue)(void *arg);
    void *arg;
};

/*
 * `in_group` false: it joins no group. `events` is copied, `kafka` must outlive it. NULL on
 * failure, with the reason in `error`.
 */
struct member *member_open(struct loop *loop, const struct kafka_options *kafka, bool in_group,
                           const struct member_events *events, char *error, size_t error_size);
/* Leaves the group, waiting 3 s at most. No event comes any more. NULL is fine. */
void member_close(struct member *m);

/*
 * Joins the group, or takes all `partitions` of the topic where there is none. False, with the
 * reason in `error`, where librdkafka refuses.
 */
bool member_join(struct member *m, int32_t partitions, char *error, size_t error_size);
void member_release(struct member *m);
bool member_assigned(const struct member *m);
/* Ascending or not; valid until the next event. */
const int32_t *member_partitions(const struct member *m, size_t *count);
struct kafka_commits *member_commits(const struct member *m); /* NULL: nothing is committed */
/* By how many offsets the topic was shortened (common/kafka/trim.h). */
int64_t member_deleted(const struct member *m);
bool member_broken(const struct member *m); /* the handle will never work again */

#endif
