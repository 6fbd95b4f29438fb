/*
 * The offsets that a member of a consumer group commits, in the background.
 *
 * For every partition that is tracked the position of common/kafka/offsets.h is committed with its
 * metadata, 200 ms after something was finished. One commit is under way at a time: librdkafka may
 * repeat a commit that a later one has overtaken, and a commit may go backwards. What failed is
 * committed again a second later, as it is by then. With the position goes a witness, where there
 * is one (common/kafka/witness.h). A broker that takes less metadata
 * (offset.metadata.max.bytes) gets commits without it, the witness last, and the next owner repeats
 * more.
 *
 * All from the loop's thread.
 */
#ifndef COMMON_KAFKA_COMMITS_H
#define COMMON_KAFKA_COMMITS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/loop.h"
#include "common/kafka/offsets.h"
#include "common/kafka/witness.h"

struct kafka_commits;

/* The offsets of one partition. Embedded by its owner, which keeps it while it is tracked. */
struct kafka_tracker {
    TAILQ_ENTRY(kafka_tracker) link;
    int32_t partition;
    struct offsets offsets;
    struct witness witness;   /* that the partition is the one that the offsets are of */
    struct witness candidate; /* a later record, in its place once the witness was seen again */
    bool dirty;               /* there is something to commit */
};

/* Zeroed but for `partition`: as committed, `committed` negative and `metadata` NULL where not. */
void kafka_tracker_init(struct kafka_tracker *t, int64_t committed, const char *metadata);
/* Nothing of what was tracked is true any more. */
void kafka_tracker_restart(struct kafka_tracker *t);
/* A record of the partition was received and is tracked: it may become the witness. */
void kafka_tracker_saw(struct kafka_tracker *t, const rd_kafka_message_t *message);

/* A commit was answered. */
typedef void kafka_commits_fn(void *arg, rd_kafka_resp_err_t err);

/*
 * `rk` and `topic` are borrowed and must outlive it; `answered` may be NULL. Nothing is committed
 * before kafka_commits_allow(). NULL: no eventfd.
 */
struct kafka_commits *kafka_commits_open(struct loop *loop, rd_kafka_t *rk, const char *topic,
                                         kafka_commits_fn *answered, void *arg);
/* `answered` is not called any more. NULL is fine. */
void kafka_commits_close(struct kafka_commits *c);
/* Whether the partitions are this member's: else nothing is committed. */
void kafka_commits_allow(struct kafka_commits *c, bool allowed);

/* The caller has set `partition` and `offsets`. */
void kafka_commits_track(struct kafka_commits *c, struct kafka_tracker *t);
/* The first of those that are tracked, and so on by TAILQ_NEXT(t, link); NULL: none. */
struct kafka_tracker *kafka_commits_first(const struct kafka_commits *c);
struct kafka_tracker *kafka_commits_find(const struct kafka_commits *c, int32_t partition);
void kafka_commits_untrack(struct kafka_commits *c, struct kafka_tracker *t); /* commits nothing */
/* offsets_finish(), and a commit soon. */
void kafka_commits_finish(struct kafka_commits *c, struct kafka_tracker *t, int64_t offset);
/* The position has moved without that, over records that an earlier owner has finished. */
void kafka_commits_moved(struct kafka_commits *c, struct kafka_tracker *t);

/*
 * Commits now what is to be committed, or as soon as the commit under way is answered. True: a
 * commit is under way, `answered` will be called.
 */
bool kafka_commits_flush(struct kafka_commits *c);
/* Commits now, even beside one that is under way: for the last one before the partitions go. */
void kafka_commits_now(struct kafka_commits *c);
bool kafka_commits_under_way(const struct kafka_commits *c);
/* Nothing is to be committed, and no commit is under way. */
bool kafka_commits_done(const struct kafka_commits *c);

#endif
