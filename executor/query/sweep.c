#include "executor/query/sweep.h"

#include <stdlib.h>

#include "common/base/memory.h"

void sweep_begin(struct sweep *s) {
    s->count = 0;
}

void sweep_add(struct sweep *s, struct sweep_seen seen) {
    if (s->count == s->room) {
        s->room = s->room * 2 + 64;
        s->seen = mem_resize(s->seen, s->room, sizeof *s->seen);
    }
    s->seen[s->count++] = seen;
}

void sweep_add_ended(struct sweep *s, struct sweep_seen seen) {
    s->ended[s->ended_next++ % SWEEP_ENDED] = seen;
}

int sweep_ended_active_at(const struct sweep *s, enum lane lane, double at) {
    int active = 0;
    for (size_t i = 0; i < SWEEP_ENDED; i++)
        active +=
            s->ended[i].lane == lane && s->ended[i].submitted <= at && s->ended[i].completed > at;
    return active;
}

void sweep_free(struct sweep *s) {
    free(s->seen);
    s->seen = NULL;
    s->count = s->room = 0;
}

int sweep_peak(const struct sweep_seen *seen, size_t count, enum lane lane) {
    double last = 0;
    int active = 0;
    for (size_t i = 0; i < count; i++)
        if (seen[i].lane == lane && seen[i].submitted > last)
            last = seen[i].submitted;
    for (size_t i = 0; i < count; i++)
        active += seen[i].lane == lane && (seen[i].completed <= 0 || seen[i].completed > last);
    return active;
}
