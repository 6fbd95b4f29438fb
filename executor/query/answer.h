/*
 * What an answer to StartQueryExecution means for its query: one action for each outcome
 * (outcome.h). Who is started next is dispatch.h's.
 */
#ifndef EXECUTOR_QUERY_ANSWER_H
#define EXECUTOR_QUERY_ANSWER_H

#include "common/aws/client.h"

/* The aws_done_fn of a start; `arg` is the job, which may be freed by it. */
void answer_take(void *arg, const struct aws_answer *answer);

#endif
