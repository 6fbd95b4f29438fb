#include "receiver/queued.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

enum {
    WAITING_MAX = 20000,
    VALUE_MAX = 16384
};

struct waiting {
    struct waiting *next;
    struct intake intake;
    int64_t at_ms;
};

struct queued {
    struct producer *producer;
    const char *topic;
    struct status_view *view;
    struct buffer value; /* of the record that is being written */
    bool begun;
    struct waiting *first, **last;
    size_t waiting;
    uint64_t written;
};

static void write_status(struct queued *q, const struct intake *intake, int64_t at_ms) {
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
        write_status(q, intake, at_ms);
        return;
    }
    if (q->waiting == WAITING_MAX)
        return;
    struct waiting *w = mem_alloc(sizeof *w);
    *w = (struct waiting){NULL, *intake, at_ms};
    *q->last = w;
    q->last = &w->next;
    q->waiting++;
}

void queued_begin(struct queued *q) {
    q->begun = true;
    for (struct waiting *w; (w = q->first) != NULL; q->waiting--) {
        q->first = w->next;
        write_status(q, &w->intake, w->at_ms);
        free(w);
    }
    q->last = &q->first;
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
    q->last = &q->first;
    buffer_init(&q->value, VALUE_MAX);
    return q;
}

void queued_close(struct queued *q) {
    if (q == NULL)
        return;
    for (struct waiting *w; (w = q->first) != NULL; free(w))
        q->first = w->next;
    buffer_free(&q->value);
    free(q);
}
