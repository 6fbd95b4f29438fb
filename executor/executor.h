/*
 * The executor put together: opens its parts, gives each what it needs, and passes what one reports
 * on to those that it concerns. Only main.c includes it; no part knows of the whole.
 */
#ifndef EXECUTOR_EXECUTOR_H
#define EXECUTOR_EXECUTOR_H

#include <stddef.h>

#include "common/base/loop.h"
#include "executor/config.h"

struct executor;

/*
 * `loop` and `config` are borrowed and outlive it; with MSK IAM the sign-in is set in `config`.
 * NULL: see `error`.
 */
struct executor *executor_open(struct loop *loop, struct executor_config *config, char *error,
                               size_t error_size);
/*
 * Runs the loop until calls in flight, records that are not acknowledged yet and counters are done
 * with, DRAIN_TIMEOUT_MS at most; not the queries that run in Athena.
 */
void executor_drain(struct executor *x);
void executor_close(struct executor *x); /* takes NULL */

#endif
