/*
 * Records to Kafka, each with a word on what became of it.
 *
 * acks=all and idempotent, always. A handle that idempotence made fatal ("sequence
 * desynchronization", librdkafka #3584) never recovers, so it is built anew: what was in flight
 * is reported as failed, and its sender sends it again or says so to its client.
 */
#ifndef COMMON_KAFKA_PRODUCER_H
#define COMMON_KAFKA_PRODUCER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/loop.h"
#include "common/base/options.h"

struct producer;

/*
 * Called exactly once for each record that producer_send() took. Only RD_KAFKA_RESP_ERR_NO_ERROR
 * means that the record is on all in-sync replicas; after any other it may be there all the same.
 */
typedef void producer_done_fn(void *arg, rd_kafka_resp_err_t err, int32_t partition,
                              int64_t offset);

/* `timeout_ms`: how long a record is tried before it is reported as failed. NULL: see `error`. */
struct producer *producer_open(struct loop *loop, const struct options_common *common,
                               int64_t timeout_ms, char *error, size_t error_size);
/* Reports all that is still in flight as failed, then frees. */
void producer_close(struct producer *p);

struct producer_record {
    const char *topic;
    const void *key; /* NULL with key_len 0: no key */
    size_t key_len;
    const void *value; /* copied */
    size_t value_len;
    rd_kafka_headers_t *headers; /* may be NULL; the producer's on success, the caller's else */
};

/*
 * RD_KAFKA_RESP_ERR_NO_ERROR: taken, `fn` will be called, never from within this call. Else not
 * taken: _QUEUE_FULL is back-pressure, MSG_SIZE_TOO_LARGE is for good. `fn` may be NULL.
 */
rd_kafka_resp_err_t producer_send(struct producer *p, const struct producer_record *record,
                                  producer_done_fn *fn, void *arg);

size_t producer_in_flight(const struct producer *p); /* records not yet reported */
bool producer_up(const struct producer *p);          /* a broker is reached */
/* For /readyz, where it is not up: why, a line. */
void producer_tell_down(const struct producer *p, struct buffer *why);

#endif
