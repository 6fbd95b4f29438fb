/* Reading between two offsets, from librdkafka's in-memory broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/kafka/handle.h"
#include "redriver/reader.h"
#include "tests/unit/common/kafka/mock_broker.h"

enum {
    PARTITIONS = 2,
    TIMEOUT_MS = 20000
};

static const char topic[] = "letters";
static const int32_t all[PARTITIONS] = {0, 1};

static struct reading {
    struct mock_broker broker;
    struct reader *reader;
    struct place places[PARTITIONS];
    size_t located;
    int records[PARTITIONS], ends[PARTITIONS];
    int64_t first[PARTITIONS]; /* offset, -1: none yet */
} t;

static void on_located(void *arg, struct kafka_position *positions, size_t count) {
    (void)arg;
    t.located = count;
    for (size_t i = 0; i < count; i++)
        place_decide(&t.places[i], &positions[i], true, NULL);
}

static int begin(void **state) {
    (void)state;
    char error[512] = "";
    t = (struct reading){.first = {-1, -1}};
    mock_broker_open(&t.broker);
    t.broker.kafka.names.groups[GROUP_REDRIVER] = "g";
    assert_int_equal(rd_kafka_mock_topic_create(t.broker.cluster, topic, PARTITIONS, 1), 0);
    t.reader = reader_open(t.broker.loop, &t.broker.kafka, topic, error, sizeof error);
    assert_non_null(t.reader);
    reader_on_located(t.reader, on_located, NULL);
    return 0;
}

static int end(void **state) {
    (void)state;
    reader_close(t.reader);
    mock_broker_close(&t.broker);
    return 0;
}

static void write_records(int32_t partition, int count) {
    char error[512], value[] = "v";
    struct kafka_owner owner = {0};
    rd_kafka_t *rk = kafka_open(RD_KAFKA_PRODUCER, kafka_conf(&t.broker.kafka), &t.broker.kafka,
                                &owner, error, sizeof error);
    assert_non_null(rk);
    for (int i = 0; i < count; i++)
        assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic),
                                           RD_KAFKA_V_PARTITION(partition),
                                           RD_KAFKA_V_VALUE(value, 1), RD_KAFKA_V_END),
                         RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_flush(rk, TIMEOUT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_true(kafka_close(&owner, rk, 0));
}

static bool is_located(void *arg) {
    (void)arg;
    return t.located == PARTITIONS;
}

static void locate(void) {
    assert_true(reader_locate(t.reader, all, PARTITIONS, true));
    mock_broker_wait_until(&t.broker, is_located, NULL, "the places");
}

static void take_all(void) {
    rd_kafka_message_t *m;
    while ((m = reader_next(t.reader)) != NULL) {
        if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            t.ends[m->partition]++;
        } else {
            if (t.first[m->partition] < 0)
                t.first[m->partition] = m->offset;
            t.records[m->partition]++;
        }
        rd_kafka_message_destroy(m);
    }
}

static bool is_read(void *arg) {
    const int *counts = arg;
    take_all();
    return t.records[0] >= counts[0] && t.records[1] >= counts[1];
}

static void test_it_reads_from_each_place_to_the_end(void **state) {
    (void)state;
    int counts[PARTITIONS] = {3, 5};
    write_records(0, 5);
    write_records(1, 5);
    locate();
    assert_int_equal(t.places[0].end, 5);
    t.places[0].from = 2;
    reader_start(t.reader, t.places, PARTITIONS);
    mock_broker_wait_until(&t.broker, is_read, counts, "the records");
    assert_int_equal(t.first[0], 2);
    assert_int_equal(t.first[1], 0);
    assert_int_equal(t.records[0], 3);
    reader_stop(t.reader);
}

static void test_it_reads_neither_what_is_done_nor_what_is_not_known(void **state) {
    (void)state;
    int counts[PARTITIONS] = {2, 0};
    write_records(0, 2);
    write_records(1, 2);
    locate();
    snprintf(t.places[1].error, sizeof t.places[1].error, "no leader");
    reader_start(t.reader, t.places, PARTITIONS);
    mock_broker_wait_until(&t.broker, is_read, counts, "the records");
    reader_stop(t.reader);
    t.places[0].from = t.places[0].end;
    reader_start(t.reader, t.places, PARTITIONS);
    take_all();
    assert_int_equal(t.records[0], 2);
    assert_int_equal(t.records[1], 0);
}

static bool is_up(void *arg) {
    (void)arg;
    return reader_up(t.reader);
}

static void test_it_says_whether_a_broker_is_reached(void **state) {
    (void)state;
    assert_false(reader_up(t.reader));
    mock_broker_wait_until(&t.broker, is_up, NULL, "a broker");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(test_it_reads_from_each_place_to_the_end),
        TEST(test_it_reads_neither_what_is_done_nor_what_is_not_known),
        TEST(test_it_says_whether_a_broker_is_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
