/*
 * The controller: when a pass begins, which partitions it goes over, what becomes of it in a
 * rebalance, and what is counted and printed.
 *
 * One pass every REDRIVE_INTERVAL_MS, or by hand a single one, which waits for the topics, the
 * group and the offsets for a bounded time each. A pass that a rebalance has cut short is begun
 * again with the next assignment, without waiting for the interval.
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

bool redriver_busy(const struct redriver *r); /* a pass is under way */
/* By hand: its pass is done, or did not get as far as reading for too long. */
bool redriver_over(const struct redriver *r);
/*
 * By hand: a pass has got as far as reading, so that there is something to print. Without that the
 * broker, the topics or the group have not answered within bounds, or a stop came before.
 */
bool redriver_has_read(const struct redriver *r);
/* By hand: a fault, which is logged, has kept something from being moved. */
bool redriver_incomplete(const struct redriver *r);
bool redriver_broken(const struct redriver *r); /* it cannot go on; the reason is logged */
/* The topic that is read. Borrowed from the configuration. */
const char *redriver_topic(const struct redriver_config *config);

/* For /readyz: appends one line with the reason where it is not ready. */
void redriver_describe(const struct redriver *r, struct buffer *why);
void redriver_write_metrics(struct redriver *r, struct buffer *out);
/* By hand: the last line of the standard output. */
void redriver_print_summary(struct redriver *r);

#endif
