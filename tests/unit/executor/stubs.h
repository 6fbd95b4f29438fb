/*
 * What the executor's parts need from outside, for tests that link them one by one: a producer, an
 * AWS client and a reader of states that do nothing by themselves but keep what they were given.
 * To be included by one file of a test; whoever includes it links none of the real ones.
 */
#ifndef TESTS_UNIT_EXECUTOR_STUBS_H
#define TESTS_UNIT_EXECUTOR_STUBS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/client.h"
#include "common/aws/cloudwatch.h"
#include "common/base/memory.h"
#include "common/kafka/producer.h"
#include "common/kafka/status_reader.h"

/* --- the AWS client --------------------------------------------------------------------------- */

enum {
    STUB_CALLS = 256
};

struct aws_call {
    char *operation, *body; /* owned */
    aws_done_fn *fn;
    void *arg;
    bool open; /* neither answered nor cancelled */
};

static struct {
    struct aws_call calls[STUB_CALLS]; /* in the order in which they were made */
    size_t count;
} stub_aws;

const struct aws_service aws_athena = {.name = "athena"};
const struct aws_service aws_cloudwatch = {.name = "cloudwatch"};

struct aws_call *aws_start(struct aws_client *c, const struct aws_service *service,
                           const char *operation, const char *body, size_t body_len,
                           int64_t timeout_ms, aws_done_fn *fn, void *arg) {
    (void)c;
    (void)service;
    (void)timeout_ms;
    assert_true(stub_aws.count < STUB_CALLS);
    struct aws_call *call = &stub_aws.calls[stub_aws.count++];
    *call = (struct aws_call){mem_string(operation), mem_bytes(body, body_len), fn, arg, true};
    return call;
}

void aws_cancel(struct aws_call *call) {
    assert_true(call->open);
    call->open = false;
}

/* Answers with this status and body; `code`: of an error, "" for none. */
static inline void stub_aws_answer(struct aws_call *call, int status, const char *code,
                                   const char *body) {
    const struct aws_answer answer = {
        .http = {.result = HTTP_ANSWERED,
                 .status = status,
                 .body = body,
                 .body_len = strlen(body),
                 .error = ""},
        .code = code,
        .message = "",
        .reason = "",
        .athena_code = "",
    };
    assert_true(call->open);
    call->open = false;
    call->fn(call->arg, &answer);
}

void cloudwatch_count(struct cloudwatch *c, enum cloudwatch_counter counter, const char *database) {
    (void)c;
    (void)counter;
    (void)database;
}

void credentials_refused_serial(struct credentials_provider *p, unsigned serial) {
    (void)p;
    (void)serial;
}

const struct credentials *credentials_get(struct credentials_provider *p, int64_t now,
                                          const char **why) {
    (void)p;
    (void)now;
    *why = "none in this test";
    return NULL;
}

/* --- the producer ----------------------------------------------------------------------------- */

enum {
    STUB_SENDS = 256
};

struct stub_send {
    char *topic, *value; /* owned */
    size_t value_len;
    producer_done_fn *fn; /* NULL: nobody waits for it */
    void *arg;
    bool open; /* not reported yet */
};

static struct {
    struct stub_send sends[STUB_SENDS]; /* those that were taken, in their order */
    size_t count;
    rd_kafka_resp_err_t refuses; /* what producer_send() returns; 0: it takes all */
} stub_producer;

rd_kafka_resp_err_t producer_send(struct producer *p, const struct producer_record *record,
                                  producer_done_fn *fn, void *arg) {
    (void)p;
    if (stub_producer.refuses != RD_KAFKA_RESP_ERR_NO_ERROR)
        return stub_producer.refuses;
    assert_true(stub_producer.count < STUB_SENDS);
    if (record->headers != NULL)
        rd_kafka_headers_destroy(record->headers);
    stub_producer.sends[stub_producer.count++] = (struct stub_send){
        mem_string(record->topic),
        record->value != NULL ? mem_bytes(record->value, record->value_len) : NULL,
        record->value_len,
        fn,
        arg,
        fn != NULL};
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Reports what became of it. */
static inline void stub_producer_report(struct stub_send *send, rd_kafka_resp_err_t err) {
    assert_true(send->open);
    send->open = false;
    send->fn(send->arg, err, 0, 0);
}

/* --- the reader of states --------------------------------------------------------------------- */

static struct { bool behind; /* it has not caught up yet */ } stub_reader;

bool status_reader_caught_up(const struct status_reader *r) {
    (void)r;
    return !stub_reader.behind;
}

/* --- between two tests ------------------------------------------------------------------------ */

static inline void stubs_reset(void) {
    for (size_t i = 0; i < stub_aws.count; i++) {
        free(stub_aws.calls[i].operation);
        free(stub_aws.calls[i].body);
    }
    for (size_t i = 0; i < stub_producer.count; i++) {
        free(stub_producer.sends[i].topic);
        free(stub_producer.sends[i].value);
    }
    memset(&stub_aws, 0, sizeof stub_aws);
    memset(&stub_producer, 0, sizeof stub_producer);
    memset(&stub_reader, 0, sizeof stub_reader);
}

#endif
