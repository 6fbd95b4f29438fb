/* The settings that topics are created with, and those found that lose what waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/kafka/topic_settings.h"

static const char *value_of(enum topic topic, const struct kafka_options *kafka, const char *name) {
    static struct topic_setting settings[TOPIC_SETTINGS_MAX];
    size_t count = topic_settings(topic, kafka, settings);
    for (size_t i = 0; i < count; i++)
        if (strcmp(settings[i].name, name) == 0)
            return settings[i].value;
    return "none";
}

static void test_created(void **state) {
    (void)state;
    const struct kafka_options month = {.status_retention_ms = 86400000, .topic_partitions = 6};
    const struct kafka_options ever = {.status_retention_ms = -1, .topic_partitions = 6};
    static const struct {
        enum topic topic;
        bool for_ever;
        const char *policy, *retention, *bytes;
    } cases[] = {
        {TOPIC_QUERY, false, "delete", "-1", "2097152"},
        {TOPIC_DEADLETTER, false, "delete", "-1", "2162688"},
        {TOPIC_REJECTED, false, "delete", "-1", "2162688"},
        {TOPIC_STATUS, false, "compact,delete", "86400000", "2162688"},
        {TOPIC_STATUS, true, "compact", "-1", "2162688"},
        {TOPIC_QUOTA, false, "compact,delete", "3600000", "none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct kafka_options *kafka = cases[i].for_ever ? &ever : &month;
        assert_string_equal(value_of(cases[i].topic, kafka, "cleanup.policy"), cases[i].policy);
        assert_string_equal(value_of(cases[i].topic, kafka, "retention.ms"), cases[i].retention);
        assert_string_equal(value_of(cases[i].topic, kafka, "max.message.bytes"), cases[i].bytes);
        assert_int_equal(topic_partitions_wanted(cases[i].topic, kafka),
                         cases[i].topic == TOPIC_QUOTA ? 1 : 6);
        assert_int_equal(topic_is_optional(cases[i].topic), cases[i].topic == TOPIC_QUOTA);
    }
}

/* Bits of the quota topic: cleanup.policy 1, retention.ms 2, segment.ms 4, segment.bytes 8. */
static void test_what_a_broker_refuses_is_dropped(void **state) {
    (void)state;
    const struct kafka_options kafka = {.topic_partitions = 6};
    struct topic_setting settings[TOPIC_SETTINGS_MAX];
    size_t count = topic_settings(TOPIC_QUOTA, &kafka, settings);
    static const struct {
        unsigned dropped;
        const char *reason;
        unsigned then;
    } cases[] = {
        {0, "Invalid value for configuration segment.bytes", 8},
        {8, "segment.ms is not supported", 8 | 4},
        {0, "policy violated", 4 | 8},
        {0, "", 4 | 8},
        {4 | 8, "policy violated", 1 | 2 | 4 | 8},
        {8, "segment.bytes", 4 | 8}, /* named again: what helps is tried */
        {1 | 2 | 4 | 8, "policy violated", 1 | 2 | 4 | 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(topic_settings_drop(settings, count, cases[i].dropped, cases[i].reason),
                         cases[i].then);
}

static struct topic_found found_of(const char *policy, const char *ms, const char *bytes) {
    struct topic_found found = {0};
    topic_found_read(&found, "cleanup.policy", policy);
    topic_found_read(&found, "retention.ms", ms);
    topic_found_read(&found, "retention.bytes", bytes);
    topic_found_read(&found, "segment.bytes", "1");
    topic_found_read(&found, "cleanup.policy.of.another", "compact");
    topic_found_read(&found, "retention.ms", NULL);
    return found;
}

static void test_judged(void **state) {
    (void)state;
    static const struct {
        enum topic topic;
        const char *policy, *ms, *bytes;
        enum topic_fault fault;
    } cases[] = {
        {TOPIC_QUERY, "delete", "-1", "-1", TOPIC_SOUND},
        {TOPIC_QUERY, "compact", "-1", "-1", TOPIC_COMPACTED},
        {TOPIC_QUERY, "compact,delete", "-1", "-1", TOPIC_COMPACTED},
        {TOPIC_QUERY, "delete", "604800000", "-1", TOPIC_FINITE},
        {TOPIC_QUERY, "delete", "-1", "1073741824", TOPIC_FINITE},
        {TOPIC_DEADLETTER, "delete", "604800000", "-1", TOPIC_FINITE},
        {TOPIC_DEADLETTER, "compact", "604800000", "-1", TOPIC_COMPACTED},
        {TOPIC_REJECTED, "delete", "604800000", "-1", TOPIC_SOUND},
        {TOPIC_REJECTED, "compact", "-1", "-1", TOPIC_COMPACTED},
        {TOPIC_STATUS, "compact", "-1", "-1", TOPIC_SOUND},
        {TOPIC_STATUS, "delete,compact", "2592000000", "-1", TOPIC_SOUND},
        {TOPIC_STATUS, "delete", "2592000000", "-1", TOPIC_NOT_COMPACTED},
        {TOPIC_QUOTA, "delete", "1", "-1", TOPIC_SOUND},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct topic_found found = found_of(cases[i].policy, cases[i].ms, cases[i].bytes);
        assert_int_equal(topic_judge(cases[i].topic, &found), cases[i].fault);
    }
    const struct topic_found nothing = {0};
    for (int topic = 0; topic < TOPICS; topic++)
        assert_int_equal(topic_judge((enum topic)topic, &nothing), TOPIC_SOUND);
    assert_true(topic_fault_stops(TOPIC_COMPACTED) && topic_fault_counts(TOPIC_COMPACTED));
    assert_true(!topic_fault_stops(TOPIC_FINITE) && topic_fault_counts(TOPIC_FINITE));
    assert_true(!topic_fault_stops(TOPIC_NOT_COMPACTED));
    assert_true(!topic_fault_stops(TOPIC_SOUND) && !topic_fault_counts(TOPIC_SOUND));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_created),
        cmocka_unit_test(test_what_a_broker_refuses_is_dropped),
        cmocka_unit_test(test_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
