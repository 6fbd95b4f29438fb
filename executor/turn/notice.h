/*
 * When a query that waits is published as QUEUED with the reason: the quota, with its place, or a
 * closed gate (pure). executor/turn/notifier.h does it.
 *
 * No moment is foretold: users take turns, so who comes later may start earlier, and nobody knows
 * how long the queries take that run.
 */
#ifndef EXECUTOR_TURN_NOTICE_H
#define EXECUTOR_TURN_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a query waits: a number for each reason. */
enum {
    NOTICE_QUOTA,
    NOTICE_GATE /* + enum gate_cause */
};

/* What was published of one that waits. Loop time. */
struct notice {
    int64_t since_ms; /* it waits since then */
    bool published;
    int64_t published_ms;
    size_t published_before; /* how many others were to start before it */
    int published_reason;
};

/*
 * Whether it is to be published that it waits for `reason`, with `before` others before it: after a
 * second, and a second later where the reason has changed; while that is the quota, again where
 * `before` has changed by a quarter, but not within ten seconds.
 */
bool notice_is_due(const struct notice *n, int64_t now_ms, int reason, size_t before);

#endif
