/*
 * A record that waits, held as the bytes that it has: one allocation with its key, value and
 * headers. A message of librdkafka keeps the whole response alive that it was fetched with, and
 * its headers are parsed into a list of allocations; so neither is kept while a record waits.
 *
 * Any thread. Freed with free().
 */
#ifndef COMMON_KAFKA_HELD_RECORD_H
#define COMMON_KAFKA_HELD_RECORD_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>
#include <stdint.h>

/* The fields that rd_kafka_message_t has, too, are called as they are there. */
struct held_record {
    int32_t partition;
    const void *key; /* NULL: none */
    size_t key_len;
    const void *payload; /* NULL: a tombstone */
    size_t len;
    size_t headers_len;
    const char *headers; /* serialised: held_record_headers() reads them */
    size_t size;         /* bytes of the whole allocation: what a bound counts */
};

/* The bytes of headers, as they are serialised; NULL: 0. */
size_t held_headers_size(const rd_kafka_headers_t *headers);
/* A copy of a message that was received; `message` stays the caller's. */
struct held_record *held_record_new(const rd_kafka_message_t *message);
/*
 * Its headers, in their order and as often as they are there; the caller destroys them with
 * rd_kafka_headers_destroy(). NULL: there are none.
 */
rd_kafka_headers_t *held_record_headers(const struct held_record *r);

#endif
