/* Topics that a broker refuses to create as they are wanted. The broker's answers are the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/kafka/topic_admin.h"
#include "common/kafka/topics.h"
#include "tests/unit/common/kafka/mock_broker.h"

/* --- the broker's side ------------------------------------------------------------------------ */

static struct admin {
    struct topic_admin_events events;
    int created, described;
    bool busy;
    bool wanted[TOPICS];
    unsigned dropped[TOPICS];
} admin;

struct topic_admin *topic_admin_open(struct loop *loop, rd_kafka_t *rk,
                                     const struct kafka_options *kafka,
                                     const struct topic_admin_events *events) {
    (void)loop, (void)rk, (void)kafka;
    admin.events = *events;
    return (struct topic_admin *)(void *)&admin;
}

void topic_admin_close(struct topic_admin *a) {
    (void)a;
}

bool topic_admin_busy(const struct topic_admin *a) {
    (void)a;
    return admin.busy;
}

void topic_admin_create(struct topic_admin *a, const bool wanted[TOPICS],
                        const unsigned dropped[TOPICS]) {
    (void)a;
    assert_false(admin.busy);
    admin.created++;
    admin.busy = true;
    memcpy(admin.wanted, wanted, sizeof admin.wanted);
    memcpy(admin.dropped, dropped, sizeof admin.dropped);
}

void topic_admin_describe(struct topic_admin *a, const bool wanted[TOPICS], int32_t broker) {
    (void)a, (void)wanted, (void)broker;
    assert_false(admin.busy);
    admin.described++;
    admin.busy = true;
}

static void answer_created(enum topic topic, rd_kafka_resp_err_t err, const char *reason) {
    admin.busy = false;
    admin.events.created(admin.events.arg, topic, err, reason);
    admin.events.answered(admin.events.arg);
}

static void answer_described(enum topic topic, const struct topic_found *found) {
    admin.busy = false;
    admin.events.described(admin.events.arg, topic, found, "no right");
    admin.events.answered(admin.events.arg);
}

/* --- the program's side ----------------------------------------------------------------------- */

static struct mock_broker broker;
static struct topics *topics;
static int ready;

static void on_ready(void *arg) {
    (void)arg;
    ready++;
}

static int begin(void **state) {
    (void)state;
    char error[512] = "";
    const struct topics_events events = {on_ready, NULL, NULL};
    admin = (struct admin){0};
    ready = 0;
    mock_broker_open(&broker);
    broker.kafka.create_topics = true;
    broker.kafka.topic_partitions = 1;
    broker.kafka.names.topics[TOPIC_QUERY] = "queries";
    broker.kafka.names.topics[TOPIC_QUOTA] = "quota";
    assert_int_equal(rd_kafka_mock_topic_create(broker.cluster, "queries", 1, 1), 0);
    topics = topics_open(broker.loop, &broker.kafka, &events, error, sizeof error);
    assert_non_null(topics);
    return 0;
}

static int end(void **state) {
    (void)state;
    topics_close(topics);
    mock_broker_close(&broker);
    return 0;
}

static bool is_created_again(void *arg) {
    return admin.created > *(int *)arg;
}

static void wait_created(int before) {
    mock_broker_wait_until(&broker, is_created_again, &before, "a creation");
}

static bool is_there(void *arg) {
    (void)arg;
    return ready > 0;
}

static bool is_described(void *arg) {
    (void)arg;
    return admin.described > 0 && admin.busy;
}

/* Settings of the quota topic: cleanup.policy 1, retention.ms 2, segment.ms 4, segment.bytes 8. */
static void test_settings_that_are_refused_are_left_off(void **state) {
    (void)state;
    wait_created(0);
    assert_true(admin.wanted[TOPIC_QUOTA] && !admin.wanted[TOPIC_QUERY]);
    assert_int_equal(admin.dropped[TOPIC_QUOTA], 0);
    answer_created(TOPIC_QUOTA, RD_KAFKA_RESP_ERR_INVALID_CONFIG, "segment.bytes: not here");
    wait_created(1);
    assert_int_equal(admin.dropped[TOPIC_QUOTA], 8);
    answer_created(TOPIC_QUOTA, RD_KAFKA_RESP_ERR_POLICY_VIOLATION, "no");
    wait_created(2);
    assert_int_equal(admin.dropped[TOPIC_QUOTA], 4 | 8);
    assert_int_equal(rd_kafka_mock_topic_create(broker.cluster, "quota", 1, 1), 0);
    answer_created(TOPIC_QUOTA, RD_KAFKA_RESP_ERR_NO_ERROR, "");
    mock_broker_wait_until(&broker, is_there, NULL, "the topics to be there");
}

static void test_a_creation_that_is_refused_is_done_without(void **state) {
    (void)state;
    wait_created(0);
    assert_int_equal(ready, 0);
    answer_created(TOPIC_QUOTA, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "no right");
    mock_broker_wait_until(&broker, is_there, NULL, "the topics to be there without it");
    assert_int_equal(topics_partitions(topics, "quota"), 0);
}

static void test_settings_are_known_before_it_is_ready(void **state) {
    (void)state;
    const struct topic_found compacted = {.compacts = true}, sound = {.deletes = true};
    broker.kafka.create_topics = false;
    mock_broker_wait_until(&broker, is_described, NULL, "the question for settings");
    assert_false(topics_ready(topics));
    answer_described(TOPIC_QUERY, &compacted);
    assert_false(topics_ready(topics));
    admin.described = 0;
    mock_broker_wait_until(&broker, is_described, NULL, "the question again, soon");
    answer_described(TOPIC_QUERY, NULL); /* cannot be read now: what was known stays */
    assert_false(topics_ready(topics));
    broker.kafka.allow_unsafe_topics = true;
    assert_true(topics_ready(topics));
    broker.kafka.allow_unsafe_topics = false;
    admin.described = 0;
    mock_broker_wait_until(&broker, is_described, NULL, "the question again, soon");
    answer_described(TOPIC_QUERY, &sound);
    assert_true(topics_ready(topics));
}

static void test_settings_that_cannot_be_read_hold_up_nothing(void **state) {
    (void)state;
    broker.kafka.create_topics = false;
    mock_broker_wait_until(&broker, is_described, NULL, "the question for settings");
    answer_described(TOPIC_QUERY, NULL);
    assert_true(topics_ready(topics));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings_that_are_refused_are_left_off, begin, end),
        cmocka_unit_test_setup_teardown(test_a_creation_that_is_refused_is_done_without, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_settings_are_known_before_it_is_ready, begin, end),
        cmocka_unit_test_setup_teardown(test_settings_that_cannot_be_read_hold_up_nothing, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
