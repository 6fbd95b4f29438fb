#include "executor/limit/slot.h"

#include "executor/executor.h"
#include "executor/turn/dispatch.h"

int slot_count(const struct executor *x) {
    int count = 0;
    for (int lane = 0; lane < LANES; lane++)
        count += admission_held(&x->admission[lane]);
    return count;
}

bool slot_take(struct executor *x, struct job *job) {
    if (!x->config->track_queries)
        return true;
    if (x->config->max_running > 0 && slot_count(x) >= x->config->max_running)
        return false;
    if (!admission_acquire(&x->admission[job->lane], loop_now(x->loop),
                           dispatch_backlog(x, job->lane), &job->permit))
        return false;
    job->slot = SLOT_PERMIT;
    return true;
}

void slot_started(struct executor *x, struct job *job) {
    if (job->slot == SLOT_PERMIT) {
        admission_started(&x->admission[job->lane], &job->permit);
        job->slot = SLOT_HELD;
    } else if (job->slot == SLOT_HELD) {
        admission_confirmed(&x->admission[job->lane]);
    } else {
        slot_hold(x, job);
    }
}

void slot_throttled(struct executor *x, struct job *job) {
    if (job->slot == SLOT_PERMIT) {
        admission_throttled(&x->admission[job->lane], loop_now(x->loop), &job->permit);
        job->slot = SLOT_NONE;
    }
    slot_release(x, job);
}

void slot_hold(struct executor *x, struct job *job) {
    if (!x->config->track_queries)
        return;
    if (job->slot == SLOT_PERMIT)
        admission_uncertain(&x->admission[job->lane]);
    else if (job->slot == SLOT_NONE)
        admission_found(&x->admission[job->lane]);
    job->slot = SLOT_HELD;
}

void slot_release(struct executor *x, struct job *job) {
    if (job->slot == SLOT_PERMIT)
        admission_cancelled(&x->admission[job->lane]);
    else if (job->slot == SLOT_HELD)
        admission_ended(&x->admission[job->lane], 1);
    job->slot = SLOT_NONE;
}
