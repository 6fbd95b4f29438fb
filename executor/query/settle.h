/*
 * The last records of a query: its copy in the dead-letter or rejected topic and its state. What is
 * not acknowledged is sent again until it is; only then is the job finished and its offset done
 * with.
 */
#ifndef EXECUTOR_QUERY_SETTLE_H
#define EXECUTOR_QUERY_SETTLE_H

#include "executor/executor.h"

/*
 * Publishes QUEUED with a reason in passing: it may fail, and nobody waits for it. Not where a
 * later state is known, or the pair is or may be another text's. Call only once the view has caught
 * up.
 */
void settle_waiting(struct executor *x, struct job *job, char *reason);
/* Publishes STARTED in passing: a state to come will tell the same and more. */
void settle_running(struct executor *x, struct job *job);
/* STARTED is the last that is told of it (TRACK_QUERIES=off). */
void settle_started(struct executor *x, struct job *job);
/* SUCCEEDED, FAILED or CANCELLED. `reason` may be NULL. */
void settle_ended(struct executor *x, struct job *job, enum status_state state, const char *reason);
/* To the dead-letter topic; THROTTLED. */
void settle_throttled(struct executor *x, struct job *job, const char *code, const char *reason);
/* To the rejected topic; REJECTED, unless that is the state of another text of the same pair. */
void settle_rejected(struct executor *x, struct job *job, const char *code, const char *reason);
/* To the rejected topic, and the state is left alone: it is the first one's of this pair. */
void settle_mismatch(struct executor *x, struct job *job, const char *code, const char *reason);

/* Writes to the status topic, as it is, what is known of a pair. Nobody waits for it. */
void settle_tell_again(struct executor *x, const struct status *known);

#endif
