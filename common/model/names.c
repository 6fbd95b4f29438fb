#include "common/model/names.h"

#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct names, field)

static const struct option rows[] = {
    {"STAGE", OPTION_STRING, AT(stage), "",
     "Added to every topic and group name as `-STAGE`; paths are served under `/STAGE` too.", 0, 0,
     NULL},
    {"QUERY_TOPIC", OPTION_STRING, AT(topics[TOPIC_QUERY]), "athena-query",
     "Queries that wait to be started.", 0, 0, NULL},
    {"DEADLETTER_TOPIC", OPTION_STRING, AT(topics[TOPIC_DEADLETTER]), "athena-query-deadletter",
     "Throttled queries that wait for the redriver.", 0, 0, NULL},
    {"REJECTED_TOPIC", OPTION_STRING, AT(topics[TOPIC_REJECTED]), "athena-query-rejected",
     "Records that can never run, for people to look at.", 0, 0, NULL},
    {"STATUS_TOPIC", OPTION_STRING, AT(topics[TOPIC_STATUS]), "athena-query-status",
     "The last state of every query; compacted.", 0, 0, NULL},
};

static const struct option quota_rows[] = {
    {"QUOTA_TOPIC", OPTION_STRING, AT(topics[TOPIC_QUOTA]), "athena-query-quota",
     "By which executors share the quota; without it each learns the limit alone.", 0, 0, NULL},
};

/* In the order of `enum topic`. */
static const char *const topic_variables[] = {
    [TOPIC_QUERY] = "QUERY_TOPIC",       [TOPIC_DEADLETTER] = "DEADLETTER_TOPIC",
    [TOPIC_REJECTED] = "REJECTED_TOPIC", [TOPIC_STATUS] = "STATUS_TOPIC",
    [TOPIC_QUOTA] = "QUOTA_TOPIC",
};
_Static_assert(sizeof topic_variables / sizeof *topic_variables == TOPICS,
               "a topic has no variable");

static const char *const group_names[] = {
    [GROUP_EXECUTOR] = "athena-query-executor",
    [GROUP_REDRIVER] = "athena-query-redriver",
};
_Static_assert(sizeof group_names / sizeof *group_names == GROUPS, "a group has no name");

/* Kafka: a topic's name is 1 to 249 of these characters, and neither "." nor "..". */
static bool is_kafka_name(const char *name) {
    size_t len = strlen(name);
    return len > 0 && len <= 249 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

/* `slot` counts the topics and then the groups. */
static const char *with_stage(struct names *n, size_t slot, const char *name) {
    if (*n->stage == '\0')
        return name;
    struct buffer b;
    buffer_init(&b, 4096);
    buffer_printf(&b, "%s-%s", name, n->stage);
    return n->staged[slot] = buffer_take(&b);
}

static void check_topic(const struct names *n, size_t t, struct buffer *faults) {
    if (!is_kafka_name(n->topics[t]))
        buffer_printf(faults, "%s: \"%s\" is no name for a topic: 1 to 249 of A-Z a-z 0-9 . _ -\n",
                      topic_variables[t], n->topics[t]);
    for (size_t other = 0; other < t; other++)
        if (n->topics[other] != NULL && strcmp(n->topics[t], n->topics[other]) == 0)
            buffer_printf(faults, "%s: is the same topic as %s\n", topic_variables[t],
                          topic_variables[other]);
}

static void names_finish(void *part, struct buffer *faults) {
    struct names *n = part;
    if (*n->stage != '\0' && !is_kafka_name(n->stage))
        buffer_printf(faults, "STAGE: must be of A-Z a-z 0-9 . _ -, not \"%s\"\n", n->stage);
    for (size_t t = 0; t < TOPICS; t++)
        if (n->topics[t] != NULL) {
            n->topics[t] = with_stage(n, t, n->topics[t]);
            check_topic(n, t, faults);
        }
    for (size_t g = 0; g < GROUPS; g++)
        n->groups[g] = with_stage(n, TOPICS + g, group_names[g]);
}

static void names_release(void *part) {
    struct names *n = part;
    for (size_t i = 0; i < sizeof n->staged / sizeof *n->staged; i++) {
        free(n->staged[i]);
        n->staged[i] = NULL;
    }
}

const struct option_table options_names = {
    .rows = rows,
    .count = sizeof rows / sizeof *rows,
    .finish = names_finish,
    .release = names_release,
};
const struct option_table options_quota_topic = {
    .rows = quota_rows,
    .count = sizeof quota_rows / sizeof *quota_rows,
};
