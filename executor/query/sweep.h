/*
 * What a sweep has seen: how many queries were active at a moment, by Athena's own time stamps
 * (pure). A sweep is one look at every query that ran when it began.
 */
#ifndef EXECUTOR_QUERY_SWEEP_H
#define EXECUTOR_QUERY_SWEEP_H

#include <stddef.h>

#include "executor/limit/lane.h"

enum {
    SWEEP_ENDED = 512
};

/* A query as it was seen: seconds since the epoch by Athena's clock. */
struct sweep_seen {
    enum lane lane;
    double submitted, completed; /* completed 0: still active */
};

struct sweep {
    struct sweep_seen *seen; /* owned: of this sweep */
    size_t count, room;
    struct sweep_seen ended[SWEEP_ENDED]; /* the last that ended, in any sweep: a ring */
    size_t ended_next;
};

/* Zeroed is a sweep that has seen nothing. */
void sweep_begin(struct sweep *s);
void sweep_add(struct sweep *s, struct sweep_seen seen);
void sweep_add_ended(struct sweep *s, struct sweep_seen seen);
/* How many of the last that ended were active at the moment `at`. */
int sweep_ended_active_at(const struct sweep *s, enum lane lane, double at);
void sweep_free(struct sweep *s);

/* How many were active when the last one was submitted. */
int sweep_peak(const struct sweep_seen *seen, size_t count, enum lane lane);

#endif
