/* A topic that is read whole, and its barriers, against librdkafka's in-memory broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/kafka/producer.h"
#include "common/kafka/topic_reader.h"
#include "tests/unit/common/kafka/mock_broker.h"

enum {
    PARTITIONS = 3,
    TIMEOUT_MS = 20000
};

static const char topic[] = "states";

static struct reading {
    struct mock_broker broker;
    struct producer *producer;
    struct topic_reader *reader;
    int acknowledged, read, batches, ticks;
} t;

static void on_record(void *arg, const rd_kafka_message_t *message) {
    (void)arg;
    (void)message;
    t.read++;
}

static void on_batch(void *arg) {
    (void)arg;
    t.batches++;
}

static int begin(void **state) {
    (void)state;
    char error[512] = "";
    const struct topic_reader_events events = {on_record, on_batch, NULL};
    t = (struct reading){0};
    mock_broker_open(&t.broker);
    assert_int_equal(rd_kafka_mock_topic_create(t.broker.cluster, topic, PARTITIONS, 1), 0);
    t.producer = producer_open(t.broker.loop, &t.broker.kafka, TIMEOUT_MS, error, sizeof error);
    t.reader =
        topic_reader_open(t.broker.loop, &t.broker.kafka, topic, &events, error, sizeof error);
    assert_non_null(t.producer);
    assert_non_null(t.reader);
    return 0;
}

static int end(void **state) {
    (void)state;
    producer_close(t.producer);
    topic_reader_close(t.reader);
    mock_broker_close(&t.broker);
    return 0;
}

static bool has_caught_up(void *arg) {
    (void)arg;
    return topic_reader_caught_up(t.reader);
}

static void on_report(void *arg, rd_kafka_resp_err_t err, int32_t partition, int64_t offset) {
    (void)arg;
    (void)partition;
    (void)offset;
    t.acknowledged += err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool none_in_flight(void *arg) {
    (void)arg;
    return producer_in_flight(t.producer) == 0;
}

/* Each has a key of its own, so that every partition gets some. */
static void write_records(int count) {
    for (int i = 0; i < count; i++) {
        struct producer_record record = {
            .topic = topic, .key = &i, .key_len = sizeof i, .value = "v", .value_len = 1};
        assert_int_equal(producer_send(t.producer, &record, on_report, NULL),
                         RD_KAFKA_RESP_ERR_NO_ERROR);
    }
}

static void write_acknowledged(int count) {
    int before = t.acknowledged;
    write_records(count);
    mock_broker_wait_until(&t.broker, none_in_flight, NULL, "the acknowledgements");
    assert_int_equal(t.acknowledged, before + count);
}

static void start(void) {
    assert_false(topic_reader_caught_up(t.reader));
    assert_true(topic_reader_start(t.reader, PARTITIONS));
    mock_broker_wait_until(&t.broker, has_caught_up, NULL, "the end of the topic");
}

static void test_start(void **state) {
    (void)state;
    write_acknowledged(30);
    start();
    assert_int_equal(t.read, 30);
    assert_true(t.batches > 0);
}

static void on_tick(void *arg) {
    struct loop_timer *timer = arg;
    t.ticks++;
    loop_timer_set(t.broker.loop, timer, 5, on_tick, timer);
}

/* The broker's answers take their time; the loop does not wait for them. */
static void test_a_barrier_does_not_hold_up_the_loop(void **state) {
    (void)state;
    write_acknowledged(3);
    start();
    assert_int_equal(rd_kafka_mock_broker_set_rtt(t.broker.cluster, 1, 300), 0);
    topic_reader_renew(t.reader);
    struct loop_timer timer = {0};
    on_tick(&timer);
    mock_broker_wait_until(&t.broker, has_caught_up, NULL, "the barrier");
    loop_timer_cancel(t.broker.loop, &timer);
    assert_true(t.ticks > 10); /* of more than a hundred */
}

/* Several times what librdkafka holds of it at once. */
static void test_more_than_is_held(void **state) {
    (void)state;
    enum {
        ROUNDS = 8,
        RECORDS = 20000
    };
    for (int round = 0; round < ROUNDS; round++)
        write_acknowledged(RECORDS);
    start();
    assert_int_equal(t.read, ROUNDS * RECORDS);
    write_acknowledged(5);
    topic_reader_renew(t.reader);
    mock_broker_wait_until(&t.broker, has_caught_up, NULL, "the barrier");
    assert_int_equal(t.read, ROUNDS * RECORDS + 5);
}

/* The last ones, some of each partition, and then all; caught up only behind both. */
static void test_recent_first(void **state) {
    (void)state;
    write_acknowledged(300);
    topic_reader_read_recent_first(t.reader, 60);
    start();
    assert_int_equal(t.read, 60 + 300);
    write_acknowledged(5);
    topic_reader_renew(t.reader);
    mock_broker_wait_until(&t.broker, has_caught_up, NULL, "the barrier");
    assert_int_equal(t.read, 60 + 300 + 5);
}

static void test_too_few_for_recent_first(void **state) {
    (void)state;
    write_acknowledged(30);
    topic_reader_read_recent_first(t.reader, 15);
    start();
    assert_int_equal(t.read, 30);
}

/* A program may know of fewer partitions than there are: all are read. */
static void test_partitions_nobody_knew_of(void **state) {
    (void)state;
    write_acknowledged(30);
    assert_true(topic_reader_start(t.reader, 1));
    mock_broker_wait_until(&t.broker, has_caught_up, NULL, "the end of the topic");
    assert_int_equal(t.read, 30);
}

/* Whatever was acknowledged before the barrier is read behind it. */
static void test_barrier(void **state) {
    (void)state;
    start();
    for (int round = 1; round <= 3; round++) {
        write_acknowledged(50);
        topic_reader_renew(t.reader);
        assert_false(topic_reader_caught_up(t.reader));
        mock_broker_wait_until(&t.broker, has_caught_up, NULL, "the barrier");
        assert_int_equal(t.read, round * 50);
    }
}

/* Nothing was written in between: the barrier is passed all the same, and that is reported. */
static void test_barrier_at_rest(void **state) {
    (void)state;
    start();
    int batches = t.batches;
    topic_reader_renew(t.reader);
    topic_reader_renew(t.reader); /* the second one counts */
    mock_broker_wait_until(&t.broker, has_caught_up, NULL, "the barrier");
    assert_true(t.batches > batches);
}

/* Before the start it asks nothing: the first end that is seen is later than the barrier. */
static void test_barrier_before_the_start(void **state) {
    (void)state;
    topic_reader_renew(t.reader);
    write_acknowledged(5);
    start();
    assert_int_equal(t.read, 5);
}

static void on_time(void *arg) {
    *(bool *)arg = true;
}

static bool is_set(void *arg) {
    return *(bool *)arg;
}

/* Without an answer the barrier holds; it is asked for again until there is one. */
static void test_barrier_without_a_broker(void **state) {
    (void)state;
    struct loop_timer timer = {0};
    bool late = false;
    start();
    write_acknowledged(5);
    assert_int_equal(rd_kafka_mock_broker_set_down(t.broker.cluster, 1), 0);
    topic_reader_renew(t.reader);
    loop_timer_set(t.broker.loop, &timer, 1500, on_time, &late);
    mock_broker_wait_until(&t.broker, is_set, &late, "time to pass");
    assert_false(topic_reader_caught_up(t.reader));
    assert_int_equal(rd_kafka_mock_broker_set_up(t.broker.cluster, 1), 0);
    mock_broker_wait_until(&t.broker, has_caught_up, NULL, "the barrier");
    assert_int_equal(t.read, 5);
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_BROKER(test_start),
        WITH_BROKER(test_a_barrier_does_not_hold_up_the_loop),
        WITH_BROKER(test_more_than_is_held),
        WITH_BROKER(test_recent_first),
        WITH_BROKER(test_too_few_for_recent_first),
        WITH_BROKER(test_partitions_nobody_knew_of),
        WITH_BROKER(test_barrier),
        WITH_BROKER(test_barrier_at_rest),
        WITH_BROKER(test_barrier_before_the_start),
        WITH_BROKER(test_barrier_without_a_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
