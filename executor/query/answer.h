/*
 * What an answer to StartQueryExecution means for its query: one action for each outcome
 * (outcome.h). Who is started next is executor/turn/dispatch.h's.
 */
#ifndef EXECUTOR_QUERY_ANSWER_H
#define EXECUTOR_QUERY_ANSWER_H

#include <stdbool.h>

#include "common/aws/client.h"
#include "common/aws/cloudwatch.h"
#include "common/base/loop.h"
#include "common/base/metrics.h"
#include "common/model/status_view.h"
#include "executor/config.h"
#include "executor/limit/gate.h"
#include "executor/limit/pace.h"
#include "executor/limit/slot.h"
#include "executor/query/settle.h"
#include "executor/query/tracker.h"

/* All borrowed. */
struct answers_parts {
    struct loop *loop;
    const struct executor_config *config;
    struct slots *slots;
    struct pace *pace;
    struct gate *gate;
    struct settler *settler;
    struct tracker *tracker;
    struct status_view *view;
    struct cloudwatch *cloudwatch; /* NULL: off */
    struct metric *metrics;        /* EXECUTOR_METRICS rows */
    /* Something may be started now, or no longer. */
    void (*changed)(void *arg);
    void *arg;
};

struct answers {
    struct answers_parts parts;
    int ambiguous; /* ambiguous answers in a row, over all queries */
};

void answers_init(struct answers *a, const struct answers_parts *parts);

/*
 * Whether nothing need be asked of Athena for this job, because its query is known to have started
 * or ended: true, and it is followed, or finished. It is RECEIVED, WAITING or ASK_AGAIN.
 */
bool answer_is_known(struct answers *a, struct job *job);

/*
 * The aws_done_fn of a start; `arg` is the job, which is STARTING and names the `answers` that take
 * it. The job may have ended when it returns.
 */
void answer_take(void *arg, const struct aws_answer *answer);

#endif
