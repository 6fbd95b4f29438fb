/*
 * A handle of librdkafka: its configuration, its logs and errors, and whether a broker is reached.
 *
 * All handles are used from the loop's thread only. librdkafka's threads reach it through queues
 * that wake the loop (common/kafka/wakeup.h).
 */
#ifndef COMMON_KAFKA_HANDLE_H
#define COMMON_KAFKA_HANDLE_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/base/must_check.h"
#include "common/kafka/options.h"
#include "common/kafka/trouble.h"

/* From librdkafka's statistics and errors: about a second old while the handle is polled. */
struct kafka_health {
    bool up;     /* a broker is reached */
    int64_t lag; /* records behind the end, over the assigned partitions; -1: not known */
    char trouble[KAFKA_TROUBLE_MAX]; /* why no broker is reached, or the sign-in fails; "": not
                                        known */
    bool trouble_is_outage;          /* the first of the two */
};

/*
 * The opaque of every handle (rd_kafka_opaque()): an owner embeds it as its first member. `fatal`,
 * if set, is called from within a poll when the handle can never work again.
 */
struct kafka_owner {
    struct kafka_health health;
    void (*fatal)(struct kafka_owner *owner);
    const struct kafka_options *kafka;
    atomic_int certificate_fault; /* the last X509_V_ERR_…, from the threads of the brokers */
    int64_t logged_ms[KAFKA_TROUBLE_KINDS]; /* when each kind was logged last, loop_wall() */
};

/*
 * A configuration with what all handles share and with the user's properties: brokers, client.id,
 * logs, errors and statistics. The caller adds its own with kafka_set(); those that a guarantee
 * rests on cannot be set by the user (common/kafka/properties.h).
 */
rd_kafka_conf_t *kafka_conf(const struct kafka_options *kafka);
/* The name must be one that every librdkafka from 2.0 on knows: else the program aborts. */
void kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value);
/* For a property that only newer ones know. False: this one does not, and nothing is set. */
bool kafka_set_where_known(rd_kafka_conf_t *conf, const char *name, const char *value);
/* kafka_set(), where the user has not set it. */
void kafka_set_default(rd_kafka_conf_t *conf, const struct kafka_options *kafka, const char *name,
                       const char *value);

/*
 * Takes `conf`, which kafka_conf(kafka) has made. NULL on failure, with the reason in `error`.
 * `kafka` and `owner` must outlive the handle.
 */
rd_kafka_t *kafka_open(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                       const struct kafka_options *kafka, struct kafka_owner *owner, char *error,
                       size_t error_size);
/*
 * Destroys the handle; `flags` are those of rd_kafka_destroy_flags(). Blocks for 5 s at most.
 * False, logged: the handle did not end in time, its threads live on until the process ends, and
 * `owner` must not be freed.
 */
MUST_CHECK bool kafka_close(struct kafka_owner *owner, rd_kafka_t *rk, int flags);
/* For /readyz: appends "no broker reached at …" and the trouble, where that is known. */
void kafka_describe_down(const struct kafka_owner *owner, struct buffer *why);

#endif
