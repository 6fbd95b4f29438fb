/*
 * STARTED, published in passing: no query waits for it, for a state to come says the same and more.
 * It is published again until it is acknowledged or such a state is known, because whoever takes a
 * partition over goes by what it reads of starts. It outlives the job.
 */
#ifndef EXECUTOR_QUERY_STARTED_H
#define EXECUTOR_QUERY_STARTED_H

#include "executor/query/settle.h"

struct started {
    LIST_ENTRY(started) link;
    struct settler *settler;
    struct status state; /* its strings are owned */
    int32_t partition;   /* of the query's record */
    int64_t offset;
    bool in_flight;
    struct loop_timer timer;
    int64_t wait_ms, failing_ms; /* as in struct job_send */
    rd_kafka_resp_err_t err;
    unsigned shortened;
};

/*
 * Whoever gives the query's partition away waits for `starts_in_flight` of the settler to be 0: the
 * next owner goes by what it reads. `job` has its execution id.
 */
void started_publish(struct settler *s, struct job *job);
/* After producer_close(): forgets what is to be sent again. Zeroed is fine. */
void started_close(struct settler *s);

#endif
