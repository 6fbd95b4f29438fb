#include "executor/turn/recall.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "executor/query/pairs.h"

enum {
    STALL_MS = 300,     /* without a record: the turn of what is fetched is passed over, … */
    PATIENCE_MS = 3000, /* … and its partition is left alone */
    AGAIN_LEAST_MS = 1000,
    AGAIN_MOST_MS = 30000
};

/* --- what a run is made of -------------------------------------------------------------------- */

static int by_offset(const void *a, const void *b) {
    int64_t left = (*(struct index_entry *const *)a)->offset;
    int64_t right = (*(struct index_entry *const *)b)->offset;
    return left < right ? -1 : left > right;
}

static size_t keep_partition(struct index_entry **entries, size_t count,
                             const struct partition *p) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (entries[i]->partition == p)
            entries[kept++] = entries[i];
    return kept;
}

size_t recall_choose(struct index_entry **entries, size_t count) {
    if (count == 0)
        return 0;
    const struct index_entry *urgent = entries[0];
    count = keep_partition(entries, count, urgent->partition);
    qsort(entries, count, sizeof *entries, by_offset);
    size_t first = 0, kept = 0;
    bool has_urgent = false;
    for (size_t i = 0; i < count; i++) {
        bool is_far = i > 0 && entries[i]->offset - entries[i - 1]->offset > RECALL_GAP;
        if (is_far && has_urgent)
            break;
        if (is_far)
            first = i, kept = 0;
        has_urgent |= entries[i] == urgent;
        if (kept == 0 || entries[first + kept - 1] != entries[i])
            entries[first + kept++] = entries[i];
    }
    for (size_t i = 0; i < kept; i++)
        entries[i] = entries[first + i];
    return kept;
}

/* --- what is wanted --------------------------------------------------------------------------- */

struct recall_look {
    const struct recall *recall;
    size_t reach; /* starts of a lane that are looked at */
    size_t bytes; /* of what is wanted */
    size_t count;
    size_t urgent; /* which start to come the first of `wanted` is */
    struct index_entry *wanted[LANES * RECALL_MOST];
};

static size_t reach_of(const struct recall *r) {
    size_t most = r->parts.records_most;
    return most < 1 ? 1 : most < RECALL_MOST ? most : RECALL_MOST;
}

/* Repetitions of what is in hand would only wait as jobs behind it. */
static bool may_recall(const struct recall *r, const struct index_entry *entry) {
    const struct jobs *jobs = r->parts.jobs;
    return loop_now(r->parts.loop) >= entry->partition->recall_again_ms &&
           (jobs_take_behind(jobs) || !pairs_has_key(&jobs->pairs, entry->by_pair.key));
}

static bool is_older(const struct index_entry *a, const struct index_entry *b) {
    return a->partition == b->partition ? a->offset < b->offset : a->received_ms < b->received_ms;
}

/* The oldest of its pair comes first, in whatever lane or partition it waits. */
static struct index_entry *oldest_of_pair(const struct recall *r, struct index_entry *entry) {
    struct index_entry *oldest = record_index_find(r->parts.index, entry->by_pair.key);
    return oldest != NULL && is_older(oldest, entry) ? oldest : entry;
}

static bool recall_visit(void *arg, struct window_item *item, size_t before) {
    struct recall_look *look = arg;
    const struct recall *r = look->recall;
    if (!item->is_entry)
        return true;
    struct index_entry *entry = oldest_of_pair(r, (struct index_entry *)(void *)item);
    if (!may_recall(r, entry))
        return true;
    size_t held = r->parts.jobs->recalled_bytes + look->bytes + entry->bytes;
    bool has_room = held <= r->parts.bytes_most &&
                    r->parts.jobs->recalled + look->count < r->parts.records_most;
    if (!has_room && before > 0)
        return false;
    look->bytes += entry->bytes;
    look->wanted[look->count++] = entry;
    if (before < look->urgent) {
        look->wanted[look->count - 1] = look->wanted[0];
        look->wanted[0] = entry;
        look->urgent = before;
    }
    return true;
}

/* --- runs ------------------------------------------------------------------------------------- */

static bool is_under_way(const struct recall *r) {
    return r->wanted_count > 0;
}

static void recall_leave_alone(struct recall *r, struct partition *p) {
    p->recall_wait_ms = backoff_next_ms(p->recall_wait_ms, AGAIN_LEAST_MS, AGAIN_MOST_MS);
    p->recall_again_ms = loop_now(r->parts.loop) + p->recall_wait_ms;
    log_warn("partition %d: records that wait cannot be fetched again, tried in %lld ms",
             (int)p->id, (long long)p->recall_wait_ms);
}

static void recall_end(struct recall *r) {
    r->wanted_count = r->wanted_done = 0;
    loop_timer_cancel(r->parts.loop, &r->timer);
}

static void recall_on_timer(void *arg) {
    struct recall *r = arg;
    int64_t left_ms = r->progress_ms + PATIENCE_MS - loop_now(r->parts.loop);
    if (left_ms > 0) {
        loop_timer_set(r->parts.loop, &r->timer, left_ms, recall_on_timer, r);
        return;
    }
    struct partition *p = r->wanted[r->wanted_done]->partition;
    kafka_refetch_stop(r->refetch);
    recall_end(r);
    recall_leave_alone(r, p);
}

static void recall_begin(struct recall *r, struct index_entry **entries, size_t count) {
    struct partition *p = entries[0]->partition;
    int64_t from = entries[0]->offset, to = entries[count - 1]->offset;
    if (!kafka_refetch_start(r->refetch, p->id, from, to)) {
        recall_leave_alone(r, p);
        return;
    }
    memcpy(r->wanted, entries, count * sizeof *entries);
    r->wanted_count = count;
    r->wanted_done = 0;
    r->progress_ms = loop_now(r->parts.loop);
    loop_timer_set(r->parts.loop, &r->timer, PATIENCE_MS, recall_on_timer, r);
}

void recall_look(struct recall *r) {
    if (is_under_way(r) || r->parts.index->count == 0)
        return;
    struct recall_look look = {.recall = r, .reach = reach_of(r), .urgent = SIZE_MAX};
    for (int lane = 0; lane < LANES; lane++)
        window_walk(&r->parts.jobs->window[lane], look.reach, recall_visit, &look);
    /* Not before the nearest is near: so that a run brings more than one record. */
    if (look.count > 0 && look.urgent <= look.reach / 2)
        recall_begin(r, look.wanted, recall_choose(look.wanted, look.count));
}

/* --- records ---------------------------------------------------------------------------------- */

/* All that the run has passed without meeting them. */
static void recall_pass_over(struct recall *r, int64_t offset) {
    while (r->wanted_done < r->wanted_count && r->wanted[r->wanted_done]->offset < offset) {
        struct index_entry *entry = r->wanted[r->wanted_done++];
        r->parts.gone(r->parts.arg, entry);
    }
}

void recall_on_record(void *arg, rd_kafka_message_t *message) {
    struct recall *r = arg;
    r->progress_ms = loop_now(r->parts.loop);
    recall_pass_over(r, message->offset);
    if (r->wanted_done == r->wanted_count || r->wanted[r->wanted_done]->offset != message->offset) {
        rd_kafka_message_destroy(message);
        return;
    }
    struct index_entry *entry = r->wanted[r->wanted_done++];
    entry->partition->recall_wait_ms = 0;
    r->parts.recalled(r->parts.arg, entry, message);
}

void recall_on_ended(void *arg, bool last) {
    struct recall *r = arg;
    bool is_left = r->wanted_done < r->wanted_count;
    struct partition *p = is_left ? r->wanted[r->wanted_done]->partition : NULL;
    if (last) {
        recall_pass_over(r, INT64_MAX);
    } else if (is_left) {
        recall_leave_alone(r, p); /* the partition ends before them: its leader has lost some */
    }
    recall_end(r);
    recall_look(r);
}

void recall_forget(struct recall *r, const struct partition *p) {
    if (!is_under_way(r) || r->wanted_done == r->wanted_count ||
        r->wanted[r->wanted_done]->partition != p)
        return;
    kafka_refetch_stop(r->refetch);
    recall_end(r);
}

bool recall_is_near(const struct recall *r, const struct index_entry *entry) {
    if (!may_recall(r, entry))
        return false;
    return !is_under_way(r) || loop_now(r->parts.loop) - r->progress_ms < STALL_MS;
}

/* --- life ------------------------------------------------------------------------------------- */

void recall_init(struct recall *r, const struct recall_parts *parts) {
    *r = (struct recall){.parts = *parts};
}

void recall_close(struct recall *r) {
    if (r->parts.loop == NULL)
        return;
    if (is_under_way(r))
        kafka_refetch_stop(r->refetch);
    recall_end(r);
}
