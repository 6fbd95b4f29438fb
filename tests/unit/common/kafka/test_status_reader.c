/* The status topic read into a view, against librdkafka's in-memory broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/kafka/producer.h"
#include "common/kafka/status_reader.h"
#include "tests/unit/common/kafka/mock_broker.h"

enum {
    PARTITIONS = 3,
    ENTRIES = 20,
    TIMEOUT_MS = 20000
};

static const char topic[] = "states";

static struct fixture {
    struct mock_broker broker;
    struct producer *producer;
    struct status_view *view;
    struct status_reader *reader;
    int changes, covered;
    enum status_state covered_by; /* the last one */
} t;

static void on_changed(void *arg) {
    (void)arg;
    t.changes++;
}

static void on_covered(void *arg, const struct status *late) {
    (void)arg;
    t.covered++;
    t.covered_by = late->state;
}

static int begin(void **state) {
    (void)state;
    char error[512] = "";
    t = (struct fixture){0};
    mock_broker_open(&t.broker);
    t.broker.kafka.names.topics[TOPIC_STATUS] = (char *)(uintptr_t)topic;
    assert_int_equal(rd_kafka_mock_topic_create(t.broker.cluster, topic, PARTITIONS, 1), 0);
    t.producer = producer_open(t.broker.loop, &t.broker.kafka, TIMEOUT_MS, error, sizeof error);
    t.view = status_view_open(ENTRIES);
    t.reader = status_reader_open(t.broker.loop, &t.broker.kafka, t.view, on_changed, NULL, error,
                                  sizeof error);
    assert_non_null(t.producer);
    assert_non_null(t.reader);
    status_reader_watch(t.reader, on_covered, NULL);
    return 0;
}

static int end(void **state) {
    (void)state;
    producer_close(t.producer);
    status_reader_close(t.reader);
    status_view_close(t.view);
    mock_broker_close(&t.broker);
    return 0;
}

static void on_report(void *arg, rd_kafka_resp_err_t err, int32_t partition, int64_t offset) {
    (void)arg, (void)partition, (void)offset;
    assert_int_equal(err, RD_KAFKA_RESP_ERR_NO_ERROR);
}

static bool none_in_flight(void *arg) {
    (void)arg;
    return producer_in_flight(t.producer) == 0;
}

static bool has_caught_up(void *arg) {
    (void)arg;
    return status_reader_caught_up(t.reader);
}

/* Acknowledged. */
static void write_value(const char *query_id, const void *value, size_t n) {
    char key[STATUS_KEY_MAX];
    status_key("u", query_id, key);
    struct producer_record record = {
        .topic = topic, .key = key, .key_len = strlen(key), .value = value, .value_len = n};
    assert_int_equal(producer_send(t.producer, &record, on_report, NULL),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    mock_broker_wait_until(&t.broker, none_in_flight, NULL, "the acknowledgement");
}

static void write_state_at(const char *query_id, enum status_state state, int64_t at_ms) {
    struct buffer value;
    buffer_init(&value, STATUS_VALUE_MAX);
    struct status s = {.user_id = "u",
                       .query_id = (char *)(uintptr_t)query_id,
                       .state = state,
                       .updated_at_ms = at_ms};
    status_write(&s, true, &value);
    write_value(query_id, value.data, value.len);
    buffer_free(&value);
}

static void write_state(const char *query_id, enum status_state state) {
    write_state_at(query_id, state, 0);
}

static enum status_state state_of(const char *query_id) {
    struct status found;
    return status_view_find(t.view, "u", query_id, &found) ? found.state : STATUS_NONE;
}

static void start(void) {
    assert_true(status_reader_start(t.reader, PARTITIONS));
    mock_broker_wait_until(&t.broker, has_caught_up, NULL, "the end of the topic");
}

/* What is no status is skipped, a tombstone forgets, and nothing of the past is to be repaired. */
static void test_past(void **state) {
    (void)state;
    write_state("ended", STATUS_QUEUED);
    write_state("ended", STATUS_SUCCEEDED);
    write_state("ended", STATUS_QUEUED);
    write_state("forgotten", STATUS_STARTED);
    write_value("forgotten", NULL, 0);
    write_value("nonsense", "{}", 2);
    write_value("half", "{\"queryId\":\"half\",\"sta", 22);
    start();
    assert_int_equal(state_of("ended"), STATUS_SUCCEEDED);
    assert_int_equal(state_of("forgotten"), STATUS_NONE);
    assert_int_equal(status_view_count(t.view), 1);
    assert_int_equal(t.covered, 0);
    assert_true(t.changes > 0);
}

/* Most of it is skipped: the newest stay, what has not ended does, and the end of what is known. */
static void test_long_past(void **state) {
    (void)state;
    enum {
        ENDED = 300
    };
    char id[16];
    write_state_at("runs", STATUS_STARTED, 1);
    write_state_at("waits", STATUS_QUEUED, 2);
    write_state_at("came again", STATUS_SUCCEEDED, ENDED + 1);
    for (int i = 1; i <= ENDED; i++) {
        snprintf(id, sizeof id, "q%d", i);
        write_state_at(id, i % 2 ? STATUS_SUCCEEDED : STATUS_REJECTED, i);
    }
    write_state_at("came again", STATUS_QUEUED, ENDED + 2);
    start();
    assert_int_equal(status_view_count(t.view), ENTRIES);
    assert_int_equal(state_of("runs"), STATUS_STARTED);
    assert_int_equal(state_of("waits"), STATUS_QUEUED);
    assert_int_equal(state_of("came again"), STATUS_SUCCEEDED);
    for (int i = 1; i <= ENDED; i++) {
        snprintf(id, sizeof id, "q%d", i);
        assert_int_equal(state_of(id) != STATUS_NONE, i > ENDED - (ENTRIES - 3));
    }
    assert_int_equal(t.covered, 0);
}

static bool was_covered(void *arg) {
    (void)arg;
    return t.covered > 0;
}

/* From then on a late record is reported. */
static void test_late_record(void **state) {
    (void)state;
    start();
    write_state("q", STATUS_STARTED);
    write_state("q", STATUS_QUEUED);
    mock_broker_wait_until(&t.broker, was_covered, NULL, "the late record");
    assert_int_equal(t.covered, 1);
    assert_int_equal(t.covered_by, STATUS_QUEUED);
    assert_int_equal(state_of("q"), STATUS_STARTED);
}

static void test_renewed(void **state) {
    (void)state;
    start();
    write_state("q", STATUS_STARTED);
    status_reader_renew(t.reader);
    assert_false(status_reader_caught_up(t.reader));
    mock_broker_wait_until(&t.broker, has_caught_up, NULL, "the barrier");
    assert_int_equal(state_of("q"), STATUS_STARTED);
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_BROKER(test_past),
        WITH_BROKER(test_long_past),
        WITH_BROKER(test_late_record),
        WITH_BROKER(test_renewed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
