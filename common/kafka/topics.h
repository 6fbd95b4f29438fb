/*
 * Watches the topics that a program needs, for as long as it runs: whether they are there, how many
 * partitions they have, and whether their settings keep what waits in them
 * (common/kafka/topic_settings.h). What is missing is created where CREATE_TOPICS is on, also where
 * it goes away later.
 *
 * It also is the one that logs when no broker is reached any more, and when one is again; the other
 * handles are silent then.
 *
 * All from the loop's thread.
 */
#ifndef COMMON_KAFKA_TOPICS_H
#define COMMON_KAFKA_TOPICS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/loop.h"
#include "common/kafka/options.h"

struct topics;

struct topics_events {
    /* Once: all topics are there. */
    loop_fn *ready;
    /* After that: a topic has another number of partitions, is gone, or is there again. May be
     * NULL. */
    loop_fn *changed;
    void *arg;
};

/*
 * The topics are looked for over a handle of its own: every half second while one is missing, else
 * every 5 s, blocking for 100 ms at most each time; their settings are read every two minutes, in
 * the background. Topics that the pipeline can do without are not waited for where they may not be
 * created or their creation is refused. `kafka` is borrowed. NULL on failure, with the reason in
 * `error`.
 */
struct topics *topics_open(struct loop *loop, const struct kafka_options *kafka,
                           const struct topics_events *events, char *error, size_t error_size);
void topics_close(struct topics *t); /* NULL is fine */

/* All are there, and none loses what waits in it, unless ALLOW_UNSAFE_TOPICS. */
bool topics_ready(const struct topics *t);
/* 0: it is not there, or not known. `name` is one of those in `kafka`. */
int32_t topics_partitions(const struct topics *t, const char *name);
/* For /readyz, where topics_ready() is false: appends what is missing or unsafe, in lines. */
void topics_describe_missing(const struct topics *t, struct buffer *why);
/* athena_query_topic_unsafe{topic}, for /metrics. */
void topics_write_metrics(const struct topics *t, struct buffer *out);

#endif
