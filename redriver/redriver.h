/*
 * The controller: when a pass begins, which partitions it goes over, what becomes of it in a
 * rebalance, and what is counted and printed.
 *
 * One pass every REDRIVE_INTERVAL_MS, or by hand a single one. A pass that a rebalance has cut
 * short is begun again with the next assignment, without waiting for the interval.
 *
 * All from the loop's thread.
 */
#ifndef REDRIVER_REDRIVER_H
#define REDRIVER_REDRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/cloudwatch.h"
#include "common/base/buffer.h"
#include "common/base/loop.h"
#include "common/kafka/producer.h"
#include "redriver/config.h"

struct redriver;

/* Borrowed; all must outlive it, but the producer (see redriver_close()). */
struct redriver_parts {
    struct loop *loop;
    const struct redriver_config *config;
    struct producer *producer;     /* NULL: a dry run */
    struct cloudwatch *cloudwatch; /* NULL: off */
};

/* NULL on failure, with the reason in `error`. */
struct redriver *redriver_open(const struct redriver_parts *parts, char *error, size_t error_size);
/* After the producer is closed, which reports what was in flight. NULL is fine. */
void redriver_close(struct redriver *r);

/* The topics exist, and the one that is read has so many partitions: joins the group. */
void redriver_begin(struct redriver *r, int32_t partitions);
/* Begins no pass any more; the one under way has `timeout_ms` to finish and to commit. */
void redriver_stop(struct redriver *r, int64_t timeout_ms);

bool redriver_busy(const struct redriver *r);   /* a pass is under way */
bool redriver_over(const struct redriver *r);   /* by hand: its pass is done */
bool redriver_broken(const struct redriver *r); /* it cannot go on; the reason is logged */
/* The topic that is read. Borrowed from the configuration. */
const char *redriver_topic(const struct redriver_config *config);

/* For /readyz: appends one line with the reason where it is not ready. */
void redriver_describe(const struct redriver *r, struct buffer *why);
void redriver_write_metrics(struct redriver *r, struct buffer *out);
/* By hand: the last line of the standard output. */
void redriver_print_summary(struct redriver *r);

#endif
