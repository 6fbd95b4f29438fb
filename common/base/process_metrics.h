/*
 * What every program reports of itself at /metrics: athena_query_build_info, and process_… by the
 * conventions of Prometheus' client libraries.
 */
#ifndef COMMON_BASE_PROCESS_METRICS_H
#define COMMON_BASE_PROCESS_METRICS_H

#include "common/base/buffer.h"

/*
 * Appends them to `out`, which other metrics may stand in already. A figure that /proc does not
 * give is left out. Any thread; reads a few files of /proc.
 */
void process_metrics_write(struct buffer *out);

#endif
