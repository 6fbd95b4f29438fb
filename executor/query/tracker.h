/*
 * What runs in Athena, looked at in sweeps of BatchGetQueryExecution, 50 a call (the API's
 * maximum), until it has ended. poll_pace.h says how often.
 *
 * Calls do not wait for one another: however long an answer takes, the next call is made when it is
 * due, up to TRACKER_POLLS. So an end is seen after half the time between two calls that ask for
 * the query, and the latency of a call. Of a call most places go to queries that may have ended, by
 * how long the last ones took; the others go on with the sweep.
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
#include "executor/query/poll.h"
#include "executor/query/poll_pace.h"
#include "executor/query/settle.h"
#include "executor/query/sweep.h"

enum {
    TRACKER_POLLS = 10 /* calls at once */
};
_Static_assert((int)TRACKER_POLLS < (int)SWEEPS_MAX,
               "a sweep that is not over has a call, but for the last");

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
    void (*sweep_begins)(void *arg, const struct sweep *s);
    /* It has seen all that it set out to see; of one that has not, nothing is reported. */
    void (*sweep_ends)(void *arg, const struct sweep *s);
    /* An answer was worked on: slots may be free. */
    void (*changed)(void *arg);
    void *arg;
};

struct tracker;

/* A call under way. */
struct tracker_poll {
    struct tracker *tracker;
    struct aws_call *call; /* NULL: this place is free */
    struct poll poll;
    struct sweep *sweep;
    int64_t made_ms;
};

struct tracker {
    struct tracker_parts parts;
    struct poll_pace pace;
    struct sweeps sweeps;
    struct tracker_poll polls[TRACKER_POLLS];
    uint64_t polls_made;
    struct loop_timer timer;
    int64_t quiet_until_ms; /* the warning of what answers leave out is not repeated before */
};

void tracker_init(struct tracker *t, const struct tracker_parts *parts);
/* STARTING → RUNNING. */
void tracker_add(struct tracker *t, struct job *job);
void tracker_close(struct tracker *t); /* zeroed is fine */

/*
 * When the last query was submitted whose permit was given under an earlier grant than this, of
 * those that were looked at: seconds by Athena's clock, 0: none. INT64_MAX: under any.
 */
double tracker_last_submitted(const struct tracker *t, enum lane lane, int64_t version);
/* How many of those that were looked at since were active at the moment `at`. */
int tracker_active_at(const struct tracker *t, enum lane lane, double at);
/*
 * How many were active at once, as this sweep has seen them: at most, at the submissions of queries
 * whose permit is of this generation; ADMISSION_ANY_GENERATION: at the last submission.
 */
int tracker_peak(const struct tracker *t, const struct sweep *s, enum lane lane,
                 uint32_t generation);

#endif
