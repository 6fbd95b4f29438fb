/*
 * The copy of a record in the dead-letter or rejected topic (pure).
 */
#ifndef EXECUTOR_QUERY_COPY_H
#define EXECUTOR_QUERY_COPY_H

#include "common/kafka/producer.h"
#include "executor/query/job.h"

enum {
    COPY_SHORTENINGS = 5 /* so often a copy can be made shorter */
};

/*
 * The copy of a job that is SETTLING. It is whole until its topic has refused it as too large, even
 * compressed; then it loses the headers of others, a long key, and more and more of its end
 * (job->copy.shortened). The headers are the caller's, all else is the job's.
 */
struct producer_record copy_record(const struct job *job, const char *query_topic);

#endif
