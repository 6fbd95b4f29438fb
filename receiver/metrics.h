/*
 * The receiver's metrics: one row of a table for each.
 */
#ifndef RECEIVER_METRICS_H
#define RECEIVER_METRICS_H

#include "common/base/metrics.h"

enum receiver_metric {
    COUNT_ACCEPTED,
    COUNT_MALFORMED,
    COUNT_CODES, /* the first of the rows by status code */
    COUNT_CODES_END = COUNT_CODES + 12,
    COUNT_ACK_SECONDS = COUNT_CODES_END,
    COUNT_FAILED_LATE,
    COUNT_FAILED_REFUSED,
    COUNT_FAILED_FULL,
    COUNT_FAILED_TOO_LARGE,
    COUNT_QUEUED_WRITTEN,
    COUNT_KEYS_RELOAD_FAILED,
    GAUGE_WAITING,
    GAUGE_REQUESTS,
    GAUGE_CONNECTIONS,
    GAUGE_PRODUCER_RECORDS,
    GAUGE_VIEW_ENTRIES,
    GAUGE_VIEW_CAUGHT_UP,
    RECEIVER_METRICS
};

void receiver_metrics_init(struct metric rows[RECEIVER_METRICS]);
/* A response was sent. */
void receiver_metrics_response(struct metric rows[RECEIVER_METRICS], int status);

#endif
