#include "redriver/member.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/group.h"
#include "common/kafka/handle.h"

enum {
    REVOKE_TIMEOUT_MS = 5000
};

struct member {
    struct member_events events;
    struct kafka_group *group; /* NULL: in none */
    int32_t *partitions;       /* owned */
    size_t count;
    bool assigned;
};

static int32_t *member_resize(struct member *m, size_t count) {
    m->partitions = mem_resize(m->partitions, count + 1, sizeof *m->partitions);
    m->count = count;
    return m->partitions;
}

static void member_on_assigned(void *arg, const rd_kafka_topic_partition_list_t *list) {
    struct member *m = arg;
    int32_t *partitions = member_resize(m, (size_t)list->cnt);
    for (int i = 0; i < list->cnt; i++)
        partitions[i] = list->elems[i].partition;
    m->assigned = true;
    log_info("group: assigned partitions=%zu", m->count);
    m->events.assigned(m->events.arg);
}

static void member_on_revoked(void *arg, bool lost) {
    struct member *m = arg;
    log_info("group: %s partitions=%zu", lost ? "lost" : "revoked", m->count);
    m->assigned = false;
    m->count = 0;
    m->events.revoked(m->events.arg, lost);
}

static void member_on_overdue(void *arg) {
    struct member *m = arg;
    m->events.overdue(m->events.arg);
}

static void member_on_committed(void *arg, rd_kafka_resp_err_t err) {
    struct member *m = arg;
    if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        m->events.gone(m->events.arg);
}

static struct kafka_group *member_open_group(struct member *m, struct loop *loop,
                                             const struct kafka_options *kafka, char *error,
                                             size_t error_size) {
    const struct kafka_group_settings settings = {
        .topic = kafka->names.topics[TOPIC_DEADLETTER],
        .revoke_ms = REVOKE_TIMEOUT_MS,
        .trims = true,
        .keep_done_ms = kafka->keep_done_ms,
        .events = {.assigned = member_on_assigned,
                   .revoked = member_on_revoked,
                   .overdue = member_on_overdue,
                   .committed = member_on_committed,
                   .arg = m},
    };
    rd_kafka_conf_t *conf = kafka_group_conf(kafka, kafka->names.groups[GROUP_REDRIVER]);
    kafka_set_default(conf, kafka, "heartbeat.interval.ms", "1000");
    return kafka_group_open(loop, kafka, conf, &settings, error, error_size);
}

struct member *member_open(struct loop *loop, const struct kafka_options *kafka, bool in_group,
                           const struct member_events *events, char *error, size_t error_size) {
    struct member *m = mem_zero(sizeof *m);
    m->events = *events;
    if (in_group && (m->group = member_open_group(m, loop, kafka, error, error_size)) == NULL) {
        free(m);
        return NULL;
    }
    return m;
}

void member_close(struct member *m) {
    if (m == NULL)
        return;
    kafka_group_close(m->group);
    free(m->partitions);
    free(m);
}

bool member_join(struct member *m, int32_t partitions, char *error, size_t error_size) {
    if (m->group != NULL)
        return kafka_group_join(m->group, error, error_size);
    int32_t *all = member_resize(m, (size_t)partitions);
    for (int32_t i = 0; i < partitions; i++)
        all[i] = i;
    m->assigned = true;
    m->events.assigned(m->events.arg);
    return true;
}

void member_release(struct member *m) {
    if (m->group != NULL)
        kafka_group_release(m->group);
}

bool member_assigned(const struct member *m) {
    return m->assigned;
}

const int32_t *member_partitions(const struct member *m, size_t *count) {
    *count = m->count;
    return m->partitions;
}

struct kafka_commits *member_commits(const struct member *m) {
    return m->group != NULL ? kafka_group_commits(m->group) : NULL;
}

int64_t member_deleted(const struct member *m) {
    return m->group != NULL ? kafka_group_deleted(m->group) : 0;
}

bool member_broken(const struct member *m) {
    return m->group != NULL && kafka_group_broken(m->group);
}
