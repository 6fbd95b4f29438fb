/*
 * When a query that waits for the quota is published as QUEUED with that reason and its place
 * (pure). executor/turn/notifier.h does it.
 *
 * No moment is foretold: users take turns, so who comes later may start earlier, and nobody knows
 * how long the queries take that run.
 */
#ifndef EXECUTOR_TURN_NOTICE_H
#define EXECUTOR_TURN_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was published of one that waits. Loop time. */
struct notice {
    int64_t since_ms; /* it waits since then */
    bool published;
    int64_t published_ms;
    size_t published_before; /* how many others were to start before it */
};

/*
 * Whether it is to be published now that `before` others start before it: after a second of
 * waiting, then again where that has changed by a quarter, but not within ten seconds.
 */
bool notice_is_due(const struct notice *n, int64_t now_ms, size_t before);

#endif
