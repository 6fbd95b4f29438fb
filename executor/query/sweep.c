#include "executor/query/sweep.h"

#include <stdlib.h>

struct sweep *sweeps_begin(struct sweeps *s, int64_t now_ms, uint64_t dropped) {
    for (size_t i = 0; i < SWEEPS_MAX; i++) {
        struct sweep *free_place = &s->each[i];
        if (free_place->number != 0)
            continue;
        *free_place = (struct sweep){.number = ++s->last, .began_ms = now_ms, .dropped = dropped};
        return free_place;
    }
    return NULL;
}

struct sweep *sweeps_asking(struct sweeps *s) {
    for (size_t i = 0; i < SWEEPS_MAX; i++)
        if (s->each[i].number != 0 && s->each[i].number == s->last)
            return s->each[i].asked_all ? NULL : &s->each[i];
    return NULL;
}

bool sweep_is_over(const struct sweep *s) {
    return s->asked_all && s->calls == 0;
}

void sweeps_add_ended(struct sweeps *s, struct sweep_ended ended) {
    s->ended[s->ended_next++ % SWEEP_ENDED] = ended;
}

int sweeps_ended_active_at(const struct sweeps *s, enum lane lane, double at) {
    int active = 0;
    for (size_t i = 0; i < SWEEP_ENDED; i++)
        active +=
            s->ended[i].lane == lane && s->ended[i].submitted <= at && s->ended[i].completed > at;
    return active;
}

double sweeps_ended_submitted(const struct sweeps *s, enum lane lane, int64_t version) {
    double last = 0;
    for (size_t i = 0; i < SWEEP_ENDED; i++) {
        const struct sweep_ended *e = &s->ended[i];
        if (e->lane == lane && e->version < version && e->submitted > last)
            last = e->submitted;
    }
    return last;
}

size_t sweeps_ended_changes(const struct sweeps *s, enum lane lane, uint32_t generation,
                            struct sweep_change *out) {
    size_t count = 0;
    for (size_t i = 0; i < SWEEP_ENDED; i++) {
        const struct sweep_ended *e = &s->ended[i];
        if (e->lane != lane || e->submitted <= 0 || e->completed < e->submitted)
            continue;
        out[count++] = (struct sweep_change){e->submitted, 1, e->generation == generation};
        out[count++] = (struct sweep_change){e->completed, -1, false};
    }
    return count;
}

/* A query that ends at the moment when another one is submitted has freed its slot for that. */
static int by_time(const void *a, const void *b) {
    const struct sweep_change *x = a, *y = b;
    return x->at != y->at ? (x->at > y->at) - (x->at < y->at) : x->by - y->by;
}

int sweep_most_active(struct sweep_change *changes, size_t count) {
    int active = 0, most = 0;
    qsort(changes, count, sizeof *changes, by_time);
    for (size_t i = 0; i < count; i++) {
        active += changes[i].by;
        if (changes[i].counts && active > most)
            most = active;
    }
    return most;
}
