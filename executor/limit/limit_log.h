/*
 * Why the learned limit is as it is: each piece of news of it, where this executor is the one that
 * learns, becomes a line of the debug log and a count in the metrics.
 */
#ifndef EXECUTOR_LIMIT_LIMIT_LOG_H
#define EXECUTOR_LIMIT_LIMIT_LOG_H

#include "executor/limit/probing.h"
#include "executor/turn/lane.h"

struct executor;

struct learning {
    int limit;                  /* when it was told last */
    int64_t told[PROBING_NEWS]; /* of probing.news */
};

/* Tells what is new since the last call. */
void learning_tell(struct executor *x);

#endif
