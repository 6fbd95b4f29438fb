/*
 * Sweeps over the queries that run: a sweep is one look, by one or several calls, at every query
 * that ran when it began (pure). Where calls take long the next sweep begins before the last one
 * has ended. Also, which queries have ended lately, so that it can be told how many were active at
 * a moment, by Athena's own time stamps.
 */
#ifndef EXECUTOR_QUERY_SWEEP_H
#define EXECUTOR_QUERY_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "executor/limit/lane.h"

enum {
    SWEEPS_MAX = 16, /* under way at once */
    SWEEP_ENDED = 512
};

struct sweep {
    uint64_t number;  /* ascending; 0: this place is free */
    int64_t began_ms; /* loop time */
    unsigned calls;   /* under way */
    bool asked_all;   /* of those that ran when it began */
    bool failed;      /* a call of it did */
    uint64_t dropped; /* jobs that had been dropped while they ran, when it began */
};

/* A query that has ended: seconds since the epoch by Athena's clock. */
struct sweep_ended {
    enum lane lane;
    uint32_t generation; /* of its permit (admission.h) */
    double submitted, completed;
    int64_t version; /* of the grant that its permit was given under */
};

/* Zeroed: none. */
struct sweeps {
    struct sweep each[SWEEPS_MAX];
    uint64_t last;                         /* the number of the last one that began */
    struct sweep_ended ended[SWEEP_ENDED]; /* a ring */
    size_t ended_next;
};

/* NULL: as many as there is room for are under way. Borrowed until sweep_is_over(). */
struct sweep *sweeps_begin(struct sweeps *s, int64_t now_ms, uint64_t dropped);
/* The last one that began, while it has not asked for all; else NULL. */
struct sweep *sweeps_asking(struct sweeps *s);
/* All is asked for and answered. */
bool sweep_is_over(const struct sweep *s);

/* A query begins (+1) or ends (-1) to be active, by Athena's clock. */
struct sweep_change {
    double at;
    int by;
    bool counts; /* how many are active from now on is asked for */
};

void sweeps_add_ended(struct sweeps *s, struct sweep_ended ended);
/* Of those that ended lately: how many were active at the moment `at`. */
int sweeps_ended_active_at(const struct sweeps *s, enum lane lane, double at);
/* … when the last one whose permit is of an earlier grant than this was submitted; 0: none was. */
double sweeps_ended_submitted(const struct sweeps *s, enum lane lane, int64_t version);
/*
 * … their changes, at most 2 x SWEEP_ENDED. Submissions of queries whose permit is of this
 * generation count. Returns how many there are.
 */
size_t sweeps_ended_changes(const struct sweeps *s, enum lane lane, uint32_t generation,
                            struct sweep_change *out);
/* How many were active at once, at most, after a change that counts. Sorts the changes. */
int sweep_most_active(struct sweep_change *changes, size_t count);

#endif
