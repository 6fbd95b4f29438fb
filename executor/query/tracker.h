/*
 * What runs in Athena, looked at in sweeps of BatchGetQueryExecution, 50 a call (the API's
 * maximum), until it has ended. poll_pace.h says how often.
 */
#ifndef EXECUTOR_QUERY_TRACKER_H
#define EXECUTOR_QUERY_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/client.h"
#include "common/base/loop.h"
#include "common/base/metrics.h"
#include "executor/limit/gate.h"
#include "executor/limit/slot.h"
#include "executor/query/job_state.h"
#include "executor/query/poll_pace.h"
#include "executor/query/settle.h"
#include "executor/query/sweep.h"

enum {
    TRACKER_BATCH = 50
};

/* All borrowed. */
struct tracker_parts {
    struct loop *loop;
    struct jobs *jobs;
    struct aws_client *aws;
    struct slots *slots;
    struct gate *gate;
    struct settler *settler;
    struct metric *metrics; /* EXECUTOR_METRICS rows */
    int64_t interval_ms;    /* POLL_INTERVAL_MS */
    void (*sweep_begins)(void *arg);
    /* `sound`: it saw all that it set out to see. */
    void (*sweep_ends)(void *arg, bool sound);
    /* An answer was worked on: slots may be free. */
    void (*changed)(void *arg);
    void *arg;
};

struct tracker {
    struct tracker_parts parts;
    struct poll_pace pace;
    struct sweep seen;
    uint64_t sweep;    /* its number */
    bool sweeping;     /* a sweep has begun and not ended; what starts now is for the next one */
    bool sweep_failed; /* a call of it did */
    uint64_t runaways; /* of jobs_state.h, when it began: one more and it did not see all */
    struct aws_call *call;
    struct loop_timer timer;
    int64_t quiet_until_ms; /* the warning of what answers leave out is not repeated before */
};

void tracker_init(struct tracker *t, const struct tracker_parts *parts);
/* STARTING → RUNNING. */
void tracker_add(struct tracker *t, struct job *job);
void tracker_close(struct tracker *t); /* zeroed is fine */

/* When the last one that was looked at was submitted, seconds by Athena's clock; 0: none runs. */
double tracker_last_submitted(const struct tracker *t, enum lane lane);
/* How many of those that were looked at since were active at the moment `at`. */
int tracker_active_at(const struct tracker *t, enum lane lane, double at);
/* How many were active when the last one that this sweep has seen was submitted. */
int tracker_peak(const struct tracker *t, enum lane lane);

#endif
