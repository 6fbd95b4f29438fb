/*
 * Wakes the loop when a queue of librdkafka has something.
 *
 * librdkafka's threads write to an eventfd when the queue stops being empty, the loop watches it.
 * librdkafka does not write again before the queue was empty once: the callback takes all there is,
 * or calls kafka_wakeup_again().
 */
#ifndef COMMON_KAFKA_WAKEUP_H
#define COMMON_KAFKA_WAKEUP_H

#include <librdkafka/rdkafka.h>

#include "common/base/loop.h"

struct kafka_wakeup;

/*
 * `fn` is called from the loop, once at the start in any case. `queue` is borrowed: it is destroyed
 * after the wake-up is closed. NULL: no eventfd could be made or watched (errno).
 */
struct kafka_wakeup *kafka_wakeup_open(struct loop *loop, rd_kafka_queue_t *queue, loop_fn *fn,
                                       void *arg);
/* Calls `fn` in the loop's next iteration, without waiting. */
void kafka_wakeup_again(struct kafka_wakeup *w);
void kafka_wakeup_close(struct kafka_wakeup *w); /* NULL is fine */

#endif
