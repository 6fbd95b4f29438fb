/*
 * The names of what the programs share in Kafka: the topics, the consumer groups, and the stage
 * that is added to all of them, so that several pipelines may share one cluster.
 *
 * A new topic is a row in three places: `enum topic`, the tables of names.c, and the properties it
 * is created with (common/kafka/topics.c).
 */
#ifndef COMMON_MODEL_NAMES_H
#define COMMON_MODEL_NAMES_H

#include "common/base/options.h"

enum topic {
    TOPIC_QUERY,      /* QUERY_TOPIC: queries that wait to be started */
    TOPIC_DEADLETTER, /* DEADLETTER_TOPIC: throttled ones that wait for the redriver */
    TOPIC_REJECTED,   /* REJECTED_TOPIC: records that can never run */
    TOPIC_STATUS,     /* STATUS_TOPIC: the last state of every query */
    TOPIC_QUOTA,      /* QUOTA_TOPIC: how the executors share the quota */
    TOPICS
};

enum group {
    GROUP_EXECUTOR,
    GROUP_REDRIVER,
    GROUPS
};

/* Read by options_read(); nothing changes afterwards. */
struct names {
    const char *stage;             /* borrowed; "": none */
    const char *topics[TOPICS];    /* with the stage; NULL: this program has no use for it */
    const char *groups[GROUPS];    /* with the stage */
    char *staged[TOPICS + GROUPS]; /* owned: the names above, where there is a stage */
};

/* STAGE, QUERY_TOPIC, DEADLETTER_TOPIC, REJECTED_TOPIC and STATUS_TOPIC, of a struct names. */
extern const struct option_table options_names;
/* QUOTA_TOPIC, of the same struct: of the executor. It stands beside options_names, never alone. */
extern const struct option_table options_quota_topic;

#endif
