#include "common/kafka/topics.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/handle.h"
#include "common/kafka/wakeup.h"

enum {
    LOOK_EVERY_MS = 500,
    METADATA_TIMEOUT_MS = 100,
    CREATE_TIMEOUT_MS = 10000
};

enum topic_kind {
    KIND_QUEUE,
    KIND_STATES,
    KIND_QUOTA, /* can be done without */
};

static const enum topic_kind kinds[] = {
    [TOPIC_QUERY] = KIND_QUEUE,   [TOPIC_DEADLETTER] = KIND_QUEUE, [TOPIC_REJECTED] = KIND_QUEUE,
    [TOPIC_STATUS] = KIND_STATES, [TOPIC_QUOTA] = KIND_QUOTA,
};
_Static_assert(sizeof kinds / sizeof *kinds == TOPICS, "a topic has no kind");

struct wanted {
    const char *name;
    enum topic_kind kind;
    int32_t partitions; /* 0: not seen */
    bool refused;       /* to be created */
};

struct topics {
    struct kafka_owner owner; /* first: the handle's opaque */
    struct loop *loop;
    const struct kafka_options *kafka;
    struct wanted wanted[TOPICS]; /* those that the program has a name for */
    size_t count;
    rd_kafka_t *rk; /* NULL once all were seen */
    rd_kafka_queue_t *main_queue, *results;
    struct kafka_wakeup *main_wakeup, *results_wakeup;
    struct loop_timer look_timer;
    bool creating;
    char missing[512];
    char logged[512]; /* the last of `missing` that was logged */
    loop_fn *ready;
    void *arg;
};

static void topics_look(void *arg);

static void topics_close_handle(struct topics *t) {
    loop_timer_cancel(t->loop, &t->look_timer);
    kafka_wakeup_close(t->main_wakeup);
    kafka_wakeup_close(t->results_wakeup);
    if (t->main_queue != NULL)
        rd_kafka_queue_destroy(t->main_queue);
    if (t->results != NULL)
        rd_kafka_queue_destroy(t->results);
    if (t->rk != NULL)
        kafka_close(&t->owner, t->rk, 0);
    t->main_wakeup = t->results_wakeup = NULL;
    t->main_queue = t->results = NULL;
    t->rk = NULL;
}

/* --- creating --------------------------------------------------------------------------------- */

static const struct {
    const char *name, *value;
} quota_settings[] = {
    /* Only the last record of each key counts, and one of an hour ago counts for nothing. */
    {"cleanup.policy", "compact,delete"},
    {"retention.ms", "3600000"},
    {"segment.ms", "600000"},
    {"segment.bytes", "1048576"},
};

static void topics_configure(const struct topics *t, const struct wanted *w,
                             rd_kafka_NewTopic_t *topic) {
    size_t settings = sizeof quota_settings / sizeof *quota_settings;
    if (w->kind == KIND_QUOTA) {
        for (size_t i = 0; i < settings; i++)
            rd_kafka_NewTopic_set_config(topic, quota_settings[i].name, quota_settings[i].value);
        return;
    }
    /* A queue must not drop what waits in it, nor refuse a record that another queue has taken. */
    rd_kafka_NewTopic_set_config(topic, "cleanup.policy",
                                 w->kind == KIND_STATES ? "compact" : "delete");
    rd_kafka_NewTopic_set_config(topic, "retention.ms", "-1");
    /* A copy carries a few headers more than the record it was made from. */
    rd_kafka_NewTopic_set_config(topic, "max.message.bytes",
                                 w->name == t->kafka->names.topics[TOPIC_QUERY] ? "2097152"
                                                                                : "2162688");
}

static rd_kafka_NewTopic_t *topics_new(const struct topics *t, const struct wanted *w) {
    char error[256];
    /* One partition: all executors read the quota topic in the same order. */
    int partitions = w->kind == KIND_QUOTA ? 1 : (int)t->kafka->topic_partitions;
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(
        w->name, partitions, (int)t->kafka->topic_replication_factor, error, sizeof error);
    if (topic == NULL) {
        log_error("topic %s cannot be created: %s", w->name, error);
        return NULL;
    }
    topics_configure(t, w, topic);
    return topic;
}

static void topics_create(struct topics *t) {
    rd_kafka_NewTopic_t *missing[TOPICS];
    size_t count = 0;
    for (size_t i = 0; i < t->count; i++)
        if (t->wanted[i].partitions == 0 && (missing[count] = topics_new(t, &t->wanted[i])) != NULL)
            count++;
    if (count == 0)
        return;
    char error[256];
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(t->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, CREATE_TIMEOUT_MS, error, sizeof error);
    t->creating = true;
    rd_kafka_CreateTopics(t->rk, missing, count, options, t->results);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy_array(missing, count);
}

static void note_created(struct topics *t, const rd_kafka_topic_result_t *result) {
    rd_kafka_resp_err_t err = rd_kafka_topic_result_error(result);
    const char *name = rd_kafka_topic_result_name(result);
    bool refused =
        err != RD_KAFKA_RESP_ERR_NO_ERROR && err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        log_info("topic %s created", name);
    else if (refused)
        log_warn("topic %s cannot be created: %s", name,
                 rd_kafka_topic_result_error_string(result));
    for (size_t w = 0; w < t->count; w++)
        if (strcmp(t->wanted[w].name, name) == 0)
            t->wanted[w].refused = refused;
}

static void topics_on_results(void *arg) {
    struct topics *t = arg;
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(t->results, 0)) != NULL) {
        const rd_kafka_CreateTopics_result_t *created = rd_kafka_event_CreateTopics_result(event);
        if (created != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            size_t count;
            const rd_kafka_topic_result_t **each =
                rd_kafka_CreateTopics_result_topics(created, &count);
            for (size_t i = 0; i < count; i++)
                note_created(t, each[i]);
        } else if (created != NULL) {
            log_warn("topics cannot be created: %s", rd_kafka_event_error_string(event));
        }
        rd_kafka_event_destroy(event);
        t->creating = false;
        loop_timer_set(t->loop, &t->look_timer, LOOK_EVERY_MS / 5, topics_look, t);
    }
}

/* --- looking ---------------------------------------------------------------------------------- */

static void note_partitions(struct topics *t, const rd_kafka_metadata_t *metadata) {
    for (int i = 0; i < metadata->topic_cnt; i++)
        for (size_t w = 0; w < t->count; w++)
            if (metadata->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR &&
                strcmp(metadata->topics[i].topic, t->wanted[w].name) == 0)
                t->wanted[w].partitions = metadata->topics[i].partition_cnt;
}

static bool can_do_without(const struct topics *t, const struct wanted *w) {
    return w->kind == KIND_QUOTA && (w->refused || !t->kafka->create_topics);
}

/* True where all are there; else `missing` names those that are not. */
static bool topics_look_once(struct topics *t) {
    /* Of all topics: asking for one by name may create it, with the broker's defaults. */
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t err = rd_kafka_metadata(t->rk, 1, NULL, &metadata, METADATA_TIMEOUT_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        snprintf(t->missing, sizeof t->missing, "no broker reached at %s: %s",
                 t->kafka->bootstrap_servers, rd_kafka_err2str(err));
        return false;
    }
    note_partitions(t, metadata);
    rd_kafka_metadata_destroy(metadata);
    t->missing[0] = '\0';
    for (size_t w = 0; w < t->count; w++)
        if (t->wanted[w].partitions == 0 && !can_do_without(t, &t->wanted[w])) {
            size_t n = strlen(t->missing);
            snprintf(t->missing + n, sizeof t->missing - n, "%s%s",
                     n == 0 ? "missing topics: " : ", ", t->wanted[w].name);
        }
    if (t->missing[0] != '\0' && t->kafka->create_topics)
        topics_create(t);
    return t->missing[0] == '\0';
}

static void topics_look(void *arg) {
    struct topics *t = arg;
    if (t->creating)
        return;
    if (topics_look_once(t)) {
        topics_close_handle(t);
        t->ready(t->arg);
        return;
    }
    if (strcmp(t->missing, t->logged) != 0) {
        log_warn("not ready: %s", t->missing);
        memcpy(t->logged, t->missing, sizeof t->logged);
    }
    if (!t->creating)
        loop_timer_set(t->loop, &t->look_timer, LOOK_EVERY_MS, topics_look, t);
}

static void topics_serve(void *arg) {
    struct topics *t = arg;
    rd_kafka_poll(t->rk, 0);
}

struct topics *topics_open(struct loop *loop, const struct kafka_options *kafka, loop_fn *ready,
                           void *arg, char *error, size_t error_size) {
    struct topics *t = mem_zero(sizeof *t);
    t->loop = loop;
    t->kafka = kafka;
    t->ready = ready;
    t->arg = arg;
    snprintf(t->missing, sizeof t->missing, "topics not yet looked for");
    for (size_t i = 0; i < TOPICS; i++)
        if (kafka->names.topics[i] != NULL)
            t->wanted[t->count++] = (struct wanted){kafka->names.topics[i], kinds[i], 0, false};
    t->rk = kafka_open(RD_KAFKA_PRODUCER, kafka_conf(kafka), kafka, &t->owner, error, error_size);
    if (t->rk != NULL) {
        t->main_queue = rd_kafka_queue_get_main(t->rk);
        t->results = rd_kafka_queue_new(t->rk);
        t->main_wakeup = kafka_wakeup_open(loop, t->main_queue, topics_serve, t);
        t->results_wakeup = kafka_wakeup_open(loop, t->results, topics_on_results, t);
    }
    if (t->main_wakeup == NULL || t->results_wakeup == NULL) {
        topics_close(t);
        return NULL;
    }
    loop_timer_set(loop, &t->look_timer, 0, topics_look, t);
    return t;
}

void topics_close(struct topics *t) {
    if (t == NULL)
        return;
    topics_close_handle(t);
    free(t);
}

bool topics_ready(const struct topics *t) {
    return t->rk == NULL;
}

int32_t topics_partitions(const struct topics *t, const char *name) {
    for (size_t w = 0; w < t->count; w++)
        if (strcmp(t->wanted[w].name, name) == 0)
            return t->wanted[w].partitions;
    return 0;
}

void topics_describe_missing(const struct topics *t, struct buffer *why) {
    const char *trouble = t->owner.health.trouble;
    buffer_printf(why, "%s%s%s\n", t->missing, *trouble != '\0' ? ": " : "", trouble);
}
