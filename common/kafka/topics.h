/*
 * The topics that a program needs: looked for until they are there, created where CREATE_TOPICS
 * says so (the status topic compacted, the others kept for ever: a queue must not forget).
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
 * `ready` is called once, from the loop, when all four topics were seen; until then they are looked
 * for again every half second, over a connection of its own. The quota topic, for a program that
 * has one, is created beside them, but not waited for beyond that. NULL: see `error`.
 */
struct topics *topics_open(struct loop *loop, const struct options_common *common, loop_fn *ready,
                           void *arg, char *error, size_t error_size);
void topics_close(struct topics *t);
bool topics_ready(const struct topics *t);
/* 0: not known. `name` is one of those in `common`. */
int32_t topics_partitions(const struct topics *t, const char *name);
/* For /readyz: what is missing, and why where that is known, a line. */
void topics_describe_missing(const struct topics *t, struct buffer *why);

#endif
