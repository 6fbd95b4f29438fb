/*
 * The redriver in its consumer group: which partitions are ours, and what is committed.
 *
 * It reads no records: its partitions stay paused, and the reader (redriver/reader.h) reads them.
 * Eager assignors only: a rebalance takes all partitions away and gives others back.
 */
#ifndef REDRIVER_MEMBER_H
#define REDRIVER_MEMBER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/options.h"

struct member;

struct member_events {
    /* These partitions are ours, none perhaps. Valid during the call. */
    void (*assigned)(void *arg, const int32_t *partitions, size_t count);
    /*
     * They will be another's. The group waits for member_release(), which the receiver of this
     * calls once it has committed, now or some seconds later. `lost`: they are another's already,
     * nothing can be committed any more.
     */
    void (*revoked)(void *arg, bool lost);
    void *arg;
};

/* `events` is copied. NULL on failure, with the reason in `error`. */
struct member *member_open(struct loop *loop, const struct options_common *common,
                           const struct member_events *events, char *error, size_t error_size);
/* Leaves the group, waiting some seconds at most; tells of no event any more. */
void member_close(struct member *m);

/* Joins. False, with the reason in `error`, where librdkafka does not take it. */
bool member_join(struct member *m, char *error, size_t error_size);
void member_release(struct member *m);
bool member_assigned(const struct member *m);
size_t member_partitions(const struct member *m);
bool member_fatal(const struct member *m); /* the handle will never work again */

struct member_offset {
    int32_t partition;
    int64_t offset;
    char *metadata; /* borrowed, NUL-terminated */
};
/* `err` NO_ERROR: all of them are committed. Also told when the partitions were lost meanwhile. */
typedef void member_committed_fn(void *arg, rd_kafka_resp_err_t err);

/*
 * Commits. One at a time, because a commit that is overtaken would go back: false while one is
 * under way, and then `fn` is not called. Never calls `fn` from within.
 */
bool member_commit(struct member *m, const struct member_offset *offsets, size_t count,
                   member_committed_fn *fn, void *arg);

#endif
