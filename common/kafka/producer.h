/*
 * Sends records to Kafka and reports for each whether it was acknowledged.
 *
 * acks=all and idempotent, always. After a fatal error of the idempotent producer ("sequence
 * desynchronization", librdkafka #3584) a handle never recovers, so it is replaced by a new one:
 * records in flight are reported as failed, and their senders decide whether to send them again.
 *
 * A batch that the broker refuses as too large says nothing of its records, so each is sent once
 * more alone; RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE is reported only for a record that is too large
 * itself. The broker's bound (max.message.bytes of the topic) is on the bytes it receives: a record
 * that came compressed may be too large as a plain copy, so a copy is sent compressed then
 * (`may_compress`).
 *
 * All functions are called from the loop's thread, and callbacks come on it.
 */
#ifndef COMMON_KAFKA_PRODUCER_H
#define COMMON_KAFKA_PRODUCER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/loop.h"
#include "common/kafka/options.h"

struct producer;

/*
 * Called exactly once for each record that producer_send() took. Only RD_KAFKA_RESP_ERR_NO_ERROR
 * means that the record is on all in-sync replicas; after any other it may be there all the same.
 */
typedef void producer_done_fn(void *arg, rd_kafka_resp_err_t err, int32_t partition,
                              int64_t offset);

/*
 * `timeout_ms`: how long a record is tried before it is reported as failed. `kafka` is borrowed
 * and must outlive the producer. NULL on failure, with the reason in `error`.
 */
struct producer *producer_open(struct loop *loop, const struct kafka_options *kafka,
                               int64_t timeout_ms, char *error, size_t error_size);
/* Reports what is still in flight as failed, then frees. Waits 2 s at most. NULL is fine. */
void producer_close(struct producer *p);

struct producer_record {
    const char *topic; /* any number of different ones */
    const void *key;   /* NULL with key_len 0: no key */
    size_t key_len;
    const void *value; /* copied */
    size_t value_len;
    int64_t timestamp_ms;        /* of the record, UTC since the epoch; 0: now */
    rd_kafka_headers_t *headers; /* may be NULL; the producer's on success, the caller's else */
    bool may_compress; /* what is too large, for librdkafka or the broker, is sent compressed */
};

/*
 * RD_KAFKA_RESP_ERR_NO_ERROR: taken, `fn` will be called, never from within this call. Any other:
 * not taken. _QUEUE_FULL is back-pressure: send it later. MSG_SIZE_TOO_LARGE is permanent. `fn` may
 * be NULL.
 */
rd_kafka_resp_err_t producer_send(struct producer *p, const struct producer_record *record,
                                  producer_done_fn *fn, void *arg);

size_t producer_in_flight(const struct producer *p); /* records not yet reported */
bool producer_up(const struct producer *p);          /* a broker is reached */
/* For /readyz, where no broker is reached: appends one line with the reason. */
void producer_describe_down(const struct producer *p, struct buffer *why);

#endif
