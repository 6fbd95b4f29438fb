/* Records and what is reported of them, against librdkafka's in-memory broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#include "common/kafka/producer.h"
#include "tests/unit/common/kafka/mock_broker.h"

enum {
    PRODUCE_KEY = 0, /* of the protocol */
    RECORDS = 12,    /* one a topic: more than any program has */
    TIMEOUT_MS = 20000
};

/* The last handle that was made: librdkafka's own test of a fatal error wants it. */
static rd_kafka_t *last_handle;
static int handles_made;
static bool no_more_handles;

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *error, size_t size) {
    rd_kafka_t *(*real)(rd_kafka_type_t, rd_kafka_conf_t *, char *, size_t);
    *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_new");
    handles_made++;
    if (no_more_handles) {
        snprintf(error, size, "no more");
        return NULL;
    }
    return last_handle = real(type, conf, error, size);
}

struct reports {
    size_t count, faults;
    rd_kafka_resp_err_t last;
    struct producer *again; /* a record is sent from within the report; NULL: none */
    rd_kafka_resp_err_t again_err;
};

static void report(void *arg, rd_kafka_resp_err_t err, int32_t partition, int64_t offset) {
    struct reports *r = arg;
    r->count++;
    r->last = err;
    r->faults += err != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        assert_true(partition >= 0);
        assert_true(offset >= 0);
    }
    if (r->again != NULL) {
        struct producer *p = r->again;
        r->again = NULL;
        r->again_err = producer_send(
            p, &(struct producer_record){.topic = "t0", .value = "v", .value_len = 1}, NULL, NULL);
    }
}

static struct producer *open_producer(struct mock_broker *b) {
    char error[512] = "";
    struct producer *p = producer_open(b->loop, &b->kafka, TIMEOUT_MS, error, sizeof error);
    if (p == NULL)
        fail_msg("%s", error);
    return p;
}

static rd_kafka_resp_err_t send_to(struct producer *p, const char *topic, struct reports *r) {
    struct producer_record record = {
        .topic = topic, .key = "k", .key_len = 1, .value = "value", .value_len = 5};
    return producer_send(p, &record, report, r);
}

static bool none_in_flight(void *arg) {
    return producer_in_flight(arg) == 0;
}

static void test_every_topic_is_taken(void **state) {
    (void)state;
    struct mock_broker b;
    struct reports r = {0};
    mock_broker_open(&b);
    struct producer *p = open_producer(&b);
    for (int again = 0; again < 2; again++)
        for (int i = 0; i < RECORDS; i++) {
            char topic[32];
            snprintf(topic, sizeof topic, "t%d", i);
            rd_kafka_resp_err_t err = send_to(p, topic, &r);
            if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
                fail_msg("topic %d of one producer is refused: %s", i + 1, rd_kafka_err2str(err));
        }
    mock_broker_wait_until(&b, none_in_flight, p, "all are reported");
    assert_int_equal(r.count, 2 * RECORDS);
    assert_int_equal(r.faults, 0);
    producer_close(p);
    assert_int_equal(r.count, 2 * RECORDS);
    mock_broker_close(&b);
}

/* Nobody answers for these: they are in flight until the handle goes. */
static void test_a_close_reports_what_is_in_flight(void **state) {
    (void)state;
    struct mock_broker b;
    mock_broker_open(&b);
    rd_kafka_mock_broker_set_down(b.cluster, 1);
    struct producer *p = open_producer(&b);
    struct reports r = {.again = p, .again_err = RD_KAFKA_RESP_ERR_NO_ERROR};
    for (int i = 0; i < 3; i++)
        assert_int_equal(send_to(p, "t0", &r), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(producer_in_flight(p), 3);
    producer_close(p);
    assert_int_equal(r.count, 3);
    assert_int_equal(r.faults, 3);
    assert_int_equal(r.again_err, RD_KAFKA_RESP_ERR__QUEUE_FULL);
    mock_broker_close(&b);
}

static bool is_another_handle(void *before) { /* not by its address, which may be used again */
    return handles_made > *(int *)before;
}

static void test_a_fatal_handle_is_replaced(void **state) {
    (void)state;
    struct mock_broker b;
    struct reports before = {0}, after = {0};
    mock_broker_open(&b);
    rd_kafka_mock_broker_set_down(b.cluster, 1);
    struct producer *p = open_producer(&b);
    int before_fault = handles_made;
    assert_int_equal(send_to(p, "t0", &before), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_test_fatal_error(last_handle, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                              "a test");
    mock_broker_wait_until(&b, is_another_handle, &before_fault, "another handle");
    mock_broker_wait_until(&b, none_in_flight, p, "what was in flight is reported");
    assert_int_equal(before.count, 1);
    assert_int_equal(before.faults, 1);

    rd_kafka_mock_broker_set_up(b.cluster, 1);
    assert_int_equal(send_to(p, "t0", &after), RD_KAFKA_RESP_ERR_NO_ERROR);
    mock_broker_wait_until(&b, none_in_flight, p, "the new handle works");
    assert_int_equal(after.count, 1);
    assert_int_equal(after.faults, 0);
    producer_close(p);
    mock_broker_close(&b);
}

/* The headers are the producer's where the record was taken, the caller's where it was not. */
static void test_what_is_not_taken_stays_the_callers(void **state) {
    (void)state;
    static char large[3 << 20];
    struct mock_broker b;
    struct reports r = {0};
    mock_broker_open(&b);
    struct producer *p = open_producer(&b);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    struct producer_record record = {
        .topic = "t0", .value = large, .value_len = sizeof large, .headers = headers};
    assert_int_equal(producer_send(p, &record, report, &r), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    rd_kafka_header_add(headers, "name", -1, "value", -1);
    record.value_len = 1;
    assert_int_equal(producer_send(p, &record, report, &r), RD_KAFKA_RESP_ERR_NO_ERROR);
    mock_broker_wait_until(&b, none_in_flight, p, "the small one is acknowledged");
    assert_int_equal(r.count, 1);
    assert_int_equal(r.faults, 0);
    producer_close(p);
    mock_broker_close(&b);
}

static void test_a_refusal_of_the_broker_is_reported(void **state) {
    (void)state;
    struct mock_broker b;
    struct reports r = {0};
    mock_broker_open(&b);
    struct producer *p = open_producer(&b);
    rd_kafka_mock_push_request_errors(b.cluster, 0 /* Produce */, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(send_to(p, "t0", &r), RD_KAFKA_RESP_ERR_NO_ERROR);
    mock_broker_wait_until(&b, none_in_flight, p, "it is reported");
    assert_int_equal(r.count, 1);
    assert_int_equal(r.last, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    producer_close(p);
    mock_broker_close(&b);
}

/*
 * The broker refuses a batch as too large: each of its records is sent once more, alone, and only
 * one that is refused then is reported as too large.
 */
static void test_a_batch_that_is_too_large(void **state) {
    (void)state;
    static const rd_kafka_resp_err_t refusals[] = {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                                   RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE};
    struct mock_broker b;
    mock_broker_open(&b);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct reports r = {0};
        struct producer *p = open_producer(&b);
        assert_int_equal(send_to(p, "t0", &r),
                         RD_KAFKA_RESP_ERR_NO_ERROR); /* it knows its leader now */
        mock_broker_wait_until(&b, none_in_flight, p, "the first is reported");
        rd_kafka_mock_push_request_errors(b.cluster, PRODUCE_KEY, 1, refusals[i]);
        for (int record = 0; record < 3; record++)
            assert_int_equal(send_to(p, "t0", &r), RD_KAFKA_RESP_ERR_NO_ERROR);
        mock_broker_wait_until(&b, none_in_flight, p, "the batch is reported");
        assert_int_equal(r.count, 4);
        assert_int_equal(r.faults, 0);
        rd_kafka_mock_push_request_errors(b.cluster, PRODUCE_KEY, 2, refusals[i], refusals[i]);
        assert_int_equal(send_to(p, "t0", &r), RD_KAFKA_RESP_ERR_NO_ERROR);
        mock_broker_wait_until(&b, none_in_flight, p, "the large one is reported");
        assert_int_equal(r.count, 5);
        assert_int_equal(r.last, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
        producer_close(p);
    }
    mock_broker_close(&b);
}

/*
 * A copy that is too large, for librdkafka or for the broker, is sent compressed; only what is
 * refused then is reported as too large. Nothing is left open for it.
 */
static void test_a_copy_that_is_too_large(void **state) {
    (void)state;
    static char large[3 << 20], too_large[65 << 20];
    struct mock_broker b;
    struct reports r = {0};
    mock_broker_open(&b);
    struct producer *p = open_producer(&b);
    struct producer_record record = {.topic = "t0", .value = "v", .value_len = 1};
    record.may_compress = true;
    assert_int_equal(producer_send(p, &record, report, &r), RD_KAFKA_RESP_ERR_NO_ERROR);
    mock_broker_wait_until(&b, none_in_flight, p, "the first is reported");
    for (int refusals = 1; refusals <= 2; refusals++) {
        for (int i = 0; i < refusals; i++)
            rd_kafka_mock_push_request_errors(b.cluster, PRODUCE_KEY, 1,
                                              RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
        record.headers = rd_kafka_headers_new(1);
        assert_int_equal(producer_send(p, &record, report, &r), RD_KAFKA_RESP_ERR_NO_ERROR);
        mock_broker_wait_until(&b, none_in_flight, p, "it is reported");
        assert_int_equal(r.count, 1 + refusals);
        assert_int_equal(r.last, refusals == 2 ? RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
                                               : RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    record = (struct producer_record){.topic = "t0", .value = large, .value_len = sizeof large};
    assert_int_equal(producer_send(p, &record, report, &r), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    record.may_compress = true;
    assert_int_equal(producer_send(p, &record, report, &r), RD_KAFKA_RESP_ERR_NO_ERROR);
    mock_broker_wait_until(&b, none_in_flight, p, "the large one is reported");
    assert_int_equal(r.count, 4);
    assert_int_equal(r.last, RD_KAFKA_RESP_ERR_NO_ERROR);
    record.value = too_large;
    record.value_len = sizeof too_large;
    assert_int_equal(producer_send(p, &record, report, &r), RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    producer_close(p);
    assert_int_equal(r.count, 4);
    mock_broker_close(&b);
}

/* What cannot be tried alone may be small enough: it is reported as failed, not as too large. */
static void test_a_batch_that_cannot_be_sent_alone(void **state) {
    (void)state;
    for (int may_compress = 0; may_compress < 2; may_compress++) {
        struct mock_broker b;
        struct reports r = {0};
        mock_broker_open(&b);
        struct producer *p = open_producer(&b);
        struct producer_record record = {.topic = "t0", .value = "v", .value_len = 1};
        record.may_compress = may_compress;
        assert_int_equal(producer_send(p, &record, report, &r), RD_KAFKA_RESP_ERR_NO_ERROR);
        mock_broker_wait_until(&b, none_in_flight, p, "the first is reported");
        no_more_handles = true;
        rd_kafka_mock_push_request_errors(b.cluster, PRODUCE_KEY, 1,
                                          RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
        assert_int_equal(producer_send(p, &record, report, &r), RD_KAFKA_RESP_ERR_NO_ERROR);
        mock_broker_wait_until(&b, none_in_flight, p, "it is reported");
        no_more_handles = false;
        assert_int_equal(r.count, 2);
        assert_int_equal(r.last, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE);
        producer_close(p);
        mock_broker_close(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_close_reports_what_is_in_flight),
        cmocka_unit_test(test_a_fatal_handle_is_replaced),
        cmocka_unit_test(test_what_is_not_taken_stays_the_callers),
        cmocka_unit_test(test_a_refusal_of_the_broker_is_reported),
        cmocka_unit_test(test_a_batch_that_is_too_large),
        cmocka_unit_test(test_a_copy_that_is_too_large),
        cmocka_unit_test(test_a_batch_that_cannot_be_sent_alone),
        cmocka_unit_test(test_every_topic_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
