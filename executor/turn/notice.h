/*
 * Waiting is visible: a query that waits here for the quota is said to be QUEUED with that reason
 * and its place. In passing: nothing waits for it, and what cannot be told now is told later.
 *
 * No moment is foretold: users take turns, so who comes later may start earlier, and nobody knows
 * how long the queries take that run.
 */
#ifndef EXECUTOR_TURN_NOTICE_H
#define EXECUTOR_TURN_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct executor;

/* What was told of one that waits. Loop time. */
struct notice {
    int64_t since_ms; /* it waits since then */
    bool told;
    int64_t told_ms;
    size_t told_before; /* how many were said to start before it */
};

/*
 * Whether it is to be told now that `before` others start before it: after a second of waiting,
 * then again where that has changed by a quarter, but not within ten seconds (pure).
 */
bool notice_is_due(const struct notice *n, int64_t now_ms, size_t before);

/* Something waits, perhaps: looks at all that does, once a second for as long as anything does. */
void notice_look(struct executor *x);

#endif
