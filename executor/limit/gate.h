/*
 * Credentials were refused or are missing: that is no query's fault, so nothing is started for a
 * while, then one call at a time, until a call works.
 */
#ifndef EXECUTOR_LIMIT_GATE_H
#define EXECUTOR_LIMIT_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/aws/client.h"
#include "common/base/buffer.h"
#include "common/base/loop.h"

/* The gate has closed or opened. */
struct gate_events {
    void (*closed)(void *arg);
    void (*opened)(void *arg);
    void *arg;
};

struct gate {
    struct loop *loop;                        /* borrowed */
    struct credentials_provider *credentials; /* borrowed */
    struct gate_events events;
    bool closed;  /* nothing is started */
    bool suspect; /* one call at a time, until one works */
    char why[256];
    int64_t delay_ms;
    struct loop_timer timer;
};

void gate_init(struct gate *g, struct loop *loop, struct credentials_provider *credentials,
               const struct gate_events *events);
/* A call to AWS was refused for its credentials, or worked. */
void gate_refused(struct gate *g, const struct aws_answer *answer);
void gate_worked(struct gate *g);
/*
 * False: why no query is started, for /readyz. Where nothing waits or runs (`idle`) no call is made
 * that could work, so that what was refused before the last pause says nothing.
 */
bool gate_ready(const struct gate *g, bool idle, struct buffer *why);
void gate_close(struct gate *g); /* stops its timer; a zeroed gate is fine */

#endif
