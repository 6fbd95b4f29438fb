/*
 * Why the learned limit is as it is: each piece of news of it, where this executor is the one that
 * learns, becomes a line of the debug log and a count in the metrics.
 */
#ifndef EXECUTOR_LIMIT_LIMIT_LOG_H
#define EXECUTOR_LIMIT_LIMIT_LOG_H

#include "common/base/metrics.h"
#include "executor/limit/fleet_link.h"
#include "executor/limit/lane.h"
#include "executor/limit/probing.h"

struct limit_log {
    const struct fleet_link *fleet; /* borrowed */
    struct metric *metrics;         /* borrowed: EXECUTOR_METRICS rows */
    struct limit_log_lane {
        int limit;                    /* at the last line */
        int64_t logged[PROBING_NEWS]; /* of probing.news */
    } lanes[LANES];
};

void limit_log_init(struct limit_log *log, const struct fleet_link *fleet, struct metric *metrics);
/* Logs and counts what is new since the last call. */
void limit_log_write(struct limit_log *log);

#endif
