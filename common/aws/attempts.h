/*
 * One HTTP request made several times, as the SDKs' standard mode does: again after a connection
 * that failed, a time-out, a 5xx, a 429, and what its owner says; rand(0, 1) x min(2^i, 20 s)
 * between.
 */
#ifndef COMMON_AWS_ATTEMPTS_H
#define COMMON_AWS_ATTEMPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/http/client.h"
#include "common/base/loop.h"

struct attempts;

struct attempts_of {
    /* Starts one: http_start(…, attempts_told, a). NULL: it cannot be made. */
    struct http_call *(*send)(void *arg, struct attempts *a);
    /* Whether to try again after an answer that is no 5xx and no 429. May be NULL. */
    bool (*again)(void *arg, const struct http_answer *answer);
    /* The last answer. */
    void (*done)(void *arg, const struct http_answer *answer);
    int most; /* attempts */
};

/* Embedded by its owner; zeroed = nothing under way. */
struct attempts {
    const struct attempts_of *of;
    void *arg;
    struct loop *loop;
    struct http_call *call;
    struct loop_timer timer;
    int made;
};

/* Never calls back from within. `done` may start the next and free the owner. */
void attempts_start(struct attempts *a, struct loop *loop, const struct attempts_of *of, void *arg);
void attempts_cancel(struct attempts *a);
void attempts_told(void *a, const struct http_answer *answer); /* an http_done_fn */

/* 0 to 1. */
double attempts_random(void);
/* How long to wait after the `made`-th attempt, from 1: rand(0, 1) x min(2^(made - 1) s, 20 s). */
int64_t attempts_delay_ms(int made);

#endif
