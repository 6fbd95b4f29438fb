/*
 * The states of jobs, and the lists that jobs are in: job_transition() is the only writer of both.
 *
 *   BEHIND
 *     ▲ ▼
 *   RECEIVED ─▶ WAITING ─▶ STARTING ─▶ RUNNING ─▶ SETTLING ─▶ FINISHED
 *                  ▲          │ ▲                    ▲
 *                  │          │ └── ASK_AGAIN ◀── AMBIGUOUS_BACKOFF ◀── (STARTING)
 *                  └── REFUSED_BACKOFF ◀── (STARTING)│
 *   from SETTLING to WAITING: it was throttled, and the dead-letter topic does not take its copy
 *   from RUNNING to RUNNING: asked for, so that it goes behind all others that run
 *   straight to SETTLING: what is no request (RECEIVED), what is throttled (STARTING) or rejected
 *   straight to RUNNING or FINISHED: what is known to have started or ended, before or after a call
 *   RECEIVED to INDEXED: more wait than are held, an entry of record_index.h waits in its place
 *   to DROPPED: from all, when the partition is taken away
 *
 * The table in job_state.c is what counts. A build with DEBUG_CHECKS (a VARIANT with "san" or
 * "debug" in its name) aborts at a transition that is not in it; others log an error and make it,
 * unless the job has ended.
 */
#ifndef EXECUTOR_QUERY_JOB_STATE_H
#define EXECUTOR_QUERY_JOB_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "executor/limit/slot.h"
#include "executor/partition.h"
#include "executor/query/job.h"
#include "executor/query/pairs.h"
#include "executor/turn/window.h"

/* Neither may free a partition from within: partitions.h does that at the end of an iteration. */
struct jobs_events {
    /* The one place where a record is done with: its query has ended, or its copy is acknowledged.
     */
    void (*finished)(void *arg, struct partition *p, int64_t offset);
    /* The number of waiting or of all jobs of a partition has fallen. */
    void (*fewer)(void *arg);
    void *arg;
};

struct jobs {
    struct loop *loop;   /* borrowed */
    struct slots *slots; /* borrowed: a job that ends gives its slot back */
    struct jobs_events events;
    struct pairs pairs;          /* of all from WAITING on; each once, repetitions are BEHIND */
    struct job_list received;    /* RECEIVED; the oldest first */
    struct window window[LANES]; /* WAITING: users take turns */
    struct job_list ask_again;   /* ASK_AGAIN, who has waited longest first */
    struct job_list running;     /* RUNNING, what was asked for longest ago first */
    struct job_list settling;    /* SETTLING, who has been longest first */
    struct job_list ended;       /* FINISHED, INDEXED or DROPPED; freed at the iteration's end */
    size_t count[JOB_STATES];    /* of those that are not freed yet */
    size_t recalled;             /* jobs that hold a record that was fetched again, … */
    size_t recalled_bytes;       /* … and their bytes */
    uint64_t runaways;           /* jobs that were dropped while they ran, since the start */
    struct loop_task free_ended;
};

/* All jobs are those of one `jobs`, which outlives them. */
void jobs_init(struct jobs *jobs, struct loop *loop, struct slots *slots,
               const struct jobs_events *events);
/* After producer_close(), which reports what the last jobs wait for. Zeroed is fine. */
void jobs_close(struct jobs *jobs);

size_t jobs_waiting(const struct jobs *jobs, enum lane lane);
size_t jobs_followed(const struct jobs *jobs); /* RUNNING */
size_t jobs_starting(const struct jobs *jobs); /* calls of StartQueryExecution under way */
/* Whether another repetition may wait as a job behind its pair; else it stays in the index. */
bool jobs_take_behind(const struct jobs *jobs);

/* RECEIVED, and the last in the list of its partition. */
struct job *job_new(struct jobs *jobs, struct partition *p);
/* A job that is_recalled has read its record: it counts as `recalled` until that is released. */
void job_recalled(struct job *job);

/* Pure: whether the table has it. */
bool job_may_become(enum job_state from, enum job_state to);
const char *job_state_name(enum job_state state);

/*
 * Takes the job out of the list of its old state and puts it into that of the new one. FINISHED,
 * INDEXED and DROPPED give back all that it holds (slot, call, timers, message, partition) and
 * report; then it is read-only, and freed at the end of the iteration.
 */
void job_transition(struct job *job, enum job_state to);
/* DROPPED: its offset is not finished, the next owner begins anew. */
void job_drop(struct job *job);
/*
 * RECEIVED → BEHIND `first`, which stands for its pair. What becomes of that one:
 * - it runs: those of the same text get its execution id, and their bytes are released; those of
 *   another are RECEIVED again, to be rejected;
 * - it ends in any way: all are RECEIVED again; `pair_ended` where it was for those of its text,
 *   too. Jobs with an execution id follow it, the others have a turn of their own.
 */
void job_wait_behind(struct job *job, struct job *first);
/* Its records are not sent again, and what is reported of them later finds no job. */
void job_forget_sends(struct job *job);
/* job_release_message(), and reports that fewer wait in its partition. */
void job_message_done(struct job *job);

#endif
