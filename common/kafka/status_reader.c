#include "common/kafka/status_reader.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/topic_reader.h"

enum {
    /* Before compaction a query has three records: QUEUED, STARTED and its end. */
    RECENT_AN_ENTRY = 4
};

struct status_reader {
    struct topic_reader *topic;
    struct status_view *view;
    loop_fn *changed;
    void *arg;
    status_covered_fn *covered;
    void *covered_arg;
    status_is_own_fn *is_own;
    void *is_own_arg;
    bool logged; /* that it has caught up */
    struct status_room room;
};

static void status_take_tombstone(struct status_reader *r, const rd_kafka_message_t *message) {
    char user_id[QUERY_ID_MAX + 1], query_id[QUERY_ID_MAX + 1];
    if (status_key_read(message->key, message->key_len, user_id, query_id))
        status_view_forget(r->view, user_id, query_id);
}

/* Nearly all of a long past: the query has ended long ago, and nothing would be kept of it. */
static bool is_past(const struct status_reader *r, const rd_kafka_message_t *message) {
    char user_id[QUERY_ID_MAX + 1], query_id[QUERY_ID_MAX + 1];
    int64_t updated_at_ms;
    return status_peek_ended(message->payload, message->len, &updated_at_ms) &&
           status_view_has_no_room_for_ended(r->view, updated_at_ms) &&
           status_key_read(message->key, message->key_len, user_id, query_id) &&
           !status_view_knows(r->view, user_id, query_id);
}

static void status_take_record(void *arg, const rd_kafka_message_t *message) {
    struct status_reader *r = arg;
    struct status s;
    if (message->payload == NULL) {
        status_take_tombstone(r, message);
        return;
    }
    if (is_past(r, message))
        return;
    if (r->is_own != NULL && r->is_own(r->is_own_arg, message->payload, message->len))
        return;
    if (!status_read(message->payload, message->len, &r->room, &s)) {
        log_debug("not a status: partition=%d offset=%lld", (int)message->partition,
                  (long long)message->offset);
        return;
    }
    bool applied = status_view_apply(r->view, &s);
    if (!applied && r->covered != NULL && status_reader_caught_up(r))
        r->covered(r->covered_arg, &s);
}

static void status_take_batch(void *arg) {
    struct status_reader *r = arg;
    if (!r->logged && status_reader_caught_up(r)) {
        r->logged = true;
        log_info("status view has caught up entries=%zu", status_view_count(r->view));
    }
    if (r->changed != NULL)
        r->changed(r->arg);
}

struct status_reader *status_reader_open(struct loop *loop, const struct kafka_options *kafka,
                                         struct status_view *view, loop_fn *changed, void *arg,
                                         char *error, size_t error_size) {
    struct status_reader *r = mem_zero(sizeof *r);
    const struct topic_reader_events events = {status_take_record, status_take_batch, r};
    r->view = view;
    r->changed = changed;
    r->arg = arg;
    r->topic = topic_reader_open(loop, kafka, kafka->names.topics[TOPIC_STATUS], &events, error,
                                 error_size);
    if (r->topic == NULL) {
        free(r);
        return NULL;
    }
    topic_reader_read_recent_first(r->topic,
                                   RECENT_AN_ENTRY * (int64_t)status_view_entries_max(view));
    return r;
}

void status_reader_watch(struct status_reader *r, status_covered_fn *covered, void *arg) {
    r->covered = covered;
    r->covered_arg = arg;
}

void status_reader_skip_own(struct status_reader *r, status_is_own_fn *is_own, void *arg) {
    r->is_own = is_own;
    r->is_own_arg = arg;
}

bool status_reader_start(struct status_reader *r, int32_t partitions) {
    return topic_reader_start(r->topic, partitions);
}

void status_reader_renew(struct status_reader *r) {
    topic_reader_renew(r->topic);
}

bool status_reader_caught_up(const struct status_reader *r) {
    return topic_reader_caught_up(r->topic);
}

void status_reader_close(struct status_reader *r) {
    if (r == NULL)
        return;
    topic_reader_close(r->topic);
    free(r);
}
