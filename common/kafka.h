/*
 * librdkafka at the edge: properties from the environment, handles, and waking the loop.
 *
 * All handles are used from the loop's thread only. librdkafka's threads reach us through queues
 * that wake the loop by an eventfd.
 */
#ifndef COMMON_KAFKA_H
#define COMMON_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/loop.h"
#include "common/options.h"

/* The read_more of a struct program: KAFKA_… of the environment into common->kafka. */
void kafka_properties_read(struct options_common *common, struct buffer *faults);

/* Whether a broker is reached, as librdkafka last said; one for each handle, kept by its owner. */
struct kafka_health {
    bool up;
    int64_t lag; /* sum over the assigned partitions, -1: not known */
};

/*
 * A configuration with what all handles share and the user's properties in it: brokers, client.id,
 * logging, statistics into *health (which must outlive the handle). The caller adds its own with
 * kafka_set() and callbacks; those that a guarantee rests on come last and win.
 * The opaque of the handle (rd_kafka_opaque) is `opaque`; `health` is found by a table of its own.
 */
rd_kafka_conf_t *kafka_conf(const struct options_common *common, rd_kafka_type_t type);
void kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value);

/* What is at the root of every handle's opaque. Embed it first in the owner's struct. */
struct kafka_owner {
    struct kafka_health health;
};

/* Takes `conf`. NULL on failure, with the reason in `error`. The opaque is `owner`. */
rd_kafka_t *kafka_open(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct kafka_owner *owner,
                       char *error, size_t error_size);

/* Wakes the loop whenever `queue` stops being empty, and once at the start. */
struct kafka_wakeup;
struct kafka_wakeup *kafka_wakeup_open(struct loop *loop, rd_kafka_queue_t *queue, loop_fn *fn,
                                       void *arg);
void kafka_wakeup_again(struct kafka_wakeup *w); /* in the next turn, without waiting */
void kafka_wakeup_close(struct kafka_wakeup *w);

#endif
