/*
 * Whether queries are started at all. AWS refuses the credentials or the configuration, or it
 * cannot be reached: that is no query's fault, so nothing is started for a while, then one call at
 * a time, until a call works.
 *
 * A query that is denied its work group, which is the default one, may be the only one that is, for
 * rights can depend on much. So the gate closes only once a second query was denied, too.
 */
#ifndef EXECUTOR_LIMIT_GATE_H
#define EXECUTOR_LIMIT_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/aws/client.h"
#include "common/base/buffer.h"
#include "common/base/loop.h"

enum gate_cause {
    GATE_CREDENTIALS,
    GATE_CONFIGURATION,
    GATE_DENIED,
    GATE_UNREACHABLE,
    GATE_CAUSES,
};

/* The gate has closed or opened. */
struct gate_events {
    void (*closed)(void *arg);
    void (*opened)(void *arg);
    void *arg;
};

enum {
    GATE_TOKEN_SIZE = 65
};

struct gate {
    struct loop *loop;                        /* borrowed */
    struct credentials_provider *credentials; /* borrowed */
    struct gate_events events;
    bool closed;           /* nothing is started */
    bool suspect;          /* one call at a time, until one works */
    enum gate_cause cause; /* while suspect */
    char why[256];
    int64_t delay_ms;             /* how long it was closed last */
    int64_t worked_ms;            /* loop time of the last call that worked; -1: none has */
    char denied[GATE_TOKEN_SIZE]; /* the query that was denied; "": none */
    bool denied_logged;
    struct loop_timer timer;
};

void gate_init(struct gate *g, struct loop *loop, struct credentials_provider *credentials,
               const struct gate_events *events);
/* A call to AWS failed for this cause, which is everybody's. */
void gate_refused(struct gate *g, enum gate_cause cause, const struct aws_answer *answer);
/* The query with this token was denied. True: a second one was, and the gate has closed. */
bool gate_denied(struct gate *g, const char *token, const struct aws_answer *answer);
/* A call worked. */
void gate_worked(struct gate *g);
/* One worked that was in need of the same rights as what was denied. */
void gate_allowed(struct gate *g);
/* For users: what a query waits for. Without names of the account. */
const char *gate_reason(enum gate_cause cause);
/*
 * False: why no query is started, for /readyz. Where nothing waits or runs (`idle`) no call is made
 * that could work, so that what was refused before the last pause says nothing.
 */
bool gate_ready(const struct gate *g, bool idle, struct buffer *why);
void gate_close(struct gate *g); /* stops its timer; a zeroed gate is fine */

#endif
