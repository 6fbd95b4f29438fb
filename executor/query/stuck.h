/*
 * Records that stand still: Kafka has refused the copy or the state of one for a minute, so the
 * committed offset of its partition cannot pass it. Others go on.
 */
#ifndef EXECUTOR_QUERY_STUCK_H
#define EXECUTOR_QUERY_STUCK_H

#include <stddef.h>

#include "common/base/buffer.h"
#include "executor/query/job_state.h"
#include "executor/query/settle.h"

/* Zeroed ones are fine. */
size_t stuck_count(const struct settler *s, const struct jobs *jobs);
/* For /readyz: appends a line for each of the first ten, and one with the number of the others. */
void stuck_describe(const struct settler *s, const struct jobs *jobs, struct buffer *why);

#endif
