/*
 * Waiting is visible: once a second a query that waits here, for the quota or for the gate, is
 * published as QUEUED with that reason (notice.h says when). In passing: nothing waits for it, and
 * what cannot be published now is published later.
 */
#ifndef EXECUTOR_TURN_NOTIFIER_H
#define EXECUTOR_TURN_NOTIFIER_H

#include "common/base/loop.h"
#include "common/kafka/status_reader.h"
#include "executor/limit/gate.h"
#include "executor/limit/slot.h"
#include "executor/query/job_state.h"
#include "executor/query/settle.h"

/* All borrowed. */
struct notifier_parts {
    struct loop *loop;
    struct jobs *jobs;
    const struct slots *slots;
    const struct gate *gate;
    const struct status_reader *reader;
    struct settler *settler;
};

struct notifier {
    struct notifier_parts parts;
    struct loop_timer timer;
    bool stopped;
};

void notifier_init(struct notifier *n, const struct notifier_parts *parts);
/* Something waits, perhaps: looks at all that does, once a second for as long as anything does. */
void notifier_look_soon(struct notifier *n);
void notifier_stop(struct notifier *n); /* for good; zeroed is fine */

#endif
