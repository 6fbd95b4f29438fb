/*
 * The topics that a program needs: looked for until they are there, created where CREATE_TOPICS
 * is on (the status topic compacted, the queues without retention: they must not drop records).
 */
#ifndef COMMON_KAFKA_TOPICS_H
#define COMMON_KAFKA_TOPICS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/loop.h"
#include "common/kafka/options.h"

struct topics;

/*
 * `ready` is called once, from the loop, when all topics are there; until then they are looked for
 * every half second, over a handle of its own, blocking for 100 ms at most each time. The quota
 * topic, where the program has one, is not waited for where it may not be created or its creation
 * is refused. `kafka` is borrowed. NULL on failure, with the reason in `error`.
 */
struct topics *topics_open(struct loop *loop, const struct kafka_options *kafka, loop_fn *ready,
                           void *arg, char *error, size_t error_size);
void topics_close(struct topics *t);
bool topics_ready(const struct topics *t);
/* 0: not known. `name` is one of those in `kafka`. */
int32_t topics_partitions(const struct topics *t, const char *name);
/* For /readyz: appends one line with what is missing, and the reason where that is known. */
void topics_describe_missing(const struct topics *t, struct buffer *why);

#endif
