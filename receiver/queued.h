/*
 * QUEUED for the queries that have just come into the topic.
 *
 * Only where nothing is known of the pair, and so only once the view has caught up: a QUEUED must
 * not cover what the executor has said, for compaction keeps the last record. What comes before
 * that waits here. Nobody waits for it: a QUEUED that gets lost is one look-up that says 404
 * until the query starts.
 */
#ifndef RECEIVER_QUEUED_H
#define RECEIVER_QUEUED_H

#include <stddef.h>
#include <stdint.h>

#include "common/kafka/producer.h"
#include "common/model/status_view.h"
#include "receiver/api/intake.h"

struct queued;

struct queued *queued_open(struct producer *producer, const char *status_topic,
                           struct status_view *view);
void queued_close(struct queued *q);

/* The query is in the topic since `at_ms` (UTC). The view knows it when this returns. */
void queued_announce(struct queued *q, const struct intake *intake, int64_t at_ms);
/* The view has caught up: writes what has waited for it. */
void queued_begin(struct queued *q);
uint64_t queued_written(const struct queued *q);

#endif
