/*
 * Deletes from a topic what its consumer group is done with and what is older than KEEP_DONE_MS
 * (DeleteRecords), so that a topic without retention does not grow for ever. A record is done with
 * where it is below the offset that the group has committed at the broker, and below that which the
 * member tracks, if it does; nothing above it is ever deleted.
 *
 * How it is used: a member of a group sets `trims` and `keep_done_ms` in struct
 * kafka_group_settings (common/kafka/group.h), and the group trims the partitions that are assigned
 * to it. Nothing else calls this.
 *
 * What is older is asked of the broker by the records' timestamps (ListOffsets), so nothing has to
 * be remembered over a restart. A record with a timestamp in the future would hold back all that
 * follows it; therefore what was below the committed offset for KEEP_DONE_MS, as this process has
 * seen it, counts as old, too.
 *
 * A broker that refuses (no DELETE right on the topic, a compacted topic, a stand-in that has no
 * DeleteRecords) is logged once for each reason, and asked again at the next round.
 *
 * All functions are called from the loop's thread. Nothing blocks it but kafka_trim_close().
 */
#ifndef COMMON_KAFKA_TRIM_H
#define COMMON_KAFKA_TRIM_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/base/must_check.h"
#include "common/kafka/commits.h"
#include "common/kafka/positions.h"

enum {
    KAFKA_TRIM_NEVER = -1 /* as keep_done_ms */
};

#define KAFKA_TRIM_UNTRACKED INT64_MAX

/* --- the decision (pure) ---------------------------------------------------------------------- */

/* What was committed at a time: KEEP_DONE_MS later all below it is old. */
struct kafka_trim_mark {
    int64_t offset; /* -1: none yet */
    int64_t at_ms;  /* loop_now() clock */
};

/*
 * The offset before which records may be deleted; -1: there is nothing to delete. Moves the mark.
 * `position` is as the broker has answered, `since` included unless keep_done_ms is 0. `tracked` is
 * what the member would commit now, -1 for nothing: in a topic that was created again the broker's
 * commit may still be that of the one before. KAFKA_TRIM_UNTRACKED: it tracks nothing now.
 */
int64_t kafka_trim_before(const struct kafka_position *position, int64_t tracked,
                          int64_t keep_done_ms, int64_t now_ms, struct kafka_trim_mark *mark);
/* How often the broker is asked: every tenth of `keep_done_ms`, from 1 s to 60 s. */
int64_t kafka_trim_every_ms(int64_t keep_done_ms);

/* --- the edge --------------------------------------------------------------------------------- */

struct kafka_trim;

/*
 * `rk` is the handle of the group's member and `commits` are its commits; they and `topic` are
 * borrowed. `keep_done_ms` is 0 or
 * more. NULL: no eventfd (errno).
 */
MUST_CHECK struct kafka_trim *kafka_trim_open(struct loop *loop, rd_kafka_t *rk, const char *topic,
                                              const struct kafka_commits *commits,
                                              int64_t keep_done_ms);
/* Waits KAFKA_POSITIONS_CALL_MS at most. NULL is fine. */
void kafka_trim_close(struct kafka_trim *t);
/* The partitions to trim from now on, in place of those before; 0: none. NULL is fine. */
void kafka_trim_assign(struct kafka_trim *t, const rd_kafka_topic_partition_list_t *partitions);
/* By how many offsets the beginnings of partitions were moved, by this process. */
int64_t kafka_trim_deleted(const struct kafka_trim *t);

#endif
