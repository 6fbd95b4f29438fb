/*
 * The last states of pairs put right. A record of the status topic that comes in late (a receiver's
 * QUEUED behind an executor's REJECTED) leaves the topic with a wrong last state of its pair, and
 * that is what compaction keeps. What is known is then published again.
 */
#ifndef EXECUTOR_QUERY_REPAIR_H
#define EXECUTOR_QUERY_REPAIR_H

#include <stddef.h>
#include <sys/queue.h>

#include "common/base/loop.h"
#include "common/model/status.h"
#include "common/model/status_view.h"
#include "executor/query/settle.h"

TAILQ_HEAD(repair_list, repair);

struct repairs {
    struct loop *loop;        /* borrowed */
    struct status_view *view; /* borrowed */
    struct settler *settler;  /* borrowed */
    struct repair_list due;   /* the next one first */
    size_t count;
    struct loop_timer timer;
};

void repair_init(struct repairs *rs, struct loop *loop, struct status_view *view,
                 struct settler *settler);
/*
 * A status_covered_fn; `arg` is the struct repairs. Several executors may repair one pair, which
 * does no harm.
 */
void repair_later(void *arg, const struct status *late);
void repair_close(struct repairs *rs); /* zeroed is fine */

#endif
