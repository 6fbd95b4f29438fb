#include "receiver/metrics.h"

#include <string.h>

static const int codes[] = {200, 202, 400, 401, 403, 404, 405, 408, 413, 429, 503};

enum {
    CODES = sizeof codes / sizeof *codes
};

_Static_assert(CODES + 1 == COUNT_CODES_END - COUNT_CODES, "one row a code, and one for others");

#define REQUESTS(code)                                                                             \
    {                                                                                              \
        .name = "athena_query_http_requests_total", .labels = "code=\"" code "\"",                 \
        .help = "HTTP requests by the status of their response.", .type = METRIC_COUNTER           \
    }
#define FAILED(why)                                                                                \
    {                                                                                              \
        .name = "athena_query_produce_failures_total", .labels = "reason=\"" why "\"",             \
        .help = "Queries that the query topic did not take.", .type = METRIC_COUNTER               \
    }

static const struct metric table[RECEIVER_METRICS] = {
    [COUNT_ACCEPTED] = {.name = "athena_query_accepted_total",
                        .help = "Queries that all in-sync replicas have.",
                        .type = METRIC_COUNTER},
    [COUNT_MALFORMED] = {.name = "athena_query_malformed_total",
                         .help = "POSTs whose body was no sound query.",
                         .type = METRIC_COUNTER},
    [COUNT_CODES] = REQUESTS("200"),
    REQUESTS("202"),
    REQUESTS("400"),
    REQUESTS("401"),
    REQUESTS("403"),
    REQUESTS("404"),
    REQUESTS("405"),
    REQUESTS("408"),
    REQUESTS("413"),
    REQUESTS("429"),
    REQUESTS("503"),
    REQUESTS("other"),
    [COUNT_ACK_SECONDS] = {.name = "athena_query_ack_seconds",
                           .help = "From a query's last byte to Kafka's acknowledgement.",
                           .type = METRIC_HISTOGRAM,
                           .bounds = metrics_seconds},
    [COUNT_FAILED_LATE] = FAILED("late"),
    [COUNT_FAILED_REFUSED] = FAILED("refused"),
    [COUNT_FAILED_FULL] = FAILED("full"),
    [COUNT_FAILED_TOO_LARGE] = FAILED("too_large"),
    [COUNT_QUEUED_WRITTEN] = {.name = "athena_query_queued_written_total",
                              .help = "QUEUED records sent to the status topic.",
                              .type = METRIC_COUNTER},
    [COUNT_KEYS_RELOAD_FAILED] = {.name = "athena_query_api_keys_reload_failures_total",
                                  .help = "Re-readings of API_KEYS_FILE that kept the old keys.",
                                  .type = METRIC_COUNTER},
    [GAUGE_WAITING] = {.name = "athena_query_ack_waiting",
                       .help = "Queries that wait for Kafka's acknowledgement.",
                       .type = METRIC_GAUGE},
    [GAUGE_REQUESTS] = {.name = "athena_query_http_in_flight",
                        .help = "HTTP requests begun and without a response yet.",
                        .type = METRIC_GAUGE},
    [GAUGE_CONNECTIONS] = {.name = "athena_query_http_connections",
                           .help = "HTTP connections open.",
                           .type = METRIC_GAUGE},
    [GAUGE_PRODUCER_RECORDS] = {.name = "athena_query_producer_records",
                                .help = "Records handed to librdkafka and not yet reported.",
                                .type = METRIC_GAUGE},
    [GAUGE_VIEW_ENTRIES] = {.name = "athena_query_status_view_entries",
                            .help = "Queries whose state is in memory.",
                            .type = METRIC_GAUGE},
    [GAUGE_VIEW_CAUGHT_UP] = {.name = "athena_query_status_view_caught_up",
                              .help = "1 once the status topic was read to its end.",
                              .type = METRIC_GAUGE},
};

void receiver_metrics_init(struct metric rows[RECEIVER_METRICS]) {
    memcpy(rows, table, sizeof table);
}

void receiver_metrics_response(struct metric rows[RECEIVER_METRICS], int status) {
    size_t row = 0;
    while (row < CODES && codes[row] != status)
        row++;
    metric_add(&rows[COUNT_CODES + row], 1);
}
