/*
 * What the executor's parts need from outside, for tests that link them one by one: a clock,
 * records of Kafka, a producer, an AWS client and a reader of states that do nothing by themselves
 * but keep what they were given. To be included by one file of a test; whoever includes it links
 * none of the real ones.
 */
#ifndef TESTS_UNIT_EXECUTOR_STUBS_H
#define TESTS_UNIT_EXECUTOR_STUBS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/aws/client.h"
#include "common/aws/cloudwatch.h"
#include "common/base/loop.h"
#include "common/base/memory.h"
#include "common/kafka/producer.h"
#include "common/kafka/refetch.h"
#include "common/kafka/status_reader.h"

/* --- time ------------------------------------------------------------------------------------- */

enum {
    STUB_STEP_MS = 50
};

/* Stands still between two calls of stub_run(), so that no test waits and each meets the same. */
static int64_t stub_clock_ms = 1700000000000;

int clock_gettime(clockid_t clock, struct timespec *t) {
    (void)clock;
    t->tv_sec = stub_clock_ms / 1000;
    t->tv_nsec = stub_clock_ms % 1000 * 1000000;
    return 0;
}

/* Of what a back-off may be, the longest. */
ssize_t getrandom(void *out, size_t n, unsigned flags) {
    (void)flags;
    memset(out, 0xff, n);
    return (ssize_t)n;
}

static inline void stub_wake(void *arg) {
    (void)arg;
}

/* One iteration of the loop that waits for nothing. */
static inline void stub_iterate(struct loop *loop) {
    struct loop_timer now = {0};
    loop_timer_set(loop, &now, 0, stub_wake, NULL);
    assert_true(loop_run_once(loop));
}

/* Lets `ms` go by in small steps, and serves what is due. */
static inline void stub_run(struct loop *loop, int64_t ms) {
    stub_iterate(loop);
    for (int64_t left = ms; left > 0; left -= STUB_STEP_MS) {
        stub_clock_ms += left < STUB_STEP_MS ? left : STUB_STEP_MS;
        stub_iterate(loop);
    }
    stub_iterate(loop); /* what the last one deferred */
}

/* --- records of Kafka ------------------------------------------------------------------------- */

struct stub_message {
    rd_kafka_message_t message; /* first: it is what the code under test holds */
    int64_t written_ms;
    rd_kafka_headers_t *headers; /* owned, NULL: none */
    char *value;                 /* owned */
};

static int stub_messages_alive;

/* A record of partition 0, written now; takes `headers`. `value` NULL: a tombstone. */
static inline rd_kafka_message_t *stub_message(int64_t offset, const char *key, const char *value,
                                               rd_kafka_headers_t *headers) {
    struct stub_message *m = mem_zero(sizeof *m);
    m->written_ms = stub_clock_ms;
    m->headers = headers;
    m->value = mem_string(value);
    m->message.offset = offset;
    m->message.key = (void *)(uintptr_t)key;
    m->message.key_len = key != NULL ? strlen(key) : 0;
    m->message.payload = m->value;
    m->message.len = value != NULL ? strlen(value) : 0;
    stub_messages_alive++;
    return &m->message;
}

void rd_kafka_message_destroy(rd_kafka_message_t *message) {
    struct stub_message *m = (struct stub_message *)(void *)message;
    if (m->headers != NULL)
        rd_kafka_headers_destroy(m->headers);
    free(m->value);
    free(m);
    stub_messages_alive--;
}

int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *message,
                                   rd_kafka_timestamp_type_t *type) {
    *type = RD_KAFKA_TIMESTAMP_CREATE_TIME;
    return ((const struct stub_message *)(const void *)message)->written_ms;
}

rd_kafka_resp_err_t rd_kafka_message_headers(const rd_kafka_message_t *message,
                                             rd_kafka_headers_t **headers) {
    *headers = ((const struct stub_message *)(const void *)message)->headers;
    return *headers != NULL ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__NOENT;
}

const char *rd_kafka_topic_name(const rd_kafka_topic_t *topic) {
    (void)topic;
    return "athena-query";
}

/* --- what is fetched again -------------------------------------------------------------------- */

static struct {
    bool runs;
    bool refuses; /* the partition cannot be read */
    int32_t partition;
    int64_t from, to;
    int started;
} stub_refetch;

bool kafka_refetch_start(struct kafka_refetch *f, int32_t partition, int64_t from, int64_t to) {
    (void)f;
    assert_false(stub_refetch.runs);
    stub_refetch.started++;
    stub_refetch.runs = !stub_refetch.refuses;
    stub_refetch.partition = partition;
    stub_refetch.from = from;
    stub_refetch.to = to;
    return stub_refetch.runs;
}

void kafka_refetch_stop(struct kafka_refetch *f) {
    (void)f;
    stub_refetch.runs = false;
}

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

/* No answer has come back: perhaps the request arrived. */
static inline void stub_aws_lose(struct aws_call *call) {
    const struct aws_answer answer = {
        .http = {.result = HTTP_LOST, .body = "", .error = "timed out"},
        .code = "",
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

static struct {
    int refused;     /* how often */
    unsigned serial; /* of what was refused last */
    bool has;        /* there are some */
} stub_credentials;

void credentials_refused_serial(struct credentials_provider *p, unsigned serial) {
    (void)p;
    stub_credentials.refused++;
    stub_credentials.serial = serial;
}

const struct credentials *credentials_get(struct credentials_provider *p, int64_t now,
                                          const char **why) {
    (void)p;
    (void)now;
    *why = "none in this test";
    return stub_credentials.has ? (const struct credentials *)(const void *)&stub_credentials
                                : NULL;
}

/* The oldest call that is neither answered nor cancelled; NULL: there is none. */
static inline struct aws_call *stub_aws_open(void) {
    for (size_t i = 0; i < stub_aws.count; i++)
        if (stub_aws.calls[i].open)
            return &stub_aws.calls[i];
    return NULL;
}

static inline size_t stub_aws_open_count(void) {
    size_t count = 0;
    for (size_t i = 0; i < stub_aws.count; i++)
        count += stub_aws.calls[i].open;
    return count;
}

/* --- the producer ----------------------------------------------------------------------------- */

enum {
    STUB_SENDS = 256
};

struct stub_send {
    char *topic, *value; /* owned */
    size_t value_len;
    char *key;                   /* owned, NULL: none */
    rd_kafka_headers_t *headers; /* owned, NULL: none */
    producer_done_fn *fn;        /* NULL: nobody waits for it */
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
    stub_producer.sends[stub_producer.count++] = (struct stub_send){
        .topic = mem_string(record->topic),
        .value = record->value != NULL ? mem_bytes(record->value, record->value_len) : NULL,
        .value_len = record->value_len,
        .key = record->key != NULL ? mem_bytes(record->key, record->key_len) : NULL,
        .headers = record->headers,
        .fn = fn,
        .arg = arg,
        .open = fn != NULL,
    };
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
        free(stub_producer.sends[i].key);
        if (stub_producer.sends[i].headers != NULL)
            rd_kafka_headers_destroy(stub_producer.sends[i].headers);
    }
    memset(&stub_aws, 0, sizeof stub_aws);
    memset(&stub_producer, 0, sizeof stub_producer);
    memset(&stub_credentials, 0, sizeof stub_credentials);
    stub_messages_alive = 0;
    memset(&stub_refetch, 0, sizeof stub_refetch);
    memset(&stub_reader, 0, sizeof stub_reader);
}

#endif
