/*
 * The redriver's options: the environment, and what is done by hand.
 */
#ifndef REDRIVER_CONFIG_H
#define REDRIVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/aws/options.h"
#include "common/base/options.h"
#include "common/kafka/options.h"

enum redriver_from { /* REDRIVER_FROM_UNSAID before the options are read */
    REDRIVER_FROM_UNSAID = -1,
    REDRIVER_FROM_DEADLETTER,
    REDRIVER_FROM_REJECTED,
};

struct redriver_config {
    struct process_options process;
    struct kafka_options kafka;
    struct aws_options aws;
    int64_t interval_ms, min_age_ms;
    int64_t max_per_pass, rate_per_s; /* 0: no limit */
    bool once, dry_run;
    int from;             /* enum redriver_from */
    const char *user;     /* NULL: all; "": those without a user */
    const char *query_id; /* NULL: all */
    int64_t limit;        /* 0: none */
};

extern const struct program redriver_program;

/* Whether one pass is asked for instead of one every interval. */
bool redriver_by_hand(const struct redriver_config *c);
/* Whether it copies what it chooses and commits nothing, in no group. */
bool redriver_copies(const struct redriver_config *c);
/* Whether what moves is counted in CloudWatch. */
bool redriver_counts(const struct redriver_config *c);
/* Not by hand: beside a redriver that runs with the same environment, its port is taken. */
bool redriver_serves_admin(const struct redriver_config *c);

#endif
