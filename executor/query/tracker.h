/*
 * What runs in Athena, looked at in sweeps of BatchGetQueryExecution, 50 a call (the API's
 * maximum), until it has ended.
 *
 * How often follows from how long queries take: a twentieth of their median, between 50 ms and 1 s,
 * and never more than 10 calls a second (the account is allowed 20, shared by all its users).
 */
#ifndef EXECUTOR_QUERY_TRACKER_H
#define EXECUTOR_QUERY_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/client.h"
#include "common/base/loop.h"
#include "executor/query/job.h"

enum {
    TRACKER_BATCH = 50,
    TRACKER_DURATIONS = 31,
    TRACKER_ENDED = 512
};

/* What a sweep saw of a query: seconds since the epoch by Athena's clock. */
struct tracker_seen {
    enum lane lane;
    double submitted, completed; /* completed 0: still active */
};

struct tracker {
    struct job_list running; /* those of this sweep that were looked at are at its end */
    size_t count;
    uint64_t sweep;
    bool sweeping;    /* a sweep has begun and not ended; what starts now is for the next one */
    bool sweep_sound; /* it saw all that it set out to see */
    struct job *batch[TRACKER_BATCH]; /* of the call under way; NULL: dropped since */
    size_t batch_count;
    size_t batch_max; /* fewer than TRACKER_BATCH after a batch was refused as a whole */
    struct aws_call *call;
    struct loop_timer timer;
    struct tracker_seen *seen; /* owned: of this sweep */
    size_t seen_count, seen_room;
    struct tracker_seen ended[TRACKER_ENDED]; /* the last of them, a ring */
    size_t ended_next;
    double durations_s[TRACKER_DURATIONS]; /* of the last that ended, a ring */
    size_t durations_count, durations_next;
    int64_t spacing_ms;     /* between two calls; more while the API refuses */
    int64_t rests_since_ms; /* the last call, or its failure */
    int failures;           /* of calls, one after another */
    int64_t quiet_until_ms; /* the warning of what Athena does not tell of is not repeated before */
};

struct executor;

void tracker_init(struct executor *x);
void tracker_add(struct executor *x, struct job *job);
/* Not to be followed any more, though it runs. */
void tracker_drop(struct executor *x, struct job *job);
void tracker_close(struct executor *x);

/*
 * After a call that failed: the next one waits as the SDKs do, rand(0, 1) x min(2^i, 20 s), but
 * 100 ms at least, and 5 s at most where credentials were refused.
 */
void tracker_back_off(struct tracker *t, int64_t now_ms, bool is_credentials);
/* When the last one that was looked at was submitted, seconds by Athena's clock; 0: none runs. */
double tracker_last_submitted(const struct tracker *t, enum lane lane);
/* How many of those that were looked at since were active then. */
int tracker_active_at(const struct tracker *t, enum lane lane, double at);

/* Pure: the interval of sweeps in ms for a median duration in seconds; 0: not known yet. */
int64_t tracker_interval_ms(double median_s);
/* Pure: how many were active when the last one was submitted. */
int tracker_peak(const struct tracker_seen *seen, size_t count, enum lane lane);

#endif
