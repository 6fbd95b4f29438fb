/*
 * The settings of our topics: with which they are created, and which found ones lose what waits
 * (pure). docs/topics.md has the same as a table.
 */
#ifndef COMMON_KAFKA_TOPIC_SETTINGS_H
#define COMMON_KAFKA_TOPIC_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/kafka/options.h"

enum {
    TOPIC_SETTINGS_MAX = 5,
    TOPIC_SETTING_VALUE_MAX = 24 /* bytes, with the NUL */
};

/* The pipeline works without it. */
bool topic_is_optional(enum topic topic);
/* With how many partitions it is created. */
int topic_partitions_wanted(enum topic topic, const struct kafka_options *kafka);

struct topic_setting {
    const char *name;
    char value[TOPIC_SETTING_VALUE_MAX];
};

/* Those to create the topic with, in the order of the table; returns how many. */
size_t topic_settings(enum topic topic, const struct kafka_options *kafka,
                      struct topic_setting settings[TOPIC_SETTINGS_MAX]);
/*
 * A broker refused to create the topic with the settings that are not in `dropped` (a bit each, by
 * their place in the table) and gave this reason. Returns `dropped` with more bits: those of the
 * settings that the reason names, else of those that some brokers do not take, else all. The same
 * as before: there is nothing left to drop.
 */
unsigned topic_settings_drop(const struct topic_setting *settings, size_t count, unsigned dropped,
                             const char *reason);

/* Of a topic, as DescribeConfigs reports it. Zeroed: nothing is known. */
struct topic_found {
    bool compacts, deletes; /* cleanup.policy */
    bool finite;            /* retention.ms or retention.bytes is not -1 */
};

/* One setting of it; others are ignored. */
void topic_found_read(struct topic_found *found, const char *name, const char *value);

enum topic_fault {
    TOPIC_SOUND,
    TOPIC_COMPACTED,     /* of what waits only the last record of a key is kept */
    TOPIC_FINITE,        /* what waits too long is deleted */
    TOPIC_NOT_COMPACTED, /* states are deleted, of queries that still wait or run as well */
};

enum topic_fault topic_judge(enum topic topic, const struct topic_found *found);
/* What follows from the fault, as an end of `topic NAME `. */
const char *topic_fault_text(enum topic_fault fault);
/* Nothing may be taken into it before it is mended or allowed. */
bool topic_fault_stops(enum topic_fault fault);
/* In the metric athena_query_topic_unsafe. */
bool topic_fault_counts(enum topic_fault fault);

#endif
