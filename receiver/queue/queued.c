#include "receiver/queue/queued.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/memory.h"

enum {
    WAITING_MAX = 20000,
    VALUE_MAX = 16384
};

struct queued_entry {
    STAILQ_ENTRY(queued_entry) entry;
    struct intake intake;
    int64_t at_ms;
};

STAILQ_HEAD(queued_list, queued_entry);

struct queued {
    struct producer *producer;
    const char *topic;
    struct status_view *view;
    struct buffer value; /* of the record that is being written */
    bool begun;
    struct queued_list waiting; /* for the view */
    size_t waiting_count;
    uint64_t written;
};

static void queued_write(struct queued *q, const struct intake *intake, int64_t at_ms) {
    struct status known;
    struct status s = {.user_id = (char *)intake->user_id,
                       .query_id = (char *)intake->query_id,
                       .state = STATUS_QUEUED,
                       .updated_at_ms = at_ms,
                       .has_sha256 = true};
    if (status_view_find(q->view, intake->user_id, intake->query_id, &known))
        return;
    memcpy(s.sha256, intake->sha256, sizeof s.sha256);
    char key[STATUS_KEY_MAX];
    struct buffer *value = &q->value;
    status_key(intake->user_id, intake->query_id, key);
    buffer_clear(value);
    status_write(&s, true, value);
    struct producer_record record = {.topic = q->topic,
                                     .key = key,
                                     .key_len = strlen(key),
                                     .value = value->data,
                                     .value_len = value->len};
    if (producer_send(q->producer, &record, NULL, NULL) == RD_KAFKA_RESP_ERR_NO_ERROR)
        q->written++;
    status_view_apply(q->view, &s);
}

void queued_announce(struct queued *q, const struct intake *intake, int64_t at_ms) {
    if (q->begun) {
        queued_write(q, intake, at_ms);
        return;
    }
    if (q->waiting_count == WAITING_MAX)
        return;
    struct queued_entry *e = mem_zero(sizeof *e);
    e->intake = *intake;
    e->at_ms = at_ms;
    STAILQ_INSERT_TAIL(&q->waiting, e, entry);
    q->waiting_count++;
}

static struct queued_entry *queued_take(struct queued *q) {
    struct queued_entry *e = STAILQ_FIRST(&q->waiting);
    if (e != NULL) {
        STAILQ_REMOVE_HEAD(&q->waiting, entry);
        q->waiting_count--;
    }
    return e;
}

void queued_begin(struct queued *q) {
    q->begun = true;
    for (struct queued_entry *e; (e = queued_take(q)) != NULL; free(e))
        queued_write(q, &e->intake, e->at_ms);
}

uint64_t queued_written(const struct queued *q) {
    return q->written;
}

struct queued *queued_open(struct producer *producer, const char *status_topic,
                           struct status_view *view) {
    struct queued *q = mem_zero(sizeof *q);
    q->producer = producer;
    q->topic = status_topic;
    q->view = view;
    STAILQ_INIT(&q->waiting);
    buffer_init(&q->value, VALUE_MAX);
    return q;
}

void queued_close(struct queued *q) {
    if (q == NULL)
        return;
    for (struct queued_entry *e; (e = queued_take(q)) != NULL;)
        free(e);
    buffer_free(&q->value);
    free(q);
}
