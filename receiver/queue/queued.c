#include "receiver/queue/queued.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/log.h"
#include "common/base/memory.h"

enum {
    WAITING_MAX = 20000,
    VALUE_MAX = 16384,
    HOLD_MS = 5,
    OWN_SLOTS = 16384 /* a power of two */
};

struct queued_entry {
    struct intake intake;
    int64_t at_ms;
};

struct queued {
    struct loop *loop;
    struct producer *producer;
    const char *topic;
    struct status_view *view;
    struct buffer value; /* of the record that is being written */
    bool begun;
    struct queued_entry *waiting; /* for the view; after that for the timer */
    size_t waiting_count, waiting_room;
    struct loop_timer timer;
    uint64_t written;
    uint64_t seed;
    uint64_t own[OWN_SLOTS]; /* hashes of records that were written and not yet read; 0: none */
};

/* --- own records ------------------------------------------------------------------------------ */

static uint64_t hash_value(uint64_t seed, const void *value, size_t n) {
    const char *at = value;
    uint64_t hash = seed, word;
    for (; n > 0; at += sizeof word) {
        size_t take = n < sizeof word ? n : sizeof word;
        word = 0;
        memcpy(&word, at, take);
        hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 32;
        n -= take;
    }
    return hash;
}

static void own_add(struct queued *q, const struct buffer *value) {
    uint64_t hash = hash_value(q->seed, value->data, value->len);
    q->own[hash % OWN_SLOTS] = hash;
}

bool queued_is_own(struct queued *q, const void *value, size_t n) {
    uint64_t hash = hash_value(q->seed, value, n), *slot = &q->own[hash % OWN_SLOTS];
    if (*slot != hash || hash == 0)
        return false;
    *slot = 0;
    return true;
}

/* --- records ---------------------------------------------------------------------------------- */

static struct status queued_status(const struct queued_entry *e) {
    struct status s = {.user_id = (char *)e->intake.user_id,
                       .query_id = (char *)e->intake.query_id,
                       .state = STATUS_QUEUED,
                       .updated_at_ms = e->at_ms,
                       .has_sha256 = true};
    memcpy(s.sha256, e->intake.sha256, sizeof s.sha256);
    return s;
}

static void queued_write(struct queued *q, const struct queued_entry *e) {
    const struct intake *intake = &e->intake;
    struct status known, s = queued_status(e);
    /* An executor may have been faster. */
    if (status_view_find(q->view, intake->user_id, intake->query_id, &known) &&
        (known.state != STATUS_QUEUED || known.updated_at_ms != s.updated_at_ms))
        return;
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
    if (producer_send(q->producer, &record, NULL, NULL) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    q->written++;
    own_add(q, value);
}

static void queued_write_all(void *arg) {
    struct queued *q = arg;
    for (size_t i = 0; i < q->waiting_count; i++)
        queued_write(q, &q->waiting[i]);
    q->waiting_count = 0;
}

/* The view knows it from now on. False: it knew the pair already. */
static bool queued_show(struct queued *q, const struct queued_entry *e) {
    struct status known, s = queued_status(e);
    if (status_view_find(q->view, e->intake.user_id, e->intake.query_id, &known))
        return false;
    status_view_apply(q->view, &s);
    return true;
}

void queued_announce(struct queued *q, const struct intake *intake, int64_t at_ms) {
    if (q->waiting_count == WAITING_MAX && q->begun)
        queued_write_all(q);
    if (q->waiting_count == WAITING_MAX)
        return;
    if (q->waiting_count == q->waiting_room) {
        q->waiting_room = q->waiting_room * 2 + 64;
        q->waiting = mem_resize(q->waiting, q->waiting_room, sizeof *q->waiting);
    }
    struct queued_entry *e = &q->waiting[q->waiting_count];
    e->intake = *intake;
    e->at_ms = at_ms;
    if (q->begun && !queued_show(q, e))
        return;
    if (q->waiting_count++ == 0 && q->begun)
        loop_timer_set(q->loop, &q->timer, HOLD_MS, queued_write_all, q);
}

void queued_begin(struct queued *q) {
    size_t kept = 0;
    q->begun = true;
    for (size_t i = 0; i < q->waiting_count; i++)
        if (queued_show(q, &q->waiting[i]))
            q->waiting[kept++] = q->waiting[i];
    q->waiting_count = kept;
    queued_write_all(q);
}

bool queued_holds(const struct queued *q) {
    return q->begun && q->waiting_count > 0;
}

uint64_t queued_written(const struct queued *q) {
    return q->written;
}

struct queued *queued_open(struct loop *loop, struct producer *producer, const char *status_topic,
                           struct status_view *view) {
    struct queued *q = mem_zero(sizeof *q);
    q->loop = loop;
    q->producer = producer;
    q->topic = status_topic;
    q->view = view;
    buffer_init(&q->value, VALUE_MAX);
    if (getrandom(&q->seed, sizeof q->seed, GRND_NONBLOCK) != (ssize_t)sizeof q->seed)
        log_warn("no random numbers: own records are recognised without a seed");
    return q;
}

void queued_close(struct queued *q) {
    if (q == NULL)
        return;
    loop_timer_cancel(q->loop, &q->timer);
    free(q->waiting);
    buffer_free(&q->value);
    free(q);
}
