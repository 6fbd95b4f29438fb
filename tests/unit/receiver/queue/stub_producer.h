/*
 * A producer for tests: it keeps what it is given, and the test acknowledges or refuses it.
 */
#ifndef TESTS_STUB_PRODUCER_H
#define TESTS_STUB_PRODUCER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/kafka/producer.h"

enum {
    STUB_RECORDS_MAX = 8
};

struct stub_record {
    char topic[64], key[300], value[1024];
    size_t headers;
    producer_done_fn *fn; /* NULL: nobody waits for it */
    void *arg;
};

static struct {
    struct stub_record records[STUB_RECORDS_MAX];
    size_t count;
    rd_kafka_resp_err_t refuse; /* the next record, with this error */
} stub;

rd_kafka_resp_err_t producer_send(struct producer *p, const struct producer_record *record,
                                  producer_done_fn *fn, void *arg) {
    (void)p;
    if (stub.refuse != RD_KAFKA_RESP_ERR_NO_ERROR)
        return stub.refuse;
    assert_true(stub.count < STUB_RECORDS_MAX);
    struct stub_record *r = &stub.records[stub.count++];
    *r = (struct stub_record){.fn = fn, .arg = arg};
    snprintf(r->topic, sizeof r->topic, "%s", record->topic);
    snprintf(r->key, sizeof r->key, "%.*s", (int)record->key_len, (const char *)record->key);
    snprintf(r->value, sizeof r->value, "%.*s", (int)record->value_len,
             (const char *)record->value);
    if (record->headers != NULL) {
        r->headers = rd_kafka_header_cnt(record->headers);
        rd_kafka_headers_destroy(record->headers);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The delivery report of the record of this place. */
static inline void stub_deliver(size_t i, rd_kafka_resp_err_t err, int32_t partition,
                                int64_t offset) {
    struct stub_record *r = &stub.records[i];
    producer_done_fn *fn = r->fn;
    r->fn = NULL;
    fn(r->arg, err, partition, offset);
}

#endif
