#include "common/kafka/topic_admin.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/kafka/wakeup.h"

enum {
    REQUEST_TIMEOUT_MS = 10000
};

struct topic_admin {
    rd_kafka_t *rk;
    const struct kafka_options *kafka;
    struct topic_admin_events events;
    rd_kafka_queue_t *answers;
    struct kafka_wakeup *wakeup;
    bool asked[TOPICS]; /* by the question under way */
    bool busy;
};

/* TOPICS: it is none of ours. */
static enum topic admin_topic(const struct topic_admin *a, const char *name) {
    size_t t = 0;
    while (t < TOPICS &&
           (a->kafka->names.topics[t] == NULL || strcmp(a->kafka->names.topics[t], name) != 0))
        t++;
    return (enum topic)t;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void admin_take_created(struct topic_admin *a,
                               const rd_kafka_CreateTopics_result_t *result) {
    size_t count;
    const rd_kafka_topic_result_t **each = rd_kafka_CreateTopics_result_topics(result, &count);
    for (size_t i = 0; i < count; i++) {
        enum topic topic = admin_topic(a, rd_kafka_topic_result_name(each[i]));
        const char *reason = rd_kafka_topic_result_error_string(each[i]);
        if (topic != TOPICS)
            a->events.created(a->events.arg, topic, rd_kafka_topic_result_error(each[i]),
                              reason != NULL ? reason : "");
    }
}

static void admin_take_settings(struct topic_admin *a, const rd_kafka_ConfigResource_t *resource) {
    enum topic topic = admin_topic(a, rd_kafka_ConfigResource_name(resource));
    struct topic_found found = {0};
    size_t count;
    if (topic == TOPICS)
        return;
    if (rd_kafka_ConfigResource_error(resource) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        a->events.described(a->events.arg, topic, NULL,
                            rd_kafka_ConfigResource_error_string(resource));
        return;
    }
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++)
        topic_found_read(&found, rd_kafka_ConfigEntry_name(entries[i]),
                         rd_kafka_ConfigEntry_value(entries[i]));
    a->events.described(a->events.arg, topic, &found, "");
}

static void admin_take_described(struct topic_admin *a,
                                 const rd_kafka_DescribeConfigs_result_t *result) {
    size_t count;
    const rd_kafka_ConfigResource_t **each =
        rd_kafka_DescribeConfigs_result_resources(result, &count);
    for (size_t i = 0; i < count; i++)
        admin_take_settings(a, each[i]);
}

static void admin_take_failure(struct topic_admin *a, rd_kafka_event_t *event) {
    bool creating = rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT;
    rd_kafka_resp_err_t err = rd_kafka_event_error(event);
    const char *reason = rd_kafka_event_error_string(event);
    for (size_t t = 0; t < TOPICS; t++)
        if (a->asked[t] && creating)
            a->events.created(a->events.arg, (enum topic)t, err, reason);
        else if (a->asked[t])
            a->events.described(a->events.arg, (enum topic)t, NULL, reason);
}

static void admin_on_answers(void *arg) {
    struct topic_admin *a = arg;
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(a->answers, 0)) != NULL) {
        const rd_kafka_CreateTopics_result_t *created = rd_kafka_event_CreateTopics_result(event);
        const rd_kafka_DescribeConfigs_result_t *described =
            rd_kafka_event_DescribeConfigs_result(event);
        a->busy = false;
        if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
            admin_take_failure(a, event);
        else if (created != NULL)
            admin_take_created(a, created);
        else if (described != NULL)
            admin_take_described(a, described);
        rd_kafka_event_destroy(event);
        a->events.answered(a->events.arg);
    }
}

/* --- questions -------------------------------------------------------------------------------- */

static rd_kafka_AdminOptions_t *admin_begin(struct topic_admin *a, rd_kafka_admin_op_t op,
                                            const bool asked[TOPICS]) {
    char error[256];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(a->rk, op);
    rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_TIMEOUT_MS, error, sizeof error);
    memcpy(a->asked, asked, sizeof a->asked);
    a->busy = true;
    return options;
}

/* NULL: no broker takes such a name or number. */
static rd_kafka_NewTopic_t *admin_new_topic(const struct topic_admin *a, enum topic topic,
                                            unsigned dropped) {
    char error[256];
    struct topic_setting settings[TOPIC_SETTINGS_MAX];
    size_t count = topic_settings(topic, a->kafka, settings);
    rd_kafka_NewTopic_t *new_topic = rd_kafka_NewTopic_new(
        a->kafka->names.topics[topic], topic_partitions_wanted(topic, a->kafka),
        (int)a->kafka->topic_replication_factor, error, sizeof error);
    for (size_t i = 0; new_topic != NULL && i < count; i++)
        if ((dropped & (1U << i)) == 0)
            rd_kafka_NewTopic_set_config(new_topic, settings[i].name, settings[i].value);
    return new_topic;
}

void topic_admin_create(struct topic_admin *a, const bool wanted[TOPICS],
                        const unsigned dropped[TOPICS]) {
    rd_kafka_NewTopic_t *topics[TOPICS];
    size_t count = 0;
    for (size_t t = 0; t < TOPICS; t++)
        if (wanted[t] && (topics[count] = admin_new_topic(a, (enum topic)t, dropped[t])) != NULL)
            count++;
    if (count == 0)
        return;
    rd_kafka_AdminOptions_t *options = admin_begin(a, RD_KAFKA_ADMIN_OP_CREATETOPICS, wanted);
    rd_kafka_CreateTopics(a->rk, topics, count, options, a->answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy_array(topics, count);
}

void topic_admin_describe(struct topic_admin *a, const bool wanted[TOPICS], int32_t broker) {
    char error[256];
    rd_kafka_ConfigResource_t *resources[TOPICS];
    size_t count = 0;
    for (size_t t = 0; t < TOPICS; t++)
        if (wanted[t])
            resources[count++] =
                rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, a->kafka->names.topics[t]);
    if (count == 0)
        return;
    rd_kafka_AdminOptions_t *options = admin_begin(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, wanted);
    rd_kafka_AdminOptions_set_broker(options, broker, error, sizeof error);
    rd_kafka_DescribeConfigs(a->rk, resources, count, options, a->answers);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ConfigResource_destroy_array(resources, count);
}

bool topic_admin_busy(const struct topic_admin *a) {
    return a->busy;
}

/* --- life ------------------------------------------------------------------------------------- */

struct topic_admin *topic_admin_open(struct loop *loop, rd_kafka_t *rk,
                                     const struct kafka_options *kafka,
                                     const struct topic_admin_events *events) {
    struct topic_admin *a = mem_zero(sizeof *a);
    a->rk = rk;
    a->kafka = kafka;
    a->events = *events;
    a->answers = rd_kafka_queue_new(rk);
    a->wakeup = kafka_wakeup_open(loop, a->answers, admin_on_answers, a);
    if (a->wakeup == NULL) {
        topic_admin_close(a);
        return NULL;
    }
    return a;
}

void topic_admin_close(struct topic_admin *a) {
    if (a == NULL)
        return;
    kafka_wakeup_close(a->wakeup);
    rd_kafka_queue_destroy(a->answers);
    free(a);
}
