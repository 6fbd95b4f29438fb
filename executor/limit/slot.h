/*
 * The slot of the quota that a query holds while it is being started, runs, or perhaps runs. Only
 * here does a query change what it holds of its lane's admission, so that each slot is given back
 * once.
 */
#ifndef EXECUTOR_LIMIT_SLOT_H
#define EXECUTOR_LIMIT_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "executor/limit/admission.h"
#include "executor/limit/lane.h"

/* What one query holds of its lane's admission. Zeroed: nothing. */
struct slot {
    enum slot_state {
        SLOT_NONE,
        SLOT_PERMIT, /* a call is under way under `permit` */
        SLOT_HELD,   /* it runs, or perhaps runs */
    } state;
    struct admission_permit permit;
};

struct slots {
    struct admission admission[LANES];
    int most;    /* MAX_RUNNING, over all lanes; 0: as many as the admissions allow */
    bool tracks; /* false (TRACK_QUERIES=off): nobody sees a query end, so nothing is held */
};

void slots_init(struct slots *s, int most, bool tracks);
/* Slots that are taken in all lanes: what MAX_RUNNING bounds. */
int slots_taken(const struct slots *s);
/* How many more MAX_RUNNING allows; INT_MAX where it is not set. */
int slots_room(const struct slots *s);

/*
 * False: there is no room now. With TRACK_QUERIES=off always true, and nothing is held. `backlog`:
 * how many queries of the lane wait to be started, in Kafka too. `now_ms`: loop time.
 */
bool slot_take(struct slots *s, enum lane lane, struct slot *slot, int64_t now_ms, int64_t backlog);
/* The query's call has started it, or has shown that it runs. */
void slot_started(struct slots *s, enum lane lane, struct slot *slot, int64_t now_ms);
/* The query's call was refused for the quota: nothing is held any more. */
void slot_throttled(struct slots *s, enum lane lane, struct slot *slot, int64_t now_ms);
/* The query runs, or perhaps runs, whatever its call said. */
void slot_hold(struct slots *s, enum lane lane, struct slot *slot);
/* It does not run, or nobody follows it any more. Nothing happens where nothing is held. */
void slot_release(struct slots *s, enum lane lane, struct slot *slot);

#endif
