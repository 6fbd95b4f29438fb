/*
 * When running queries are looked at next (pure but for the jitter, clock passed in).
 *
 * How often a sweep over them begins follows from how long queries take: a twentieth of their
 * median, between 50 ms and 1 s. Calls are never more than 10 a second. Athena allows 20 of
 * BatchGetQueryExecution, 40 at once, to all users of the account (Service Quotas of Athena): where
 * it answers with ThrottlingException, calls follow each other more slowly, and slowly faster
 * again.
 */
#ifndef EXECUTOR_QUERY_POLL_PACE_H
#define EXECUTOR_QUERY_POLL_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    POLL_PACE_DURATIONS = 31
};

struct poll_pace {
    int64_t fixed_ms;                        /* POLL_INTERVAL_MS; 0: by the median */
    double durations_s[POLL_PACE_DURATIONS]; /* of the last that ended, a ring */
    size_t count, next;
    int64_t spacing_ms;     /* between two calls; more after one that failed */
    double apart_ms;        /* the least spacing, by the API's rate */
    int64_t throttled_ms;   /* when that was made longer last */
    int64_t rests_since_ms; /* the last call, or its failure */
    int64_t swept_ms;       /* when the last sweep began */
    int64_t latency_ms;     /* of calls, smoothed */
    int failures;           /* of calls, one after another */
};

void poll_pace_init(struct poll_pace *p, int64_t fixed_ms);
/* A query has ended that ran for so long. */
void poll_pace_ended(struct poll_pace *p, double seconds);

void poll_pace_swept(struct poll_pace *p, int64_t now_ms); /* a sweep begins */
void poll_pace_called(struct poll_pace *p, int64_t now_ms);
void poll_pace_worked(struct poll_pace *p, int64_t latency_ms);
/*
 * After a call that failed: the next one waits as the SDKs do, rand(0, 1) x min(2^i, 20 s), but
 * 100 ms at least, and 5 s at most where the gate (executor/limit/gate.h) has closed for it.
 */
void poll_pace_failed(struct poll_pace *p, int64_t now_ms, bool is_credentials);

/* After a call that the API's rate has refused. */
void poll_pace_throttled(struct poll_pace *p, int64_t now_ms);

/* Between the beginnings of two sweeps. */
int64_t poll_pace_sweep_ms(const struct poll_pace *p);
bool poll_pace_sweep_is_due(const struct poll_pace *p, int64_t now_ms);
/* How long to wait for the next call. `begins`: it begins a sweep, else goes on with the last. */
int64_t poll_pace_delay_ms(const struct poll_pace *p, int64_t now_ms, bool begins);
/*
 * A query whose start was answered less than this ago has hardly ended, by how long the last ones
 * ran; 0: nothing is known. Allows for the latency: the query began before the answer came, and is
 * looked at after the call is made.
 */
int64_t poll_pace_least_ms(const struct poll_pace *p);

/* The interval of sweeps in ms for a median duration in seconds; 0: not known yet. */
int64_t poll_pace_interval_ms(double median_s);

#endif
