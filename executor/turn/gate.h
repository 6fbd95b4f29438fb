/*
 * Credentials were refused or are missing: that is no query's fault, so nothing is started for a
 * while, then one call at a time, until a call works.
 */
#ifndef EXECUTOR_TURN_GATE_H
#define EXECUTOR_TURN_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/aws/client.h"
#include "common/base/buffer.h"
#include "common/base/loop.h"

struct executor;

struct gate {
    bool closed;  /* nothing is started */
    bool suspect; /* one call at a time, to see */
    char why[256];
    int64_t delay_ms;
    struct loop_timer timer;
};

/* A call to AWS was refused for its credentials, or worked. */
void gate_refused(struct executor *x, const struct aws_answer *answer);
void gate_worked(struct executor *x);
/* False: why no query is started, for /readyz. */
bool gate_ready(const struct executor *x, struct buffer *why);

#endif
