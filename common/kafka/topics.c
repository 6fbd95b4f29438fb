#include "common/kafka/topics.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/metrics.h"
#include "common/kafka/handle.h"
#include "common/kafka/topic_admin.h"
#include "common/kafka/topic_settings.h"
#include "common/kafka/wakeup.h"

enum {
    LOOK_SOON_MS = 500,
    LOOK_EVERY_MS = 5000,
    LOOK_DOWN_MS = 1000, /* while no broker answers */
    METADATA_TIMEOUT_MS = 100,
    DOWN_AFTER_MS = 3000, /* a broker that is slow once is not down */
    GONE_AFTER = 2,       /* looks in a row: a broker that has just started may know of no topic */
    DESCRIBE_EVERY_MS = 120000,
    DESCRIBE_SOON_MS = 5000, /* while nothing is taken for what was found */
    CREATE_AGAIN_MS = 5000   /* after a refusal */
};

struct watched {
    const char *name;   /* NULL: this program has no use for it */
    int32_t partitions; /* 0: not there */
    int absent;         /* looks in a row that did not find it */
    bool refused;       /* to be created */
    unsigned dropped;   /* settings that the broker refuses, see topic_settings_drop() */
    bool described;     /* its settings are known, or cannot be read */
    enum topic_fault fault;
};

struct topics {
    struct kafka_owner owner; /* first: the handle's opaque */
    struct loop *loop;
    const struct kafka_options *kafka;
    struct topics_events events;
    struct watched watched[TOPICS];
    rd_kafka_t *rk;
    rd_kafka_queue_t *main_queue;
    struct kafka_wakeup *main_wakeup;
    struct topic_admin *admin;
    struct loop_timer look_timer;
    int64_t failing_since_ms, described_ms, refused_ms; /* loop_now(); 0: never */
    int32_t broker;                                     /* the id of the one that answered last */
    bool there;                                         /* all were, at the last look */
    bool was_ready;                                     /* `ready` was called */
    bool down; /* no broker is reached, and it was logged */
    bool unreadable_logged;
    char missing[1024];
    char logged[1024]; /* the last of `missing` that was logged */
};

static void topics_look(void *arg);

static void topics_look_in(struct topics *t, int64_t delay_ms) {
    loop_timer_set(t->loop, &t->look_timer, delay_ms, topics_look, t);
}

/* --- creating --------------------------------------------------------------------------------- */

static void topics_create(struct topics *t) {
    bool wanted[TOPICS] = {false};
    unsigned dropped[TOPICS];
    bool again = loop_now(t->loop) - t->refused_ms >= CREATE_AGAIN_MS;
    bool any = false;
    for (size_t i = 0; i < TOPICS; i++) {
        const struct watched *w = &t->watched[i];
        dropped[i] = w->dropped;
        wanted[i] = w->name != NULL && w->partitions == 0 && (!w->refused || again);
        any |= wanted[i];
    }
    if (any && t->kafka->create_topics && !topic_admin_busy(t->admin))
        topic_admin_create(t->admin, wanted, dropped);
}

static void log_created(const struct topics *t, enum topic topic) {
    struct topic_setting settings[TOPIC_SETTINGS_MAX];
    size_t count = topic_settings(topic, t->kafka, settings);
    const struct watched *w = &t->watched[topic];
    char without[256] = "";
    for (size_t i = 0, n = 0; i < count; i++)
        if ((w->dropped & (1U << i)) != 0)
            n += (size_t)snprintf(without + n, sizeof without - n, "%s%s=%s",
                                  n == 0 ? " without what the broker refuses: " : ", ",
                                  settings[i].name, settings[i].value);
    log_write(w->dropped != 0 ? LOG_WARN : LOG_INFO, "topic %s created%s", w->name, without);
}

/* True: the creation was refused for its settings, and is tried with fewer. */
static bool topics_drop_settings(struct topics *t, enum topic topic, rd_kafka_resp_err_t err,
                                 const char *reason) {
    struct watched *w = &t->watched[topic];
    struct topic_setting settings[TOPIC_SETTINGS_MAX];
    size_t count = topic_settings(topic, t->kafka, settings);
    if (err != RD_KAFKA_RESP_ERR_INVALID_CONFIG && err != RD_KAFKA_RESP_ERR_POLICY_VIOLATION &&
        err != RD_KAFKA_RESP_ERR_INVALID_REQUEST)
        return false;
    unsigned dropped = topic_settings_drop(settings, count, w->dropped, reason);
    bool fewer = dropped != w->dropped;
    w->dropped = dropped;
    return fewer;
}

static void topics_on_created(void *arg, enum topic topic, rd_kafka_resp_err_t err,
                              const char *reason) {
    struct topics *t = arg;
    struct watched *w = &t->watched[topic];
    bool was_refused = w->refused;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        log_created(t, topic);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        w->refused = false;
        return;
    }
    if (topics_drop_settings(t, topic, err, reason))
        return;
    w->refused = true;
    t->refused_ms = loop_now(t->loop);
    log_write(was_refused ? LOG_DEBUG : LOG_WARN, "topic %s cannot be created: %s", w->name,
              reason);
}

/* --- settings --------------------------------------------------------------------------------- */

static void log_fault(const struct topics *t, const struct watched *w) {
    const char *effect = !topic_fault_stops(w->fault)    ? ""
                         : t->kafka->allow_unsafe_topics ? " (ALLOW_UNSAFE_TOPICS=true: it is used)"
                                                         : "; until then no query is taken";
    log_write(w->fault == TOPIC_SOUND ? LOG_INFO : LOG_WARN, "topic %s %s%s", w->name,
              topic_fault_text(w->fault), effect);
}

static void topics_on_described(void *arg, enum topic topic, const struct topic_found *found,
                                const char *reason) {
    struct topics *t = arg;
    struct watched *w = &t->watched[topic];
    w->described = true;
    if (found == NULL) { /* what was known of it stays */
        log_write(t->unreadable_logged ? LOG_DEBUG : LOG_WARN,
                  "the settings of topic %s cannot be read: %s: whether it keeps what waits is not "
                  "known",
                  w->name, reason);
        t->unreadable_logged = true;
        return;
    }
    enum topic_fault fault = topic_judge(topic, found);
    if (fault != w->fault) {
        w->fault = fault;
        log_fault(t, w);
    }
}

static bool topics_all_described(const struct topics *t) {
    for (size_t i = 0; i < TOPICS; i++)
        if (t->watched[i].partitions > 0 && !t->watched[i].described)
            return false;
    return true;
}

static bool watched_stops(const struct topics *t, const struct watched *w) {
    return topic_fault_stops(w->fault) && !t->kafka->allow_unsafe_topics;
}

static bool topics_are_stopped(const struct topics *t) {
    for (size_t i = 0; i < TOPICS; i++)
        if (watched_stops(t, &t->watched[i]))
            return true;
    return false;
}

static void topics_describe_settings(struct topics *t) {
    int64_t now_ms = loop_now(t->loop);
    int64_t every_ms = topics_are_stopped(t) ? DESCRIBE_SOON_MS : DESCRIBE_EVERY_MS;
    bool wanted[TOPICS];
    if (topic_admin_busy(t->admin) ||
        (topics_all_described(t) && now_ms - t->described_ms < every_ms))
        return;
    for (size_t i = 0; i < TOPICS; i++)
        wanted[i] = t->watched[i].partitions > 0;
    t->described_ms = now_ms;
    topic_admin_describe(t->admin, wanted, t->broker);
}

static void topics_on_answered(void *arg) {
    struct topics *t = arg;
    if (!t->there)
        topics_look_in(t, LOOK_SOON_MS / 5);
}

/* --- looking ---------------------------------------------------------------------------------- */

static const rd_kafka_metadata_topic_t *find_metadata(const rd_kafka_metadata_t *metadata,
                                                      const char *name) {
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, name) == 0 &&
            metadata->topics[i].err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            return &metadata->topics[i];
    return NULL;
}

static void watched_set_partitions(struct topics *t, struct watched *w, int32_t partitions) {
    if (t->was_ready && w->partitions > 0 && partitions > 0)
        log_info("topic %s has %d partitions, it had %d", w->name, (int)partitions,
                 (int)w->partitions);
    else
        w->described = false;
    if (partitions == 0)
        w->fault = TOPIC_SOUND;
    w->partitions = partitions;
}

/* True where something has changed. */
static bool watched_take(struct topics *t, struct watched *w, const rd_kafka_metadata_t *metadata) {
    const rd_kafka_metadata_topic_t *found = find_metadata(metadata, w->name);
    int32_t partitions = w->partitions;
    if (found == NULL) {
        w->absent++;
        partitions = w->absent >= GONE_AFTER ? 0 : partitions;
    } else if (found->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        w->absent = 0;
        partitions = found->partition_cnt;
    }
    if (partitions == w->partitions)
        return false;
    watched_set_partitions(t, w, partitions);
    return true;
}

/* It is there, or the program can do without it. */
static bool watched_suffices(const struct topics *t, size_t i) {
    const struct watched *w = &t->watched[i];
    return w->name == NULL || w->partitions > 0 ||
           (topic_is_optional((enum topic)i) &&
            (t->was_ready || w->refused || !t->kafka->create_topics));
}

static void topics_name_missing(struct topics *t) {
    t->missing[0] = '\0';
    for (size_t i = 0; i < TOPICS; i++)
        if (!watched_suffices(t, i)) {
            size_t n = strlen(t->missing);
            snprintf(t->missing + n, sizeof t->missing - n, "%s%s",
                     n == 0 ? "missing topics: " : ", ", t->watched[i].name);
        }
}

/* Blocks for METADATA_TIMEOUT_MS at most. False: no broker answers. */
static bool topics_ask(struct topics *t, bool *changed) {
    /* Of all topics: asking for one by name may create it, with the broker's defaults. */
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t err = rd_kafka_metadata(t->rk, 1, NULL, &metadata, METADATA_TIMEOUT_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (!t->there)
            snprintf(t->missing, sizeof t->missing, "no broker reached at %s: %s",
                     t->kafka->bootstrap_servers, rd_kafka_err2str(err));
        return false;
    }
    for (size_t i = 0; i < TOPICS; i++)
        if (t->watched[i].name != NULL)
            *changed |= watched_take(t, &t->watched[i], metadata);
    t->broker = metadata->orig_broker_id;
    rd_kafka_metadata_destroy(metadata);
    topics_name_missing(t);
    return true;
}

static void topics_log_missing(struct topics *t) {
    if (strcmp(t->missing, t->logged) == 0)
        return;
    if (t->missing[0] != '\0')
        log_warn("not ready: %s", t->missing);
    else
        log_info("all topics are there");
    memcpy(t->logged, t->missing, sizeof t->logged);
}

/* One line when no broker is reached any more, one when it is good again. */
static void topics_note_broker(struct topics *t, bool answered) {
    int64_t now_ms = loop_now(t->loop);
    if (answered) {
        if (t->down)
            log_info("kafka: a broker is reached again");
        t->down = false;
        t->failing_since_ms = 0;
        return;
    }
    if (t->failing_since_ms == 0)
        t->failing_since_ms = now_ms;
    if (t->there && !t->down && now_ms - t->failing_since_ms >= DOWN_AFTER_MS) {
        t->down = true;
        const char *trouble = t->owner.health.trouble;
        log_warn("kafka: no broker reached at %s%s%s", t->kafka->bootstrap_servers,
                 *trouble != '\0' ? ": " : "", trouble);
    }
}

static int64_t topics_next_look_ms(const struct topics *t, bool answered) {
    if (!answered)
        return t->there ? LOOK_DOWN_MS : LOOK_SOON_MS;
    for (size_t i = 0; i < TOPICS; i++) {
        const struct watched *w = &t->watched[i];
        bool creating = w->partitions == 0 && !w->refused && t->kafka->create_topics;
        if (w->name != NULL && (w->absent > 0 || w->partitions == 0) &&
            (creating || w->partitions > 0 || !watched_suffices(t, i)))
            return LOOK_SOON_MS;
    }
    return LOOK_EVERY_MS;
}

static void topics_look(void *arg) {
    struct topics *t = arg;
    bool changed = false, answered = topics_ask(t, &changed);
    topics_note_broker(t, answered);
    t->there = t->missing[0] == '\0';
    topics_log_missing(t);
    topics_look_in(t, topics_next_look_ms(t, answered));
    if (!answered)
        return;
    topics_create(t);
    topics_describe_settings(t);
    if (t->there && !t->was_ready) {
        t->was_ready = true;
        t->events.ready(t->events.arg);
    } else if (changed && t->was_ready && t->events.changed != NULL) {
        t->events.changed(t->events.arg);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static void topics_serve(void *arg) {
    struct topics *t = arg;
    rd_kafka_poll(t->rk, 0);
}

static bool topics_open_handle(struct topics *t, char *error, size_t error_size) {
    const struct topic_admin_events events = {topics_on_created, topics_on_described,
                                              topics_on_answered, t};
    t->rk =
        kafka_open(RD_KAFKA_PRODUCER, kafka_conf(t->kafka), t->kafka, &t->owner, error, error_size);
    if (t->rk == NULL)
        return false;
    snprintf(error, error_size, "no eventfd");
    t->main_queue = rd_kafka_queue_get_main(t->rk);
    t->main_wakeup = kafka_wakeup_open(t->loop, t->main_queue, topics_serve, t);
    t->admin = topic_admin_open(t->loop, t->rk, t->kafka, &events);
    return t->main_wakeup != NULL && t->admin != NULL;
}

struct topics *topics_open(struct loop *loop, const struct kafka_options *kafka,
                           const struct topics_events *events, char *error, size_t error_size) {
    struct topics *t = mem_zero(sizeof *t);
    t->loop = loop;
    t->kafka = kafka;
    t->events = *events;
    snprintf(t->missing, sizeof t->missing, "topics not yet looked for");
    memcpy(t->logged, t->missing, sizeof t->logged);
    for (size_t i = 0; i < TOPICS; i++)
        t->watched[i].name = kafka->names.topics[i];
    if (!topics_open_handle(t, error, error_size)) {
        topics_close(t);
        return NULL;
    }
    topics_look_in(t, 0);
    return t;
}

void topics_close(struct topics *t) {
    if (t == NULL)
        return;
    loop_timer_cancel(t->loop, &t->look_timer);
    topic_admin_close(t->admin);
    kafka_wakeup_close(t->main_wakeup);
    if (t->main_queue != NULL)
        rd_kafka_queue_destroy(t->main_queue);
    if (t->rk == NULL || kafka_close(&t->owner, t->rk, 0))
        free(t);
}

/* --- what the others ask ---------------------------------------------------------------------- */

bool topics_ready(const struct topics *t) {
    return t->there && topics_all_described(t) && !topics_are_stopped(t);
}

int32_t topics_partitions(const struct topics *t, const char *name) {
    for (size_t i = 0; i < TOPICS; i++)
        if (t->watched[i].name != NULL && strcmp(t->watched[i].name, name) == 0)
            return t->watched[i].partitions;
    return 0;
}

void topics_describe_missing(const struct topics *t, struct buffer *why) {
    const char *trouble = t->owner.health.trouble;
    if (!t->there)
        buffer_printf(why, "%s%s%s\n", t->missing, *trouble != '\0' ? ": " : "", trouble);
    else if (!topics_all_described(t))
        buffer_puts(why, "the settings of the topics are not read yet\n");
    for (size_t i = 0; i < TOPICS; i++)
        if (watched_stops(t, &t->watched[i]))
            buffer_printf(why, "topic %s %s\n", t->watched[i].name,
                          topic_fault_text(t->watched[i].fault));
}

void topics_write_metrics(const struct topics *t, struct buffer *out) {
    struct metric rows[TOPICS];
    struct buffer labels[TOPICS];
    size_t count = 0;
    for (size_t i = 0; i < TOPICS; i++) {
        const struct watched *w = &t->watched[i];
        if (w->partitions == 0)
            continue;
        buffer_init(&labels[count], 1024);
        metrics_label(&labels[count], "topic", w->name);
        rows[count] = (struct metric){
            .name = "athena_query_topic_unsafe",
            .labels = buffer_text(&labels[count]),
            .help = "1 where the topic's settings lose queries that wait: it is compacted, or has "
                    "a finite retention.",
            .type = METRIC_GAUGE,
            .value = topic_fault_counts(w->fault)};
        count++;
    }
    metrics_write(rows, count, out);
    for (size_t i = 0; i < count; i++)
        buffer_free(&labels[i]);
}
