/* Whether a partition is still the one whose offsets are tracked, against librdkafka's in-memory
 * broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "common/kafka/incarnation.h"
#include "common/kafka/producer.h"
#include "tests/unit/common/kafka/mock_broker.h"

enum {
    RECORDS = 5,
    TIMEOUT_MS = 20000,
    NO_PARTITION = -1
};

static const char topic[] = "queries";

static struct looking {
    struct mock_broker broker;
    struct producer *producer;
    rd_kafka_t *rk; /* that the commits are of; none is sent */
    struct kafka_commits *commits;
    struct kafka_tracker tracker;
    struct incarnation *incarnation;
    int32_t changed, same;
    struct witness first, last; /* as they are in the topic */
} t;

static void on_changed(void *arg, int32_t partition) {
    (void)arg;
    t.changed = partition;
}

static void on_same(void *arg, int32_t partition) {
    (void)arg;
    t.same = partition;
}

static bool none_in_flight(void *arg) {
    (void)arg;
    return producer_in_flight(t.producer) == 0;
}

static void write_records(void) {
    for (int i = 0; i < RECORDS; i++) {
        char value[16];
        int len = snprintf(value, sizeof value, "query %d", i);
        struct producer_record record = {
            .topic = topic, .key = "k", .key_len = 1, .value = value, .value_len = (size_t)len};
        assert_int_equal(producer_send(t.producer, &record, NULL, NULL),
                         RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    mock_broker_wait_until(&t.broker, none_in_flight, NULL, "the records to be acknowledged");
}

/* As the executor does with what it receives. */
static struct witness read_back(int64_t offset) {
    rd_kafka_topic_t *handle = rd_kafka_topic_new(t.rk, topic, NULL);
    assert_int_equal(rd_kafka_consume_start(handle, 0, offset), 0);
    rd_kafka_message_t *message = rd_kafka_consume(handle, 0, TIMEOUT_MS);
    assert_non_null(message);
    assert_int_equal(message->err, RD_KAFKA_RESP_ERR_NO_ERROR);
    struct kafka_tracker tracker = {0};
    kafka_tracker_saw(&tracker, message);
    rd_kafka_message_destroy(message);
    rd_kafka_consume_stop(handle, 0);
    rd_kafka_topic_destroy(handle);
    return tracker.witness;
}

static int begin(void **state) {
    (void)state;
    char error[512] = "";
    const struct incarnation_events events = {on_changed, on_same, NULL};
    t = (struct looking){.changed = NO_PARTITION, .same = NO_PARTITION};
    mock_broker_open(&t.broker);
    assert_int_equal(rd_kafka_mock_topic_create(t.broker.cluster, topic, 1, 1), 0);
    t.producer = producer_open(t.broker.loop, &t.broker.kafka, TIMEOUT_MS, error, sizeof error);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", t.broker.kafka.bootstrap_servers, error,
                      sizeof error);
    t.rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
    t.commits = kafka_commits_open(t.broker.loop, t.rk, topic, NULL, NULL);
    t.incarnation = incarnation_open(t.broker.loop, &t.broker.kafka, topic, t.commits, &events,
                                     error, sizeof error);
    assert_non_null(t.producer);
    assert_non_null(t.incarnation);
    write_records();
    t.first = read_back(0);
    t.last = read_back(RECORDS - 1);
    kafka_commits_track(t.commits, &t.tracker);
    return 0;
}

static int end(void **state) {
    (void)state;
    kafka_commits_untrack(t.commits, &t.tracker);
    incarnation_close(t.incarnation);
    kafka_commits_close(t.commits);
    producer_close(t.producer);
    rd_kafka_destroy(t.rk);
    mock_broker_close(&t.broker);
    return 0;
}

static bool is_judged(void *arg) {
    (void)arg;
    return t.changed != NO_PARTITION || t.same != NO_PARTITION;
}

static void look(const struct witness *witness) {
    t.tracker.witness = *witness;
    incarnation_look_soon(t.incarnation);
    mock_broker_wait_until(&t.broker, is_judged, NULL, "the witness to be judged");
}

static void test_a_witness_that_is_there_is_replaced_by_a_later_one(void **state) {
    (void)state;
    t.tracker.candidate = t.last;
    look(&t.first);
    assert_int_equal(t.same, 0);
    assert_int_equal(t.changed, NO_PARTITION);
    assert_true(witness_equal(&t.tracker.witness, &t.last));
    assert_false(t.tracker.candidate.known);
}

static void test_another_record_in_its_place(void **state) {
    (void)state;
    struct witness other = t.first;
    other.timestamp_ms--;
    look(&other);
    assert_int_equal(t.changed, 0);
    assert_int_equal(t.same, NO_PARTITION);
    assert_true(witness_equal(&t.tracker.witness, &other)); /* it is the owner's to restart */
}

static void test_a_partition_that_ends_before_it(void **state) {
    (void)state;
    struct witness beyond = t.last;
    beyond.offset = RECORDS;
    look(&beyond);
    assert_int_equal(t.changed, 0);
    t.changed = NO_PARTITION;
    beyond.offset = RECORDS + 1000;
    look(&beyond);
    assert_int_equal(t.changed, 0);
}

static void wake(void *arg) {
    *(bool *)arg = true;
}

static bool is_set(void *arg) {
    return *(bool *)arg;
}

static void test_what_began_again_meanwhile_is_not_judged(void **state) {
    (void)state;
    struct witness other = t.first;
    bool later = false;
    struct loop_timer timer = {0};
    other.timestamp_ms--;
    t.tracker.witness = other;
    incarnation_look_soon(t.incarnation);
    loop_timer_set(t.broker.loop, &timer, 0, wake, &later);
    mock_broker_wait_until(&t.broker, is_set, &later, "the question to be out");
    t.tracker.witness = t.first; /* the owner has begun again by itself */
    later = false;
    loop_timer_set(t.broker.loop, &timer, 1500, wake, &later);
    mock_broker_wait_until(&t.broker, is_set, &later, "the answer to have come");
    assert_int_equal(t.changed, NO_PARTITION);
    look(&t.first);
    assert_int_equal(t.same, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_witness_that_is_there_is_replaced_by_a_later_one,
                                        begin, end),
        cmocka_unit_test_setup_teardown(test_another_record_in_its_place, begin, end),
        cmocka_unit_test_setup_teardown(test_a_partition_that_ends_before_it, begin, end),
        cmocka_unit_test_setup_teardown(test_what_began_again_meanwhile_is_not_judged, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
