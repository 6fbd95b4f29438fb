/*
 * The redriver's metrics, in rows.
 */
#ifndef REDRIVER_METRICS_H
#define REDRIVER_METRICS_H

#include "common/base/metrics.h"

enum redriver_metric {
    REDRIVER_RESTARTED,
    REDRIVER_PASSES,
    REDRIVER_SKIPPED,
    REDRIVER_FAILURES,
    REDRIVER_LEFT,
    REDRIVER_WAITING,
    REDRIVER_OLDEST,
    REDRIVER_LOST,
    REDRIVER_BEYOND_END,
    REDRIVER_HOPELESS,
    REDRIVER_UNREAD,
    REDRIVER_UNCOMMITTED,
    REDRIVER_DELETED,
    REDRIVER_PARTITIONS,
    REDRIVER_PASS_SECONDS,
    REDRIVER_METRICS
};

void redriver_metrics_init(struct metric rows[REDRIVER_METRICS]);

#endif
