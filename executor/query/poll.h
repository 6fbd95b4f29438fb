/*
 * One call of BatchGetQueryExecution: which executions it asks for, and which of them the answer
 * has named (pure).
 */
#ifndef EXECUTOR_QUERY_POLL_H
#define EXECUTOR_QUERY_POLL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"

enum {
    POLL_MAX = 50 /* ids in a call: the API's maximum */
};

struct poll {
    char *ids[POLL_MAX]; /* owned */
    bool named[POLL_MAX];
    size_t count;
};

/* An id is asked for once, however often it is added. Not when `count` is POLL_MAX. */
void poll_add(struct poll *p, const char *id);
/* Appends the body of the request. */
void poll_write(const struct poll *p, struct buffer *out);
bool poll_asks_for(const struct poll *p, const char *id);
/* The answer has named this execution. False: the call did not ask for it. */
bool poll_note(struct poll *p, const char *id);
void poll_clear(struct poll *p); /* zeroed is fine */

#endif
