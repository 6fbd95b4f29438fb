/*
 * Publishes QUEUED for the queries that are new in the query topic.
 *
 * Only where no state of the pair is known, and so only once the view has caught up: compaction
 * keeps a key's last record, so a QUEUED must not follow a state of the executor. Queries that come
 * before that wait here. No response waits for a QUEUED: where one is lost, look-ups get 404 until
 * the query starts.
 *
 * The records of 5 ms go to the producer together: a record of its own in each of six partitions,
 * every millisecond, would cost the broker more than the queries themselves. 5 ms are less than an
 * executor takes to start a query, so QUEUED is still the first record of its pair.
 */
#ifndef RECEIVER_QUEUE_QUEUED_H
#define RECEIVER_QUEUE_QUEUED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/producer.h"
#include "common/model/status_view.h"
#include "receiver/queue/intake.h"

struct queued;

struct queued *queued_open(struct loop *loop, struct producer *producer, const char *status_topic,
                           struct status_view *view);
void queued_close(struct queued *q); /* takes NULL; drops what it holds */

/* The query is in the topic since `at_ms` (UTC). Once begun, the view knows it when this returns.
 */
void queued_announce(struct queued *q, const struct intake *intake, int64_t at_ms);
/* The view has caught up: publishes what has waited for it. */
void queued_begin(struct queued *q);
/*
 * Whether this value of a record of the status topic was written here, so that the view knows it.
 * True once for each record, and not for all of them: of very many that are under way some are
 * forgotten. By a hash of 64 bits that is seeded at random.
 */
bool queued_is_own(struct queued *q, const void *value, size_t n);
bool queued_holds(const struct queued *q);       /* records that go to the producer soon */
uint64_t queued_written(const struct queued *q); /* records handed to the producer */

#endif
