/*
 * Where the partitions of a topic begin, where they end, and what the handle's group has committed
 * of them.
 *
 * librdkafka has no call for this that does not wait for the brokers (the asynchronous ListOffsets
 * came in 2.3). So the waiting calls are made on a thread that lives for one question
 * (common/base/side_call.h); the answer comes on the loop's thread.
 *
 * A partition that cannot be asked about (no leader, a leader that is silent, no right) has its own
 * error and does not keep the answers of the others from coming. Each broker is asked once for all
 * of its partitions, and a question takes at most KAFKA_POSITIONS_CALL_MS a call: two calls, and
 * three for each broker that leads a partition.
 *
 * All functions are called from the loop's thread.
 */
#ifndef COMMON_KAFKA_POSITIONS_H
#define COMMON_KAFKA_POSITIONS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/base/must_check.h"

enum {
    KAFKA_POSITIONS_CALL_MS = 1000,
    KAFKA_POSITION_ERROR_MAX = 160,
    KAFKA_POSITION_UNKNOWN = -1
};

struct kafka_position {
    int32_t partition;
    int64_t committed; /* of the handle's group; -1: nothing, or not asked */
    char *metadata;    /* of that commit; NULL: none */
    int64_t low, end;  /* the first offset that is there, and the one behind the last */
    /*
     * The first offset whose record has a timestamp of `since_ms` or later; `end` where there is
     * none. KAFKA_POSITION_UNKNOWN: not asked. No record below it is younger.
     */
    int64_t since;
    char error[KAFKA_POSITION_ERROR_MAX]; /* "": all of the above is known */
};

struct kafka_positions;

/*
 * The answer: one position for each partition that was asked about, in the same order. Valid during
 * the call; it may take `metadata` and set it to NULL. It may ask again from within.
 */
typedef void kafka_positions_fn(void *arg, struct kafka_position *positions, size_t count);

/*
 * `rk` is a consumer's handle; it is borrowed, as is `topic`, and both must outlive it. NULL: no
 * eventfd (errno).
 */
MUST_CHECK struct kafka_positions *kafka_positions_open(struct loop *loop, rd_kafka_t *rk,
                                                        const char *topic, kafka_positions_fn *fn,
                                                        void *arg);
/* Waits for a call under way, KAFKA_POSITIONS_CALL_MS at most. NULL is fine. */
void kafka_positions_close(struct kafka_positions *p);

struct kafka_positions_question {
    const int32_t *partitions; /* copied */
    size_t count;
    bool committed;   /* ask for what the group has committed, too */
    int64_t since_ms; /* UTC since the epoch, for `since`; negative: not asked */
};

/* False: the last question is still under way (try again later), or no thread could be made. */
MUST_CHECK bool kafka_positions_ask(struct kafka_positions *p,
                                    const struct kafka_positions_question *question);
/* The answer to the question under way, if any, is not given. */
void kafka_positions_forget(struct kafka_positions *p);
bool kafka_positions_busy(const struct kafka_positions *p); /* a question is under way */

#endif
