/*
 * One event loop a process, in one thread: epoll, timers, and libraries that work before
 * each wait. An iteration is one wait and what it brings: descriptors, then timers, then tasks.
 *
 * Nothing here may be called from another thread. Other threads (librdkafka's) wake the loop
 * through an eventfd that it watches.
 */
#ifndef COMMON_BASE_LOOP_H
#define COMMON_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/must_check.h"

struct loop;

typedef void loop_fd_fn(void *arg, uint32_t epoll_events);
typedef void loop_fn(void *arg);
/* Called before each wait. Returns the longest time to wait, in ms; -1: no limit. */
typedef int64_t loop_prepare_fn(void *arg);
typedef bool loop_condition_fn(void *arg);

/* Embedded by its owner; zeroed = not set. */
struct loop_timer {
    int64_t due_ms; /* loop_now() clock */
    size_t place;   /* in the heap, from 1; 0: not set */
    loop_fn *fn;
    void *arg;
};

/* Embedded by its owner; zeroed = not due. */
struct loop_task {
    TAILQ_ENTRY(loop_task) link;
    loop_fn *fn;
    void *arg;
    bool due;
};

MUST_CHECK struct loop *loop_open(void); /* NULL: errno says why */
/* Its timers and tasks were cancelled by their owners: a build with DEBUG_CHECKS aborts if not. */
void loop_close(struct loop *loop);

/* Monotonic milliseconds, read once an iteration; loop_wall() is UTC since the epoch. */
int64_t loop_now(const struct loop *loop);
int64_t loop_wall(void);

/* The descriptor stays the caller's. An fd is watched once; a second call changes its events. */
MUST_CHECK bool loop_watch(struct loop *loop, int fd, uint32_t epoll_events, loop_fd_fn *fn,
                           void *arg);
void loop_unwatch(struct loop *loop, int fd);

/* Sets or moves a timer; it fires once, `delay_ms` from now. */
void loop_timer_set(struct loop *loop, struct loop_timer *t, int64_t delay_ms, loop_fn *fn,
                    void *arg);
void loop_timer_cancel(struct loop *loop, struct loop_timer *t);

/*
 * At the end of an iteration, behind its descriptors and timers, calls `fn` once, however often it
 * was asked for. This is where objects are freed that callers further up the stack may still hold,
 * and where work is done once that many events of the iteration have asked for. A task that is
 * deferred from within such a call is run at the end of the next iteration, which does not wait.
 */
void loop_defer(struct loop *loop, struct loop_task *task, loop_fn *fn, void *arg);
void loop_undefer(struct loop *loop, struct loop_task *task);

/* Before the wait of each iteration, until it is taken back with the same `fn` and `arg`. */
void loop_prepare_add(struct loop *loop, loop_prepare_fn *fn, void *arg);
void loop_prepare_remove(struct loop *loop, loop_prepare_fn *fn, void *arg);

/* Waits once and serves what came. Returns false when epoll itself failed (errno). */
MUST_CHECK bool loop_run_once(struct loop *loop);
/*
 * Iterates until `done` returns true, which is asked before each wait, for `timeout_ms` at most.
 * Returns false when the time was over first, or epoll itself failed. Not from within a callback of
 * the loop.
 */
MUST_CHECK bool loop_run_until(struct loop *loop, loop_condition_fn *done, void *arg,
                               int64_t timeout_ms);

/*
 * Signals: the first SIGTERM or SIGINT makes loop_stopping() true and wakes the loop, a second one
 * ends the process at once with 111, even while the loop is stuck in a library. SIGHUP makes
 * loop_hangup() true once. SIGPIPE is ignored. Call before any library starts a thread.
 */
MUST_CHECK bool loop_catch_signals(struct loop *loop);
bool loop_stopping(void);
bool loop_hangup(void);

#endif
