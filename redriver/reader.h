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
#include "common/kafka/options.h"

struct reader;

/* One partition as it is when a pass begins. */
struct reader_place {
    int32_t partition;
    int64_t committed; /* of the redriver's group, -1: nothing */
    char *metadata;    /* of that commit, owned; NULL: none */
    int64_t low, end;  /* the first offset that is there, and the one behind the last */
    int64_t from;      /* where to read from: the larger of committed and low */
};

/* NULL on failure, with the reason in `error`. */
struct reader *reader_open(struct loop *loop, const struct kafka_options *kafka, char *error,
                           size_t error_size);
void reader_close(struct reader *r);
bool reader_up(const struct reader *r); /* a broker is reached */

/* Places of these partitions, with nothing else known of them; reader_places_free() frees. */
struct reader_place *reader_places(const int32_t *partitions, size_t count);
void reader_places_free(struct reader_place *places, size_t count);
/*
 * Fills in `places`, whose `partition` is set. `committed`: from what the group has committed, else
 * from the beginning. It asks the broker up to three times and blocks for 1.5 s at most each time.
 * False where it did not answer in time, with the reason in `error`; try again later.
 */
bool reader_locate(struct reader *r, const char *topic, struct reader_place *places, size_t count,
                   bool committed, char *error, size_t error_size);

/* Begins at the `from` of each place, those with nothing to read left out. */
void reader_start(struct reader *r, const char *topic, const struct reader_place *places,
                  size_t count);
/*
 * The next record, or the report that a partition's end was reached (its err is _PARTITION_EOF and
 * its offset the next one that will be written). NULL: nothing now; the loop is woken when there is
 * something. The caller destroys it.
 */
rd_kafka_message_t *reader_next(struct reader *r);
void reader_stop(struct reader *r);

#endif
