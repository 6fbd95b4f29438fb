#include "executor/query/stuck.h"

#include <inttypes.h>
#include <stdio.h>

#include "executor/query/started.h"

enum {
    STUCK_MS = 60000,
    DESCRIBED_MAX = 10
};

/* One record that is looked at. */
struct stuck_record {
    const char *refused_by; /* topic */
    int32_t partition;
    int64_t offset;
    int64_t failing_ms;
    rd_kafka_resp_err_t err; /* NO_ERROR: nothing has failed */
};

struct stuck_look {
    const struct settler *settler;
    struct buffer *why; /* NULL: only counted */
    size_t count;
};

static void stuck_look_at(struct stuck_look *look, const struct stuck_record *r) {
    char line[512];
    int64_t for_ms = loop_now(look->settler->loop) - r->failing_ms;
    if (r->err == RD_KAFKA_RESP_ERR_NO_ERROR || for_ms < STUCK_MS)
        return;
    look->count++;
    if (look->why == NULL || look->count > DESCRIBED_MAX)
        return;
    snprintf(line, sizeof line,
             "%s/%d/%" PRId64 " is not finished: %s has refused a record of it for %" PRId64
             " s: %s\n",
             look->settler->kafka->names.topics[TOPIC_QUERY], (int)r->partition, r->offset,
             r->refused_by, for_ms / 1000, rd_kafka_err2str(r->err));
    buffer_puts(look->why, line);
}

static void stuck_look_at_send(struct stuck_look *look, const struct job *job,
                               const struct job_send *send, const char *topic) {
    if (!send->wanted || send->acked)
        return;
    const struct stuck_record record = {topic, job->partition->id, job->offset, send->failing_ms,
                                        send->err};
    stuck_look_at(look, &record);
}

static void stuck_look_at_all(struct stuck_look *look, const struct jobs *jobs) {
    if (look->settler->loop == NULL) /* not wired yet */
        return;
    const char *states = look->settler->kafka->names.topics[TOPIC_STATUS];
    const struct job *job = NULL; /* cppcheck does not know that the loops set these */
    TAILQ_FOREACH(job, &jobs->settling, in_list) {
        stuck_look_at_send(look, job, &job->copy, job->copy_topic);
        stuck_look_at_send(look, job, &job->status, states);
    }
    const struct started *start = NULL;
    LIST_FOREACH(start, &look->settler->starts, link) {
        const struct stuck_record record = {states, start->partition, start->offset,
                                            start->failing_ms, start->err};
        stuck_look_at(look, &record);
    }
}

size_t stuck_count(const struct settler *s, const struct jobs *jobs) {
    struct stuck_look look = {.settler = s};
    stuck_look_at_all(&look, jobs);
    return look.count;
}

void stuck_describe(const struct settler *s, const struct jobs *jobs, struct buffer *why) {
    struct stuck_look look = {.settler = s, .why = why};
    stuck_look_at_all(&look, jobs);
    if (look.count > DESCRIBED_MAX) {
        char line[64];
        snprintf(line, sizeof line, "and %zu more\n", look.count - DESCRIBED_MAX);
        buffer_puts(why, line);
    }
}
