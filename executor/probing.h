/*
 * The numbers and steps by which a limit is probed and cut: the same for an executor that learns
 * alone (admission.h) and for the leader of a fleet (quota.h). Pure.
 */
#ifndef EXECUTOR_PROBING_H
#define EXECUTOR_PROBING_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The gap: own starts between two probes. Short where limits are found to move, wider with each
 * probe that was refused.
 */
extern const double probing_gap_least, probing_gap_most;
double probing_gap_wider(double gap);
/* After a throttle that ended growth: more than one start found room, or the limit is as it was. */
double probing_gap_after_growth(double gap, int grown, bool is_cold);

/* Whether the backlog is worth a probe: the one query that it may cost waits for the redriver. */
bool probing_is_long(int64_t backlog, int limit);
/* After so long a probe is made whatever the backlog; `held`: slots that are taken. */
int64_t probing_every_ms(int held);
/* The limit after a throttle; `streak`: those below the limit, one after the other. */
int probing_limit_after_throttle(int limit, int held, int streak);

#endif
