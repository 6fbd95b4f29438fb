/* The watch over topics, against librdkafka's in-memory broker, which has neither CreateTopics nor
 * DescribeConfigs: what is not known of a topic's settings holds up nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/kafka/topics.h"
#include "tests/unit/common/kafka/mock_broker.h"

static struct watching {
    struct mock_broker broker;
    struct topics *topics;
    int ready, changed;
} t;

static void on_ready(void *arg) {
    (void)arg;
    t.ready++;
}

static void on_changed(void *arg) {
    (void)arg;
    t.changed++;
}

static void create(const char *name, int partitions) {
    assert_int_equal(rd_kafka_mock_topic_create(t.broker.cluster, name, partitions, 1), 0);
}

static int begin(void **state) {
    (void)state;
    char error[512] = "";
    const struct topics_events events = {on_ready, on_changed, NULL};
    t = (struct watching){0};
    mock_broker_open(&t.broker);
    t.broker.kafka.names.topics[TOPIC_QUERY] = "queries";
    t.broker.kafka.names.topics[TOPIC_STATUS] = "states";
    t.broker.kafka.names.topics[TOPIC_QUOTA] = "quota";
    create("others", 1);
    create("states", 2);
    t.topics = topics_open(t.broker.loop, &t.broker.kafka, &events, error, sizeof error);
    assert_non_null(t.topics);
    assert_false(topics_ready(t.topics));
    return 0;
}

static int end(void **state) {
    (void)state;
    topics_close(t.topics);
    mock_broker_close(&t.broker);
    return 0;
}

static bool names_the_missing_one(void *arg) {
    (void)arg;
    struct buffer why;
    buffer_init(&why, 4096);
    topics_describe_missing(t.topics, &why);
    bool is_so = strncmp(buffer_text(&why), "missing topics: queries", 23) == 0;
    buffer_free(&why);
    return is_so;
}

static bool is_ready(void *arg) {
    (void)arg;
    return topics_ready(t.topics);
}

static bool has_changed(void *arg) {
    (void)arg;
    return t.changed > 0;
}

static void test_a_missing_topic_is_named_and_waited_for(void **state) {
    (void)state;
    mock_broker_wait_until(&t.broker, names_the_missing_one, NULL, "the missing topic named");
    assert_int_equal(t.ready, 0);
    assert_int_equal(topics_partitions(t.topics, "queries"), 0);
    create("queries", 3);
    mock_broker_wait_until(&t.broker, is_ready, NULL, "the topics to be ready");
    assert_int_equal(t.ready, 1); /* without the quota topic */
    assert_int_equal(topics_partitions(t.topics, "queries"), 3);
    assert_int_equal(topics_partitions(t.topics, "states"), 2);
    assert_int_equal(topics_partitions(t.topics, "others"), 0);
    struct buffer out;
    buffer_init(&out, 65536);
    topics_write_metrics(t.topics, &out);
    assert_non_null(strstr(buffer_text(&out), "athena_query_topic_unsafe{topic=\"queries\"} 0\n"));
    buffer_free(&out);
}

static void test_a_topic_that_comes_later_is_a_change(void **state) {
    (void)state;
    create("queries", 1);
    mock_broker_wait_until(&t.broker, is_ready, NULL, "the topics to be ready");
    create("quota", 1);
    mock_broker_wait_until(&t.broker, has_changed, NULL, "the quota topic to be seen");
    assert_int_equal(topics_partitions(t.topics, "quota"), 1);
    assert_int_equal(t.ready, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_missing_topic_is_named_and_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(test_a_topic_that_comes_later_is_a_change, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
