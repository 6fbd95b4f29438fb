/*
 * One partition of the query topic that this executor owns, and its records that are not finished.
 * executor/partitions.h makes and frees it; the list of jobs and what waits are changed by
 * executor/query/job.h and job_state.h alone, what is indexed by executor/turn/record_index.h.
 */
#ifndef EXECUTOR_PARTITION_H
#define EXECUTOR_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/kafka/commits.h"
#include "executor/lost.h"

struct job;
struct index_entry;
TAILQ_HEAD(job_list, job);
TAILQ_HEAD(index_list, index_entry);

struct partition {
    TAILQ_ENTRY(partition) link;
    int32_t id;
    struct kafka_tracker tracker; /* partitions.c's */
    struct lost lost;             /* the same */
    struct job_list jobs;         /* of its records that are not finished; the others are indexed */
    struct index_list indexed;    /* records that wait without being held, by record_index.h */
    size_t indexed_count;
    size_t jobs_waiting;     /* not yet asked for in Athena, … */
    size_t bytes_waiting;    /* … and the bytes that they are held with */
    int64_t recall_again_ms; /* loop time: nothing is fetched again before; 0: at any time */
    int64_t recall_wait_ms;  /* the last back-off of that; 0: none */
    int64_t first_end;       /* the end that it had when it was assigned; -1: not known yet */
    bool caught_up;          /* it was read up to there */
    bool paused;
    bool revoking; /* about to be let go: nothing new is begun for it */
};

#endif
