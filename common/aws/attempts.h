/*
 * One HTTP request, made several times where that may help: the "standard" retry mode of the AWS
 * SDKs. It is sent again after a failed connection, a time-out, a 5xx, a 429, and an answer that
 * its owner says is worth it. Between two attempts it waits rand(0, 1) x min(2^i s, 20 s).
 *
 * All of this belongs to the thread of the loop.
 */
#ifndef COMMON_AWS_ATTEMPTS_H
#define COMMON_AWS_ATTEMPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/http/client.h"
#include "common/base/loop.h"

struct attempts;

/* What the owner of a request provides; `arg` is that of attempts_start(). */
struct attempts_ops {
    /* Sends it once: http_start(…, attempts_on_answer, a). NULL: it cannot be made. */
    struct http_call *(*send)(void *arg, struct attempts *a);
    /* Whether an answer that is no 5xx and no 429 is worth another attempt. May be NULL. */
    bool (*is_worth_retry)(void *arg, const struct http_answer *answer);
    /* Called once, with the last answer. */
    void (*done)(void *arg, const struct http_answer *answer);
    int max; /* attempts, the first included */
};

/* Embedded by its owner; zeroed = nothing under way. */
struct attempts {
    const struct attempts_ops *ops;
    void *arg;
    struct loop *loop;
    struct http_call *call;
    struct loop_timer timer;
    int made; /* attempts so far */
};

/*
 * `ops` and `arg` are borrowed until `done` was called. Never calls back from within; `done` may
 * start the next request and may free the owner.
 */
void attempts_start(struct attempts *a, struct loop *loop, const struct attempts_ops *ops,
                    void *arg);
void attempts_cancel(struct attempts *a);                           /* `done` is not called */
void attempts_on_answer(void *a, const struct http_answer *answer); /* an http_done_fn */

/* Uniform from 0 to 1; 0.5 where the kernel has no random bytes yet (early at boot). */
double attempts_random(void);
/* How long to wait after the `made`-th attempt, from 1: rand(0, 1) x min(2^(made - 1) s, 20 s). */
int64_t attempts_delay_ms(int made);

#endif
