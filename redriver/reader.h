/*
 * Reads a topic between two offsets for one pass.
 *
 * A consumer of its own with partitions assigned by hand. It may rest for as long as the query
 * topic is slow or a rate limits the pass: heartbeats and rebalances belong to the member's handle
 * (redriver/member.h) and never wait behind records. It joins no group and commits nothing; the
 * group's name is only needed to ask for the committed offsets.
 */
#ifndef REDRIVER_READER_H
#define REDRIVER_READER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/base/must_check.h"
#include "common/kafka/options.h"
#include "common/kafka/positions.h"
#include "redriver/place.h"

struct reader;

/* `topic` is borrowed. NULL on failure, with the reason in `error`. */
struct reader *reader_open(struct loop *loop, const struct kafka_options *kafka, const char *topic,
                           char *error, size_t error_size);
/* Waits KAFKA_POSITIONS_CALL_MS at most. NULL is fine. */
void reader_close(struct reader *r);
bool reader_up(const struct reader *r); /* a broker is reached */

/* Who gets the answers to reader_locate(). */
void reader_on_located(struct reader *r, kafka_positions_fn *fn, void *arg);
/*
 * Asks where these partitions begin and end, and with `committed` what the group has committed of
 * them. The answer comes from the loop; it does not wait here. False: an older question is still
 * under way, try again later.
 */
MUST_CHECK bool reader_locate(struct reader *r, const int32_t *partitions, size_t count,
                              bool committed);
/* The answer to reader_locate() is not wanted any more. */
void reader_forget(struct reader *r);
/* The handle, for other questions about the topic. Borrowed. */
rd_kafka_t *reader_handle(const struct reader *r);

/* Begins at the `from` of each place, those with nothing to read left out. */
void reader_start(struct reader *r, const struct place *places, size_t count);
/*
 * The next record, or the report that a partition's end was reached (its err is _PARTITION_EOF and
 * its offset the next one that will be written). NULL: nothing now; the loop is woken when there is
 * something. The caller destroys it.
 */
rd_kafka_message_t *reader_next(struct reader *r);
void reader_stop(struct reader *r);

#endif
