#include "redriver/config.h"

#include <stddef.h>

#include "common/aws/options_check.h"

#define AT(field) offsetof(struct redriver_config, field)

static const struct option rows[] = {
    {"REDRIVE_INTERVAL_MS", OPTION_INTEGER, AT(interval_ms), "60000",
     "How often dead letters are moved back, from the start of a pass to that of the next.", 100,
     86400000, NULL},
    {"REDRIVE_MIN_AGE_MS", OPTION_INTEGER, AT(min_age_ms), "0",
     "A dead letter younger than this waits for a later pass.", 0, INT64_C(31536000000), NULL},
    {"REDRIVE_MAX_PER_PASS", OPTION_INTEGER, AT(max_per_pass), "0",
     "The most dead letters that one pass moves; 0 = no limit.", 0, INT64_MAX, NULL},
    {"REDRIVE_RATE", OPTION_INTEGER, AT(rate_per_s), "0",
     "The most dead letters that are moved in a second; 0 = no limit.", 0, 1000000000, NULL},
    {"--once", OPTION_FLAG, AT(once), NULL,
     "One pass as a member of the group, then a line of JSON and the end.", 0, 0, NULL},
    {"--dry-run", OPTION_FLAG, AT(dry_run), NULL,
     "Moves nothing, joins no group, and prints a line of JSON for each record that would move.", 0,
     0, NULL},
    {"--from", OPTION_CHOICE, AT(from), NULL,
     "The topic to take from: dead letters, or rejected records, which are copied.", 0, 0,
     "deadletter|rejected"},
    {"--user", OPTION_STRING, AT(user), NULL,
     "Only this user's, copied and not committed; the empty string: those without a user.", 0, 0,
     NULL},
    {"--query-id", OPTION_STRING, AT(query_id), NULL,
     "Only the one of this queryId, copied and not committed.", 0, 0, NULL},
    {"--limit", OPTION_INTEGER, AT(limit), NULL, "The most to move, 1 at least.", 1, INT64_MAX,
     NULL},
};

static void redriver_check(const void *config, struct buffer *faults) {
    const struct redriver_config *c = config;
    if (c->aws.cloudwatch || c->kafka.msk_iam)
        aws_options_check(&c->aws, false, faults);
    if (c->kafka.msk_iam)
        aws_options_check_msk(&c->aws, faults);
    if (c->query_id != NULL && *c->query_id == '\0')
        buffer_puts(faults, "--query-id: must not be empty\n");
}

static const struct option_table redriver_options = {.rows = rows,
                                                     .count = sizeof rows / sizeof *rows};
static const struct option_part parts[] = {
    {&redriver_options, 0},          {&options_names, AT(kafka.names)}, {&options_kafka, AT(kafka)},
    {&options_keep_done, AT(kafka)}, {&options_admin, AT(process)},     {&options_aws, AT(aws)},
    {&options_athena, AT(aws)},      {&options_process, AT(process)},   {NULL, 0},
};

const struct program redriver_program = {
    .name = "athena-query-redriver",
    .summary = "moves throttled queries from the dead-letter topic back to the query topic.",
    .parts = parts,
    .check = redriver_check,
};

bool redriver_by_hand(const struct redriver_config *c) {
    return c->once || c->dry_run || c->from != REDRIVER_FROM_UNSAID || c->user != NULL ||
           c->query_id != NULL || c->limit > 0;
}

bool redriver_copies(const struct redriver_config *c) {
    return c->dry_run || c->from == REDRIVER_FROM_REJECTED || c->user != NULL ||
           c->query_id != NULL;
}

bool redriver_counts(const struct redriver_config *c) {
    return c->aws.cloudwatch && !c->dry_run;
}

bool redriver_serves_admin(const struct redriver_config *c) {
    return c->process.admin_listen != NULL && !redriver_by_hand(c);
}
