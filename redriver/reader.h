/*
 * Reads a topic between two offsets for one pass.
 *
 * A consumer of its own, with its partitions assigned by hand, so that it may be left alone for as
 * long as the query topic is slow or a rate is to be kept: heartbeats and rebalances are the
 * member's (redriver/member.h) and never wait behind records. It joins no group and commits
 * nothing; the group's name only lets it ask what is committed.
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

/* One partition as it is when a pass starts. */
struct reader_place {
    int32_t partition;
    int64_t committed; /* of the redriver's group, -1: nothing */
    char *metadata;    /* of that commit, owned; NULL: none */
    int64_t low, end;  /* the first offset that is there, and the one behind the last */
    int64_t from;      /* where to read from: the larger of committed and low */
};

/* NULL on failure, with the reason in `error`. */
struct reader *reader_open(struct loop *loop, const struct options_common *common, char *error,
                           size_t error_size);
void reader_close(struct reader *r);
bool reader_up(const struct reader *r); /* a broker is reached */

/*
 * Fills in `places` from their `partition`. `committed`: from what the group has committed, else
 * from the beginning. False where the broker did not tell in time (it blocks for that long: a few
 * hundred ms at most while the broker answers), with the reason in `error`; try again later.
 */
bool reader_learn(struct reader *r, const char *topic, struct reader_place *places, size_t count,
                  bool committed, char *error, size_t error_size);
void reader_places_free(struct reader_place *places, size_t count);

/* Begins at the `from` of each place, those with nothing to read left out. */
void reader_start(struct reader *r, const char *topic, const struct reader_place *places,
                  size_t count);
/*
 * The next record, or the news that a partition's end was reached (its err is _PARTITION_EOF and
 * its offset the next one to come). NULL: nothing now; the loop is woken when there is. The caller
 * destroys it.
 */
rd_kafka_message_t *reader_next(struct reader *r);
void reader_stop(struct reader *r);

#endif
