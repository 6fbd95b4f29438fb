/* Runs of offsets that are fetched once more, against librdkafka's in-memory broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/kafka/producer.h"
#include "common/kafka/refetch.h"
#include "tests/unit/common/kafka/mock_broker.h"

enum {
    RECORDS = 300,
    TIMEOUT_MS = 20000
};

static const char topic[] = "queries";

static struct refetching {
    struct mock_broker broker;
    struct producer *producer;
    struct kafka_refetch *refetch;
    int64_t first, last; /* that came; -1: none did */
    int count, ended;
    bool is_last;     /* as the end said */
    int64_t stop_at;  /* the run is ended from within this record's callback; -1: none */
    int64_t again_at; /* behind the first run another one begins here; -1: none does */
} t;

static void on_record(void *arg, rd_kafka_message_t *message) {
    (void)arg;
    assert_int_equal(message->partition, 0);
    if (t.count++ == 0)
        t.first = message->offset;
    else
        assert_int_equal(message->offset, t.last + 1);
    t.last = message->offset;
    rd_kafka_message_destroy(message);
    if (t.last == t.stop_at)
        kafka_refetch_stop(t.refetch);
}

static void on_ended(void *arg, bool last) {
    (void)arg;
    t.ended++;
    t.is_last = last;
    if (t.again_at < 0)
        return;
    t.count = 0;
    assert_true(kafka_refetch_start(t.refetch, 0, t.again_at, t.again_at));
    t.again_at = -1;
}

static void on_report(void *arg, rd_kafka_resp_err_t err, int32_t partition, int64_t offset) {
    (void)arg, (void)partition, (void)offset;
    assert_int_equal(err, RD_KAFKA_RESP_ERR_NO_ERROR);
}

static bool none_in_flight(void *arg) {
    (void)arg;
    return producer_in_flight(t.producer) == 0;
}

static bool has_ended(void *arg) {
    return t.ended == *(const int *)arg;
}

static void wait_ended(int times) {
    mock_broker_wait_until(&t.broker, has_ended, &times, "the end of the run");
}

static int begin(void **state) {
    (void)state;
    char error[512] = "";
    const struct kafka_refetch_events events = {on_record, on_ended, NULL};
    t = (struct refetching){.first = -1, .last = -1, .stop_at = -1, .again_at = -1};
    mock_broker_open(&t.broker);
    assert_int_equal(rd_kafka_mock_topic_create(t.broker.cluster, topic, 1, 1), 0);
    t.producer = producer_open(t.broker.loop, &t.broker.kafka, TIMEOUT_MS, error, sizeof error);
    t.refetch =
        kafka_refetch_open(t.broker.loop, &t.broker.kafka, topic, &events, error, sizeof error);
    assert_non_null(t.producer);
    assert_non_null(t.refetch);
    for (int i = 0; i < RECORDS; i++) {
        struct producer_record record = {.topic = topic, .value = "v", .value_len = 1};
        assert_int_equal(producer_send(t.producer, &record, on_report, NULL),
                         RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    mock_broker_wait_until(&t.broker, none_in_flight, NULL, "the acknowledgements");
    return 0;
}

static int end(void **state) {
    (void)state;
    producer_close(t.producer);
    kafka_refetch_close(t.refetch);
    mock_broker_close(&t.broker);
    return 0;
}

static void test_a_run(void **state) {
    (void)state;
    assert_true(kafka_refetch_start(t.refetch, 0, 100, 250));
    wait_ended(1);
    assert_true(t.is_last);
    assert_int_equal(t.first, 100);
    assert_int_equal(t.last, 250);
    assert_int_equal(t.count, 151);
}

/* It goes back, to one record, and from within the end of another run. */
static void test_a_run_behind_another(void **state) {
    (void)state;
    t.again_at = 3;
    assert_true(kafka_refetch_start(t.refetch, 0, 290, RECORDS - 1));
    wait_ended(2);
    assert_true(t.is_last);
    assert_int_equal(t.first, 3);
    assert_int_equal(t.last, 3);
    assert_int_equal(t.count, 1);
}

static void test_the_partition_ends_before(void **state) {
    (void)state;
    assert_true(kafka_refetch_start(t.refetch, 0, RECORDS - 2, RECORDS + 10));
    wait_ended(1);
    assert_false(t.is_last);
    assert_int_equal(t.count, 2);
}

/* From within a record, without an event; the next run is not disturbed by what is left of it. */
static void test_stopped(void **state) {
    (void)state;
    t.stop_at = 5;
    assert_true(kafka_refetch_start(t.refetch, 0, 0, 200));
    const int64_t began_ms = loop_wall();
    struct loop_timer look = {0};
    while (t.last != 5 && loop_wall() - began_ms < TIMEOUT_MS) {
        loop_timer_set(t.broker.loop, &look, 20, mock_broker_wake, NULL);
        assert_true(loop_run_once(t.broker.loop));
    }
    loop_timer_cancel(t.broker.loop, &look);
    assert_int_equal(t.last, 5);
    assert_int_equal(t.ended, 0);
    t.count = 0;
    assert_true(kafka_refetch_start(t.refetch, 0, 2, 4));
    wait_ended(1);
    assert_int_equal(t.first, 2);
    assert_int_equal(t.last, 4);
    kafka_refetch_stop(t.refetch); /* none is under way */
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_BROKER(test_a_run),
        WITH_BROKER(test_a_run_behind_another),
        WITH_BROKER(test_the_partition_ends_before),
        WITH_BROKER(test_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
