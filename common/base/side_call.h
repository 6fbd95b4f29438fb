/*
 * A call that blocks, made on a thread that lives for this one call, so that the loop goes on.
 *
 * The thread touches nothing but what `arg` leads to and nobody else touches meanwhile. No signal
 * is handled on it: the loop's thread waits for them. All functions are called from the loop's
 * thread.
 */
#ifndef COMMON_BASE_SIDE_CALL_H
#define COMMON_BASE_SIDE_CALL_H

#include <stdbool.h>

#include "common/base/loop.h"
#include "common/base/must_check.h"

struct side_call;

typedef void side_call_work_fn(void *arg); /* on the thread */
typedef void side_call_done_fn(void *arg); /* on the loop, once the thread has ended */

/* NULL: no eventfd (errno). `done` may begin the next call, and may not close it. */
MUST_CHECK struct side_call *side_call_open(struct loop *loop, side_call_work_fn *work,
                                            side_call_done_fn *done, void *arg);
/* False: one is under way, or no thread could be made, which is logged. */
MUST_CHECK bool side_call_begin(struct side_call *call);
bool side_call_busy(const struct side_call *call);
/* Waits for the one that is under way; its `done` is not called. NULL is fine. */
void side_call_close(struct side_call *call);

#endif
