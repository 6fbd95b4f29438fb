/*
 * The topics that a program needs: looked for until they are there, created where CREATE_TOPICS
 * says so (the status topic compacted, the others kept for ever: a queue must not forget).
 */
#ifndef COMMON_TOPICS_H
#define COMMON_TOPICS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/options.h"
#include "common/producer.h"

struct topics;

/* `ready` is called once, when all four topics were seen. Looks again every half second till then.
 */
struct topics *topics_open(struct loop *loop, const struct options_common *common,
                           struct producer *producer, loop_fn *ready, void *arg);
void topics_close(struct topics *t);
bool topics_ready(const struct topics *t);
int32_t topics_partitions(const struct topics *t, const char *name); /* 0: not known */
const char *topics_missing(const struct topics *t); /* for /readyz: which, or why not; never NULL */

#endif
