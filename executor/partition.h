/*
 * One partition of the query topic that this executor owns, and its records that are not finished.
 * executor/partitions.h makes and frees it; the list of jobs and what waits are changed by
 * executor/query/job.h and job_state.h alone.
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
TAILQ_HEAD(job_list, job);

struct partition {
    TAILQ_ENTRY(partition) link;
    int32_t id;
    struct kafka_tracker tracker; /* partitions.c's */
    struct lost lost;             /* the same */
    struct job_list jobs;         /* every record of it that is not finished, in order of offset */
    size_t jobs_waiting;          /* not yet asked for in Athena, … */
    size_t bytes_waiting;         /* … and the bytes that they are held with */
    bool paused;
    bool revoking; /* about to be let go: nothing new is begun for it */
};

#endif
