/*
 * What an executor reports of itself at the admin endpoint.
 */
#ifndef EXECUTOR_REPORT_H
#define EXECUTOR_REPORT_H

#include <stdbool.h>

#include "common/base/buffer.h"

/* For /readyz; `arg` is the executor. False: `why` has what it waits for, in lines. */
bool executor_ready(void *arg, struct buffer *why);
/* For /metrics; `arg` is the executor. */
void executor_write_metrics(void *arg, struct buffer *out);

#endif
