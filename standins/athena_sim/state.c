#include "standins/athena_sim/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

enum {
    QUEUED_SHARE = 10,     /* a tenth of its time a query is QUEUED, … */
    QUEUED_MOST_US = 50000 /* … but no longer than this */
};

const char *const sim_ends[SIM_ENDS] = {"SUCCEEDED", "FAILED", "CANCELLED"};

/* --- what runs: a binary heap by the time of the end ------------------------------------------ */

static void heap_put(struct sim_state *s, size_t place, struct sim_query *q) {
    s->heap[place] = q;
    q->place = place;
}

static void heap_settle(struct sim_state *s, size_t place) {
    struct sim_query *q = s->heap[place];
    for (; place > 1 && s->heap[place / 2]->ends_us > q->ends_us; place /= 2)
        heap_put(s, place, s->heap[place / 2]);
    for (size_t child; (child = place * 2) <= s->heap_count; place = child) {
        if (child < s->heap_count && s->heap[child + 1]->ends_us < s->heap[child]->ends_us)
            child++;
        if (s->heap[child]->ends_us >= q->ends_us)
            break;
        heap_put(s, place, s->heap[child]);
    }
    heap_put(s, place, q);
}

static void heap_add(struct sim_state *s, struct sim_query *q) {
    if (++s->heap_count >= s->heap_room) {
        s->heap_room = s->heap_room * 2 + 64;
        s->heap = mem_resize(s->heap, s->heap_room, sizeof *s->heap);
    }
    heap_put(s, s->heap_count, q);
    heap_settle(s, q->place);
}

static void heap_pop(struct sim_state *s) {
    struct sim_query *last = s->heap[s->heap_count--];
    s->heap[1]->place = 0;
    if (s->heap_count > 0) {
        heap_put(s, 1, last);
        heap_settle(s, 1);
    }
}

/* --- queries ---------------------------------------------------------------------------------- */

void sim_state_advance(struct sim_state *s, int64_t now_us) {
    while (s->heap_count > 0 && s->heap[1]->ends_us <= now_us) {
        struct sim_query *q = s->heap[1];
        heap_pop(s);
        q->ended = true;
        s->counts.ended++;
        s->counts.ended_as[q->sql.end]++;
        s->counts.running[q->sql.lane]--;
    }
}

static bool is_same(const struct sim_query *q, const struct sim_identity *identity) {
    return q->remembered ? memcmp(q->sha256, identity->sha256, 32) == 0
                         : memcmp(q->fingerprint, identity->fingerprint, 32) == 0;
}

enum sim_found sim_state_find(struct sim_state *s, const struct sim_identity *identity,
                              enum sim_lane lane, int64_t now_us, struct sim_query **found) {
    sim_state_advance(s, now_us);
    HASH_FIND(by_token, s->tokens, identity->token, strlen(identity->token), *found);
    if (*found != NULL && is_same(*found, identity)) {
        s->counts.repeated++;
        return SIM_REPEATED;
    }
    if (*found != NULL) {
        s->counts.mismatch++;
        return SIM_MISMATCH;
    }
    if ((int64_t)s->counts.running[lane] >= s->active[lane]) {
        s->counts.throttled++;
        return SIM_QUOTA_FULL;
    }
    return SIM_FREE;
}

static void add(struct sim_state *s, struct sim_query *q) {
    HASH_ADD(by_id, s->ids, id, strlen(q->id), q);
    HASH_ADD_KEYPTR(by_token, s->tokens, q->token, strlen(q->token), q);
}

void sim_state_forget_tokens(struct sim_state *s) {
    HASH_CLEAR(by_token, s->tokens);
}

bool sim_state_remember(struct sim_state *s, struct sim_query *q) {
    struct sim_query *known;
    if (sim_state_get(s, q->id) != NULL)
        return false;
    HASH_FIND(by_token, s->tokens, q->token, strlen(q->token), known);
    if (known != NULL)
        HASH_DELETE(by_token, s->tokens, known);
    q->remembered = q->ended = true;
    q->reuse_minutes = -1;
    q->begins_us = q->ends_us = q->submitted_us;
    q->sql = (struct sim_sql){.end = q->sql.end, .statement_type = "DML"};
    add(s, q);
    return true;
}

void sim_state_start(struct sim_state *s, struct sim_query *q, int64_t run_us, int64_t now_us) {
    int64_t queued_us = run_us / QUEUED_SHARE;
    q->submitted_us = now_us;
    q->begins_us = now_us + (queued_us < QUEUED_MOST_US ? queued_us : QUEUED_MOST_US);
    q->ends_us = now_us + run_us;
    add(s, q);
    heap_add(s, q);
    uint64_t running = ++s->counts.running[q->sql.lane];
    if (running > s->counts.max_running[q->sql.lane])
        s->counts.max_running[q->sql.lane] = running;
    s->counts.started++;
}

void sim_state_stop(struct sim_state *s, struct sim_query *q, int64_t now_us) {
    sim_state_advance(s, now_us);
    if (q->ended)
        return;
    q->sql.end = SIM_CANCELLED;
    snprintf(q->sql.reason, sizeof q->sql.reason, "Query cancelled by user");
    q->ends_us = now_us;
    if (q->begins_us > now_us)
        q->begins_us = now_us;
    heap_settle(s, q->place);
    sim_state_advance(s, now_us);
}

struct sim_query *sim_state_get(struct sim_state *s, const char *id) {
    struct sim_query *q;
    HASH_FIND(by_id, s->ids, id, strlen(id), q);
    return q;
}

const char *sim_query_state(const struct sim_query *q, int64_t now_us) {
    if (q->ended)
        return sim_ends[q->sql.end];
    return now_us < q->begins_us ? "QUEUED" : "RUNNING";
}

void sim_query_free(struct sim_query *q) {
    free(q->token);
    free(q->text);
    free(q->database);
    free(q->catalog);
    free(q->work_group);
    free(q->output_location);
    free(q);
}

void sim_state_free(struct sim_state *s) {
    struct sim_query *q, *next;
    HASH_CLEAR(by_token, s->tokens);
    HASH_ITER(by_id, s->ids, q, next) {
        HASH_DELETE(by_id, s->ids, q);
        sim_query_free(q);
    }
    free(s->heap);
    *s = (struct sim_state){0};
}
