/*
 * A member of a consumer group that commits its offsets itself: of one topic, with eager assignors.
 *
 * Eager: a rebalance takes all partitions away before it assigns any. When partitions are revoked,
 * the group waits for kafka_group_release(), bounded by a time-out, so that what is in flight may
 * be finished and committed; after that they belong to another member. When they are lost (the
 * member was expelled from the group), nothing may be committed any more.
 *
 * All from the loop's thread; callbacks come from the loop, except as noted.
 */
#ifndef COMMON_KAFKA_GROUP_H
#define COMMON_KAFKA_GROUP_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/loop.h"
#include "common/kafka/commits.h"
#include "common/kafka/options.h"

struct kafka_group;

struct kafka_group_events {
    /*
     * These partitions were assigned, none perhaps. Where the member reads them, `offset` and
     * `metadata` of each are those that the group has committed; `offset` is negative where there
     * is no commit or the broker did not answer in time. Valid during the call.
     */
    void (*assigned)(void *arg, const rd_kafka_topic_partition_list_t *partitions);
    /*
     * All partitions are taken away. Call kafka_group_release(), from within or later. `lost`: they
     * may be another member's already.
     */
    void (*revoked)(void *arg, bool lost);
    /* kafka_group_release() was not called in time: the group releases when this returns. */
    void (*overdue)(void *arg);
    kafka_commits_fn *committed; /* may be NULL */
    /*
     * A record; `message` becomes the callee's. NULL: the member owns partitions and does not read
     * them, they stay paused.
     */
    void (*record)(void *arg, rd_kafka_message_t *message);
    void *arg;
};

struct kafka_group_settings {
    const char *topic; /* borrowed, must outlive the group */
    int64_t revoke_ms; /* how long a rebalance waits for kafka_group_release() */
    /*
     * Whether records of the assigned partitions that are done with and older than `keep_done_ms`
     * are deleted from the topic (common/kafka/trim.h); KAFKA_TRIM_NEVER: they are not.
     */
    bool trims;
    int64_t keep_done_ms;
    struct kafka_group_events events;
};

/* As kafka_conf(), with what a member needs; the caller's until kafka_group_open() takes it. */
rd_kafka_conf_t *kafka_group_conf(const struct kafka_options *kafka, const char *group);

/*
 * Takes `conf` of kafka_group_conf(); `settings` is copied, `kafka` must outlive the group. NULL
 * on failure, with the reason in `error`.
 */
struct kafka_group *kafka_group_open(struct loop *loop, const struct kafka_options *kafka,
                                     rd_kafka_conf_t *conf,
                                     const struct kafka_group_settings *settings, char *error,
                                     size_t error_size);
/* Subscribes; call once the topic exists. False, with the reason in `error`, where it fails. */
bool kafka_group_join(struct kafka_group *g, char *error, size_t error_size);
/* Takes no assignment any more. What is assigned stays until it is revoked or the group closed. */
void kafka_group_stop(struct kafka_group *g);
/*
 * Leaves the group, so that others take over at once, and frees; blocks for 8 s at most, and waits
 * for a commit under way within the first 3. A member that cannot leave in time is expelled when
 * its session times out. No event comes any more. NULL is fine.
 */
void kafka_group_close(struct kafka_group *g);

/* Commits what is still to be committed, without waiting for the answer, then lets go. */
void kafka_group_release(struct kafka_group *g);

/* Commits for the partitions that are assigned; the group's, valid until it is closed. */
struct kafka_commits *kafka_group_commits(const struct kafka_group *g);

/* By how many offsets partitions were trimmed, since the group was opened. */
int64_t kafka_group_deleted(const struct kafka_group *g);

/* Pauses or resumes one partition. False, logged, where librdkafka refuses. */
bool kafka_group_pause(struct kafka_group *g, int32_t partition, bool paused);
/* Reads the partition again from its start. What was fetched before is not received any more. */
void kafka_group_read_again(struct kafka_group *g, int32_t partition);
/* The partition's first offset, as of a second or so ago; negative: not known. */
int64_t kafka_group_low(const struct kafka_group *g, int32_t partition);
/* Records of the partition that were not received yet, as far as the last fetch has shown. */
int64_t kafka_group_unread(const struct kafka_group *g, const struct kafka_tracker *t);

/* The end of the partition, as far as the last fetch has shown; -1: there was none. */
int64_t kafka_group_end(const struct kafka_group *g, int32_t partition);

bool kafka_group_up(const struct kafka_group *g);     /* a broker is reached */
bool kafka_group_broken(const struct kafka_group *g); /* the handle will never work again */
int64_t kafka_group_lag(const struct kafka_group *g); /* records; -1: not known */
/* For /readyz, where no broker is reached: appends one line with the reason. */
void kafka_group_describe_down(const struct kafka_group *g, struct buffer *why);

#endif
