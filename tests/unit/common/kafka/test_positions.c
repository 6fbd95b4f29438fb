/* Where partitions begin and end, asked beside the loop; librdkafka's in-memory broker answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/kafka/handle.h"
#include "common/kafka/positions.h"
#include "tests/unit/common/kafka/mock_broker.h"

enum {
    PARTITIONS = 3,
    TIMEOUT_MS = 20000
};

static const char topic[] = "letters";
static const int32_t all[PARTITIONS] = {2, 0, 1};

static struct asking {
    struct mock_broker broker;
    struct kafka_owner owner;
    rd_kafka_t *rk;
    struct kafka_positions *positions;
    int answers;
    struct kafka_position got[PARTITIONS]; /* without metadata */
    size_t count;
} t;

static void on_answer(void *arg, struct kafka_position *positions, size_t count) {
    (void)arg;
    assert_true(count <= PARTITIONS);
    t.answers++;
    t.count = count;
    for (size_t i = 0; i < count; i++) {
        t.got[i] = positions[i];
        t.got[i].metadata = NULL;
    }
}

static int begin(void **state) {
    (void)state;
    char error[512] = "";
    t = (struct asking){0};
    mock_broker_open(&t.broker);
    assert_int_equal(rd_kafka_mock_topic_create(t.broker.cluster, topic, PARTITIONS, 1), 0);
    rd_kafka_conf_t *conf = kafka_conf(&t.broker.kafka);
    kafka_set(conf, "group.id", "g");
    t.rk = kafka_open(RD_KAFKA_CONSUMER, conf, &t.broker.kafka, &t.owner, error, sizeof error);
    assert_non_null(t.rk);
    t.positions = kafka_positions_open(t.broker.loop, t.rk, topic, on_answer, NULL);
    assert_non_null(t.positions);
    return 0;
}

static int end(void **state) {
    (void)state;
    kafka_positions_close(t.positions);
    assert_true(kafka_close(&t.owner, t.rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE));
    mock_broker_close(&t.broker);
    return 0;
}

static void write_record(int32_t partition, const char *text) {
    char error[512];
    rd_kafka_conf_t *conf = kafka_conf(&t.broker.kafka);
    struct kafka_owner owner = {0};
    rd_kafka_t *rk =
        kafka_open(RD_KAFKA_PRODUCER, conf, &t.broker.kafka, &owner, error, sizeof error);
    assert_non_null(rk);
    assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                                       RD_KAFKA_V_VALUE((void *)text, 1), RD_KAFKA_V_END),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_flush(rk, TIMEOUT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_true(kafka_close(&owner, rk, 0));
}

static bool is_answered(void *arg) {
    return t.answers == *(int *)arg;
}

static void ask(bool committed, int64_t since_ms) {
    int answers = t.answers + 1;
    const struct kafka_positions_question question = {all, PARTITIONS, committed, since_ms};
    assert_true(kafka_positions_ask(t.positions, &question));
    mock_broker_wait_until(&t.broker, is_answered, &answers, "an answer");
    assert_int_equal(t.count, PARTITIONS);
}

static void test_beginnings_and_ends_come_in_the_order_of_the_question(void **state) {
    (void)state;
    write_record(0, "a");
    write_record(0, "b");
    write_record(2, "c");
    ask(false, -1);
    static const int64_t ends[PARTITIONS] = {1, 2, 0};
    for (int i = 0; i < PARTITIONS; i++) {
        assert_string_equal(t.got[i].error, "");
        assert_int_equal(t.got[i].partition, all[i]);
        assert_int_equal(t.got[i].low, 0);
        assert_int_equal(t.got[i].end, ends[i]);
        assert_int_equal(t.got[i].committed, -1);
        assert_int_equal(t.got[i].since, KAFKA_POSITION_UNKNOWN);
    }
}

static void test_what_is_committed_is_asked_for(void **state) {
    (void)state;
    write_record(0, "a");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 1;
    assert_int_equal(rd_kafka_commit(t.rk, list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    ask(true, -1);
    assert_int_equal(t.got[1].committed, 1);
    assert_int_equal(t.got[0].committed, -1);
}

static void test_a_partition_without_a_leader_keeps_no_other_waiting(void **state) {
    (void)state;
    write_record(2, "a");
    rd_kafka_mock_partition_set_leader(t.broker.cluster, topic, 0, -1);
    ask(false, -1);
    assert_string_not_equal(t.got[1].error, "");
    assert_string_equal(t.got[0].error, "");
    assert_int_equal(t.got[0].end, 1);
    assert_string_equal(t.got[2].error, "");
    rd_kafka_mock_partition_set_leader(t.broker.cluster, topic, 0, 1);
    ask(false, -1);
    assert_string_equal(t.got[1].error, "");
}

static void test_a_silent_broker_is_an_error_of_each_partition(void **state) {
    (void)state;
    rd_kafka_mock_broker_set_down(t.broker.cluster, 1);
    ask(true, 1000);
    for (int i = 0; i < PARTITIONS; i++)
        assert_string_not_equal(t.got[i].error, "");
}

static void test_one_question_at_a_time(void **state) {
    (void)state;
    const struct kafka_positions_question question = {all, PARTITIONS, false, -1};
    assert_false(kafka_positions_busy(t.positions));
    assert_true(kafka_positions_ask(t.positions, &question));
    assert_true(kafka_positions_busy(t.positions));
    assert_false(kafka_positions_ask(t.positions, &question));
}

static bool is_idle(void *arg) {
    (void)arg;
    return !kafka_positions_busy(t.positions);
}

static void test_an_answer_that_nobody_waits_for_is_not_given(void **state) {
    (void)state;
    const struct kafka_positions_question question = {all, PARTITIONS, false, -1};
    assert_true(kafka_positions_ask(t.positions, &question));
    kafka_positions_forget(t.positions);
    mock_broker_wait_until(&t.broker, is_idle, NULL, "the end of the question");
    assert_int_equal(t.answers, 0);
    ask(false, -1);
    assert_int_equal(t.answers, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(test_beginnings_and_ends_come_in_the_order_of_the_question),
        TEST(test_what_is_committed_is_asked_for),
        TEST(test_a_partition_without_a_leader_keeps_no_other_waiting),
        TEST(test_a_silent_broker_is_an_error_of_each_partition),
        TEST(test_one_question_at_a_time),
        TEST(test_an_answer_that_nobody_waits_for_is_not_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
