/*
 * What the brokers know of one topic now: whether it is as it was, and where it ends. The question
 * blocks for as long as a fetch of the same handle does, and longer where brokers do not answer, so
 * it is asked beside the loop (common/base/side_call.h). All functions are called from the loop's
 * thread.
 */
#ifndef COMMON_KAFKA_TOPIC_LOOK_H
#define COMMON_KAFKA_TOPIC_LOOK_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/base/must_check.h"

enum {
    TOPIC_LOOK_CALL_MS = 1000, /* it asks three times, so long each at most */
};

struct topic_look;

/* Valid during the call of topic_look_fn. */
struct topic_look_answer {
    int32_t partitions; /* 0: the topic does not exist; -1: no broker answered in time */
    /* The list that was asked with, each with the first offset of its time or later; NULL: unknown.
     */
    const rd_kafka_topic_partition_list_t *later;
    /* Each of `partitions`, in their order, with the offset of its end; NULL: unknown or not asked.
     */
    const rd_kafka_topic_partition_list_t *ends;
};

/* It may ask again from within. */
typedef void topic_look_fn(void *arg, const struct topic_look_answer *answer);

/* `rk`, `topic` and `name` are borrowed, and outlive it. NULL: no eventfd (errno). */
MUST_CHECK struct topic_look *topic_look_open(struct loop *loop, rd_kafka_t *rk,
                                              rd_kafka_topic_t *topic, const char *name,
                                              topic_look_fn *fn, void *arg);
/*
 * `later`, which is taken over: partitions, each with a time in ms since the epoch as its offset.
 * False: a question is under way, or no thread could be made.
 */
MUST_CHECK bool topic_look_ask(struct topic_look *look, rd_kafka_topic_partition_list_t *later,
                               bool ends);
bool topic_look_busy(const struct topic_look *look);
/* Waits for a call under way, TOPIC_LOOK_CALL_MS at most; nothing is answered. NULL is fine. */
void topic_look_close(struct topic_look *look);

#endif
