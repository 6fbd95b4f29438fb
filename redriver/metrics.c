#include "redriver/metrics.h"

#include <string.h>

static const struct metric fresh[REDRIVER_METRICS] = {
    [REDRIVER_RESTARTED] = {.name = "athena_query_restarted_total",
                            .help = "Dead letters put back into the query topic.",
                            .type = METRIC_COUNTER},
    [REDRIVER_PASSES] = {.name = "athena_query_redrive_passes_total",
                         .help = "Passes over the dead-letter topic that came to their end.",
                         .type = METRIC_COUNTER},
    [REDRIVER_SKIPPED] = {.name = "athena_query_redrive_skipped_total",
                          .help = "Dead letters that a pass found too young.",
                          .type = METRIC_COUNTER},
    [REDRIVER_FAILURES] = {.name = "athena_query_redrive_failures_total",
                           .help = "Times that the query topic did not take a dead letter, each of "
                                   "which was tried again.",
                           .type = METRIC_COUNTER},
    [REDRIVER_LEFT] = {.name = "athena_query_redrive_left",
                       .help = "Dead letters that the limit of the last pass left.",
                       .type = METRIC_GAUGE},
    [REDRIVER_WAITING] = {.name = "athena_query_deadletter_waiting",
                          .help = "Dead letters not yet put back, in the partitions of this "
                                  "redriver (its lag).",
                          .type = METRIC_GAUGE},
    [REDRIVER_OLDEST] = {.name = "athena_query_deadletter_oldest_seconds",
                         .help =
                             "Age of the oldest dead letter that the last pass did not move, 0: "
                             "it moved all.",
                         .type = METRIC_GAUGE},
    [REDRIVER_LOST] = {.name = "athena_query_deadletter_lost_total",
                       .help = "Dead letters, by offsets, that the topic's retention took before "
                               "they were put back.",
                       .type = METRIC_COUNTER},
    [REDRIVER_BEYOND_END] = {.name = "athena_query_deadletter_beyond_end_total",
                             .help = "Times that the committed offset of a partition was beyond "
                                     "its end, so that all its letters were put back.",
                             .type = METRIC_COUNTER},
    [REDRIVER_HOPELESS] = {.name = "athena_query_deadletter_hopeless",
                           .help = "Dead letters that the query topic never takes: too large, or "
                                   "not valid. They stay where they are.",
                           .type = METRIC_GAUGE},
    [REDRIVER_UNREAD] = {.name = "athena_query_redrive_unread_partitions",
                         .help = "Partitions that the last pass could not read to their ends.",
                         .type = METRIC_GAUGE},
    [REDRIVER_UNCOMMITTED] = {.name = "athena_query_redrive_uncommitted",
                              .help =
                                  "Whether what the last pass has moved could not be committed.",
                              .type = METRIC_GAUGE},
    [REDRIVER_DELETED] = {.name = "athena_query_deadletter_deleted_total",
                          .help = "Offsets by which the dead-letter topic was shortened, once its "
                                  "letters were put back and old enough.",
                          .type = METRIC_COUNTER},
    [REDRIVER_PARTITIONS] = {.name = "athena_query_redrive_partitions",
                             .help =
                                 "Partitions of the dead-letter topic that are this redriver's.",
                             .type = METRIC_GAUGE},
    [REDRIVER_PASS_SECONDS] = {.name = "athena_query_redrive_pass_seconds",
                               .help = "How long passes took.",
                               .type = METRIC_HISTOGRAM,
                               .bounds = metrics_long_seconds},
};

void redriver_metrics_init(struct metric rows[REDRIVER_METRICS]) {
    memcpy(rows, fresh, sizeof fresh);
}
