/*
 * The three counters of the contract, to CloudWatch, in a way that cannot delay or fail a query:
 * counted in memory, sent in the background once an interval and at a clean stop; what cannot be
 * sent is kept and sent with the next, up to a bound.
 *
 * Namespace AthenaQuery, dimension DATABASE. PutMetricData takes 1,000 metrics a call.
 */
#ifndef COMMON_AWS_CLOUDWATCH_H
#define COMMON_AWS_CLOUDWATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/aws/aws_client.h"
#include "common/loop.h"

enum cloudwatch_counter {
    CLOUDWATCH_START,     /* StartQueryCount */
    CLOUDWATCH_THROTTLED, /* ThrottlingErrorCount */
    CLOUDWATCH_RESTARTED, /* RestartQueryCount */
};

struct cloudwatch;

struct cloudwatch *cloudwatch_open(struct loop *loop, struct aws_client *client,
                                   int64_t interval_ms);
void cloudwatch_count(struct cloudwatch *c, enum cloudwatch_counter counter, const char *database);
/* Sends what is counted now; false once nothing is left or under way: for the drain at a stop. */
void cloudwatch_flush(struct cloudwatch *c);
bool cloudwatch_busy(const struct cloudwatch *c);
void cloudwatch_close(struct cloudwatch *c);

#endif
