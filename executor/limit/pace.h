/*
 * How fast StartQueryExecution may be called under the API's own rate limit (pure, the clock is
 * passed in).
 *
 * Athena allows 20 calls of StartQueryExecution a second in the long run and 80 at once (Service
 * Quotas of Athena), and answers what exceeds that with ThrottlingException. Before the first such
 * answer there is no pace. From then on the rate follows additive increase and multiplicative
 * decrease: an answer that says so cuts it below what has worked lately, each call that works
 * raises it a little.
 *
 * This is another limit than that on active queries (admission.h); neither moves the other.
 */
#ifndef EXECUTOR_LIMIT_PACE_H
#define EXECUTOR_LIMIT_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/bucket.h"

struct pace {
    double rate;          /* calls a second; 0: not limited */
    struct bucket bucket; /* of `rate`; a rest saves up the calls of a second */
    int64_t cut_ms;       /* when the rate was cut last */
    /* Calls, and calls that worked, of the second from `second_ms` on and of the one before. */
    int64_t second_ms;
    int calls, calls_before, worked, worked_before;
};

void pace_init(struct pace *p);
/* Whether a call may be made now; pace_take() counts the call. */
bool pace_open(struct pace *p, int64_t now_ms);
void pace_take(struct pace *p, int64_t now_ms);
/* A call was answered with ThrottlingException or another name of it. */
void pace_throttled(struct pace *p, int64_t now_ms);
/* A call started its query: for a second of such calls the rate rises by one a second. */
void pace_worked(struct pace *p);

#endif
