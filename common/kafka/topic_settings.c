#include "common/kafka/topic_settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum topic_kind {
    KIND_QUEUE,    /* holds what waits */
    KIND_REJECTED, /* what people look at: it is kept as its owner wishes */
    KIND_STATES,
    KIND_QUOTA
};

static const struct topic_row {
    enum topic_kind kind;
    bool optional;
    bool one_partition; /* all read it in the same order */
    const char *max_message_bytes;
} rows[] = {
    /* A copy carries a few headers more than the record it was made from. */
    [TOPIC_QUERY] = {KIND_QUEUE, false, false, "2097152"},
    [TOPIC_DEADLETTER] = {KIND_QUEUE, false, false, "2162688"},
    [TOPIC_REJECTED] = {KIND_REJECTED, false, false, "2162688"},
    [TOPIC_STATUS] = {KIND_STATES, false, false, "2162688"},
    [TOPIC_QUOTA] = {KIND_QUOTA, true, true, NULL},
};
_Static_assert(sizeof rows / sizeof *rows == TOPICS, "a topic has no row");

bool topic_is_optional(enum topic topic) {
    return rows[topic].optional;
}

int topic_partitions_wanted(enum topic topic, const struct kafka_options *kafka) {
    return rows[topic].one_partition ? 1 : (int)kafka->topic_partitions;
}

/* --- creating --------------------------------------------------------------------------------- */

static struct topic_setting setting(const char *name, const char *value) {
    struct topic_setting s = {.name = name};
    snprintf(s.value, sizeof s.value, "%s", value);
    return s;
}

static struct topic_setting setting_ms(const char *name, int64_t value) {
    struct topic_setting s = {.name = name};
    snprintf(s.value, sizeof s.value, "%" PRId64, value);
    return s;
}

size_t topic_settings(enum topic topic, const struct kafka_options *kafka,
                      struct topic_setting settings[TOPIC_SETTINGS_MAX]) {
    const struct topic_row *row = &rows[topic];
    size_t n = 0;
    if (row->kind == KIND_QUOTA) {
        /* Only the last record of each key counts, and one of an hour ago counts for nothing. */
        settings[n++] = setting("cleanup.policy", "compact,delete");
        settings[n++] = setting("retention.ms", "3600000");
        settings[n++] = setting("segment.ms", "600000");
        settings[n++] = setting("segment.bytes", "1048576");
        return n;
    }
    bool states = row->kind == KIND_STATES;
    bool forgets = states && kafka->status_retention_ms >= 0;
    /* A queue must not drop what waits in it, nor refuse a record that another queue has taken. */
    settings[n++] = setting("cleanup.policy", forgets  ? "compact,delete"
                                              : states ? "compact"
                                                       : "delete");
    settings[n++] = setting_ms("retention.ms", forgets ? kafka->status_retention_ms : -1);
    settings[n++] = setting("max.message.bytes", row->max_message_bytes);
    return n;
}

unsigned topic_settings_drop(const struct topic_setting *settings, size_t count, unsigned dropped,
                             const char *reason) {
    unsigned named = 0, fragile = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned bit = 1U << i;
        all |= bit;
        if (strstr(reason, settings[i].name) != NULL)
            named |= bit;
        if (strncmp(settings[i].name, "segment.", strlen("segment.")) == 0)
            fragile |= bit; /* Amazon MSK Serverless has its own */
    }
    if ((named & ~dropped) != 0)
        return dropped | named;
    return (fragile & ~dropped) != 0 ? dropped | fragile : all;
}

/* --- finding ---------------------------------------------------------------------------------- */

void topic_found_read(struct topic_found *found, const char *name, const char *value) {
    if (value == NULL)
        return;
    if (strcmp(name, "cleanup.policy") == 0) {
        found->compacts = strstr(value, "compact") != NULL;
        found->deletes = strstr(value, "delete") != NULL;
    } else if (strcmp(name, "retention.ms") == 0 || strcmp(name, "retention.bytes") == 0) {
        found->finite |= strcmp(value, "-1") != 0;
    }
}

enum topic_fault topic_judge(enum topic topic, const struct topic_found *found) {
    enum topic_kind kind = rows[topic].kind;
    bool holds_queries = kind == KIND_QUEUE || kind == KIND_REJECTED;
    if (holds_queries && found->compacts)
        return TOPIC_COMPACTED;
    if (kind == KIND_QUEUE && found->deletes && found->finite)
        return TOPIC_FINITE;
    if (kind == KIND_STATES && found->deletes && !found->compacts)
        return TOPIC_NOT_COMPACTED;
    return TOPIC_SOUND;
}

static const struct {
    const char *text;
    bool stops, counts;
} faults[] = {
    [TOPIC_SOUND] = {"has the settings that it needs", false, false},
    [TOPIC_COMPACTED] = {"is compacted: of the queries of a user only the last is kept; set its "
                         "cleanup.policy to delete and its retention.ms to -1",
                         true, true},
    [TOPIC_FINITE] = {"has a finite retention: queries that wait for longer, or behind more bytes, "
                      "are lost; set its retention.ms and retention.bytes to -1",
                      false, true},
    [TOPIC_NOT_COMPACTED] = {"is not compacted: the states of queries that wait or run for long "
                             "are lost, too; set its cleanup.policy to compact,delete",
                             false, false},
};

const char *topic_fault_text(enum topic_fault fault) {
    return faults[fault].text;
}

bool topic_fault_stops(enum topic_fault fault) {
    return faults[fault].stops;
}

bool topic_fault_counts(enum topic_fault fault) {
    return faults[fault].counts;
}
