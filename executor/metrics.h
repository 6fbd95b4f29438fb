/*
 * The executor's rows for /metrics.
 */
#ifndef EXECUTOR_METRICS_H
#define EXECUTOR_METRICS_H

#include "common/base/metrics.h"
#include "executor/limit/lane.h"
#include "executor/limit/probing.h"
#include "executor/query/outcome.h"

enum executor_metric {
    METRIC_STARTS,
    METRIC_THROTTLED,
    METRIC_ANSWERS, /* + enum outcome: one row each */
    METRIC_ANSWERS_LAST = METRIC_ANSWERS + OUTCOMES - 1,
    METRIC_RECEIVED,
    METRIC_GONE,
    METRIC_DEADLETTERED,
    METRIC_REJECTED,
    METRIC_SUCCEEDED,
    METRIC_FAILED,
    METRIC_CANCELLED,
    METRIC_POLLS,
    METRIC_POLL_ERRORS,
    METRIC_SEND_ERRORS,
    METRIC_SCANNED_BYTES,
    METRIC_RUNNING,
    METRIC_WAITING,
    METRIC_INDEXED,
    METRIC_UNREAD,
    METRIC_CALLS,
    METRIC_LIMIT, /* + enum lane: one row each */
    METRIC_LIMIT_LAST = METRIC_LIMIT + LANES - 1,
    METRIC_SHARE, /* + enum lane */
    METRIC_SHARE_LAST = METRIC_SHARE + LANES - 1,
    METRIC_NEWS, /* + lane * PROBING_NEWS + enum probing_news: one row each */
    METRIC_NEWS_LAST = METRIC_NEWS + LANES * PROBING_NEWS - 1,
    METRIC_LEADS,
    METRIC_HELD, /* + enum lane */
    METRIC_HELD_LAST = METRIC_HELD + LANES - 1,
    METRIC_LAG,
    METRIC_OLDEST_AGE,
    METRIC_PARTITIONS,
    METRIC_GATE,
    METRIC_STUCK,
    METRIC_LOST,
    METRIC_START_SECONDS,
    METRIC_WAIT_SECONDS,
    METRIC_RUN_SECONDS,
    EXECUTOR_METRICS,
};

void executor_metrics_init(struct metric rows[EXECUTOR_METRICS]);

#endif
