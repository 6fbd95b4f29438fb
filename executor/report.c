#include "executor/report.h"

#include "common/base/process_metrics.h"
#include "executor/query/stuck.h"
#include "executor/whole.h"

bool executor_ready(void *arg, struct buffer *why) {
    struct executor *x = arg;
    if (!topics_ready(x->topics))
        topics_describe_missing(x->topics, why);
    else if (!partitions_up(x->partitions))
        partitions_describe_down(x->partitions, why);
    else if (!partitions_joined(x->partitions))
        buffer_puts(why, "the consumer group is not joined yet\n");
    else if (!status_reader_caught_up(x->reader))
        buffer_puts(why, "the status topic is still being read\n");
    stuck_describe(&x->settler, &x->jobs, why);
    return gate_ready(&x->gate, dispatch_is_idle(&x->dispatch), why) && why->len == 0;
}

void executor_write_metrics(void *arg, struct buffer *out) {
    struct executor *x = arg;
    struct metric *m = x->metrics;
    int64_t oldest_ms = partitions_oldest_ms(x->partitions);
    metric_set(&m[METRIC_RUNNING], (double)jobs_followed(&x->jobs));
    metric_set(&m[METRIC_WAITING],
               (double)(x->jobs.count[JOB_RECEIVED] + x->jobs.count[JOB_WAITING] + x->index.count));
    metric_set(&m[METRIC_INDEXED], (double)x->index.count);
    metric_set(&m[METRIC_UNREAD], (double)partitions_unread(x->partitions));
    metric_set(&m[METRIC_CALLS], (double)jobs_starting(&x->jobs));
    for (int lane = 0; lane < LANES; lane++) {
        const struct admission *a = &x->slots.admission[lane];
        metric_set(&m[METRIC_LIMIT + lane], fleet_link_limit(x->fleet, lane));
        metric_set(&m[METRIC_SHARE + lane], a->governed ? a->share : a->limit);
        metric_set(&m[METRIC_HELD + lane], a->running);
    }
    metric_set(&m[METRIC_LEADS], fleet_link_leads(x->fleet));
    metric_set(&m[METRIC_LAG], (double)partitions_lag(x->partitions));
    metric_set(&m[METRIC_OLDEST_AGE],
               oldest_ms >= 0 ? (double)(loop_wall() - oldest_ms) / 1000 : 0);
    metric_set(&m[METRIC_PARTITIONS], (double)partitions_count(x->partitions));
    metric_set(&m[METRIC_GATE], x->gate.suspect);
    metric_set(&m[METRIC_STUCK], (double)stuck_count(&x->settler, &x->jobs));
    m[METRIC_LOST].value = (double)partitions_lost(x->partitions);
    metrics_write(m, EXECUTOR_METRICS, out);
    topics_write_metrics(x->topics, out);
    process_metrics_write(out);
}
