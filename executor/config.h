/*
 * The executor's configuration: the rows are in config.c.
 */
#ifndef EXECUTOR_CONFIG_H
#define EXECUTOR_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/aws/options.h"
#include "common/base/options.h"
#include "common/kafka/options.h"

struct executor_config {
    struct process_options process;
    struct kafka_options kafka;
    struct aws_options aws;
    const char *allowed_workgroups, *allowed_output_locations;
    int64_t max_in_flight;
    int64_t max_running;
    int64_t poll_interval_ms;
    bool track_queries;
    int64_t throttle_patience_ms;
    int64_t query_max_age_ms;
    int64_t status_cache_max;
    int64_t window_records, window_bytes, window_index_bytes;
    bool whoami;
};

extern const struct program executor_program;

#endif
