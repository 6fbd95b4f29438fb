/*
 * The three counters of the contract, to CloudWatch, in a way that cannot delay or fail a query:
 * counted in memory, sent in the background once an interval and at a clean stop.
 *
 * A call is tried three times, as the SDKs' standard mode does (common/aws/attempts.h); what is not
 * taken then is kept and sent with the next. Where it is not known whether it was taken (no
 * answer), that may count it twice. Nothing is sent while nothing is counted. A failure is logged,
 * once a minute at most.
 *
 * Namespace AthenaQuery, dimension DATABASE. PutMetricData takes 1,000 metrics and 1 MB a call; a
 * dimension's value is of 1 to 1,024 ASCII characters, none of them a control character, not all of
 * them blank, the first not a colon (API reference, MetricDatum and Dimension). What is not so
 * becomes a '?', and the value is cut at 255. At most 500 databases are told apart between two
 * sendings; the others count under CLOUDWATCH_OTHER.
 *
 * A NULL `struct cloudwatch *` is CloudWatch switched off: all of these do nothing then.
 */
#ifndef COMMON_AWS_CLOUDWATCH_H
#define COMMON_AWS_CLOUDWATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/aws/client.h"
#include "common/base/loop.h"

#define CLOUDWATCH_OTHER "other databases"

enum {
    CLOUDWATCH_DATABASES_MAX = 500,
    CLOUDWATCH_TIMEOUT_MS = 5000 /* of a call */
};

enum cloudwatch_counter {
    CLOUDWATCH_START,     /* StartQueryCount */
    CLOUDWATCH_THROTTLED, /* ThrottlingErrorCount */
    CLOUDWATCH_RESTARTED, /* RestartQueryCount */
    CLOUDWATCH_COUNTERS
};

struct cloudwatch;

/* `client` is borrowed and closed after it. */
struct cloudwatch *cloudwatch_open(struct loop *loop, struct aws_client *client,
                                   int64_t interval_ms);
void cloudwatch_count(struct cloudwatch *c, enum cloudwatch_counter counter, const char *database);
/*
 * For a stop: sends all that is counted by now, once, without waiting for the interval. Busy until
 * that was taken or has failed: a stop is not delayed by a CloudWatch that does not answer, but for
 * CLOUDWATCH_TIMEOUT_MS; by one that refuses for now, for the two repetitions, 3 s at most.
 */
void cloudwatch_flush(struct cloudwatch *c);
bool cloudwatch_busy(const struct cloudwatch *c);
void cloudwatch_close(struct cloudwatch *c); /* what is not sent is lost, and logged */

#endif
