#include "executor/config.h"

#include <stddef.h>

#include "common/aws/options_check.h"
#include "executor/query/start_request.h"

#define AT(field) offsetof(struct executor_config, field)

static const struct option rows[] = {
    {"ALLOWED_WORKGROUPS", OPTION_STRING, AT(allowed_workgroups), NULL,
     "Workgroups that a request may choose beside ATHENA_WORKGROUP, separated by commas.", 0, 0,
     NULL},
    {"ALLOWED_OUTPUT_LOCATIONS", OPTION_STRING, AT(allowed_output_locations), NULL,
     "Prefixes, s3://bucket/path, under which a request may choose its output location, separated "
     "by commas.",
     0, 0, NULL},
    {"MAX_IN_FLIGHT", OPTION_INTEGER, AT(max_in_flight), "10",
     "Calls to StartQueryExecution under way at once.", 1, 1000, NULL},
    {"MAX_RUNNING", OPTION_INTEGER, AT(max_running), "0",
     "Queries that may run at once; 0: as many as Athena is found to allow.", 0, 1000000, NULL},
    {"POLL_INTERVAL_MS", OPTION_INTEGER, AT(poll_interval_ms), "0",
     "How often running queries are looked at; 0: as follows from how long they take.", 0, 3600000,
     NULL},
    {"TRACK_QUERIES", OPTION_BOOL, AT(track_queries), "on",
     "Whether queries are followed to their end; off: a query is done with once it has started.", 0,
     0, NULL},
    {"THROTTLE_PATIENCE_MS", OPTION_INTEGER, AT(throttle_patience_ms), "30000",
     "A query that the API's rate limit refuses for longer goes to the dead-letter topic.", 0,
     86400000, NULL},
    {"QUERY_MAX_AGE_MS", OPTION_INTEGER, AT(query_max_age_ms), "0",
     "A query that waited longer is rejected instead of started; 0: none is.", 0,
     INT64_C(31536000000), NULL},
    {"STATUS_CACHE_MAX", OPTION_INTEGER, AT(status_cache_max), "100000",
     "States of queries kept in memory; the oldest final ones leave first.", 1, 100000000, NULL},
    {"WINDOW_RECORDS", OPTION_INTEGER, AT(window_records), "2000",
     "Records of a partition that wait here and are held; others are known by user and offset, and "
     "fetched again before their turn.",
     1, 100000, NULL},
    {"WINDOW_BYTES", OPTION_INTEGER, AT(window_bytes), "4194304",
     "The same in bytes: of keys, headers and values, and 2 KB for each.", 1, 1073741824, NULL},
    {"WINDOW_INDEX_BYTES", OPTION_INTEGER, AT(window_index_bytes), "167772160",
     "Memory for the records that are not held, 150 bytes for each and 80 for each user; more stay "
     "in Kafka, first come, first served.",
     0, INT64_C(1099511627776), NULL},
    {"--whoami", OPTION_FLAG, AT(whoami), NULL,
     "Says who this is to AWS, with which credentials, and where AWS is; then ends.", 0, 0, NULL},
};

static const struct option_table executor_options = {.rows = rows,
                                                     .count = sizeof rows / sizeof *rows};
static const struct option_part parts[] = {
    {&options_names, AT(kafka.names)}, {&options_quota_topic, AT(kafka.names)},
    {&options_kafka, AT(kafka)},       {&options_keep_done, AT(kafka)},
    {&options_admin, AT(process)},     {&options_aws, AT(aws)},
    {&options_athena, AT(aws)},        {&executor_options, 0},
    {&options_process, AT(process)},   {NULL, 0},
};

static void executor_check(const void *config, struct buffer *faults) {
    const struct executor_config *c = config;
    aws_options_check(&c->aws, true, faults);
    if (c->kafka.msk_iam)
        aws_options_check_msk(&c->aws, faults);
    if (!start_list_is_valid(c->allowed_workgroups, "workGroup"))
        buffer_puts(faults, "ALLOWED_WORKGROUPS: each must be 1 to 128 of the characters a-z A-Z "
                            "0-9 . _ -\n");
    if (!start_list_is_valid(c->allowed_output_locations, "outputLocation"))
        buffer_puts(faults, "ALLOWED_OUTPUT_LOCATIONS: each must be s3://bucket or "
                            "s3://bucket/path with a valid bucket name\n");
    if (c->max_running > 0 && !c->track_queries)
        buffer_puts(faults, "MAX_RUNNING: needs TRACK_QUERIES=on: what is not followed cannot be "
                            "counted\n");
}

const struct program executor_program = {
    .name = "athena-query-executor",
    .summary = "takes queries from Kafka, starts each once in Athena as soon as the quota has "
               "room, and follows it to its end.",
    .parts = parts,
    .check = executor_check,
};
