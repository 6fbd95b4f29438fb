/*
 * The three counters of the contract, for CloudWatch: counted in memory, sent in the background
 * once an interval and at a clean stop, so that they cannot delay or fail a query.
 *
 * A call is made up to three times, as in the SDKs' standard mode (common/aws/attempts.h). What is
 * not accepted by then is kept and sent with the next interval; where no answer came, CloudWatch
 * may count it twice. Nothing is sent while all counters are zero. A failure is logged, once a
 * minute at most.
 *
 * Namespace AthenaQuery, dimension DATABASE. Limits from the API reference (PutMetricData,
 * MetricDatum, Dimension): 1,000 metrics and 1 MB a call; a dimension's value has 1 to 1,024 ASCII
 * characters, no control character, not only blanks, no colon first. Any other character becomes a
 * '?', and a value is cut at 255. At most 500 databases are counted apart between two intervals;
 * the counters of all others are sent as CLOUDWATCH_OTHER.
 *
 * A NULL `struct cloudwatch *` is CloudWatch switched off: all functions do nothing then. All of
 * this belongs to the thread of the loop.
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

/* `client` is borrowed and must outlive it. */
struct cloudwatch *cloudwatch_open(struct loop *loop, struct aws_client *client,
                                   int64_t interval_ms);
void cloudwatch_count(struct cloudwatch *c, enum cloudwatch_counter counter, const char *database);
/*
 * For a stop: sends all that is counted by now, without waiting for the interval. Busy until that
 * was accepted or has failed: a CloudWatch that does not answer delays a stop by
 * CLOUDWATCH_TIMEOUT_MS, one that throttles by two more attempts, 3 s at most.
 */
void cloudwatch_flush(struct cloudwatch *c); /* NULL: nothing to send */
bool cloudwatch_busy(const struct cloudwatch *c);
void cloudwatch_close(struct cloudwatch *c); /* counters that were not sent are lost and logged */

#endif
