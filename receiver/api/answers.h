/*
 * What the receiver answers, before HTTP puts it on the wire (pure).
 *
 * Errors are application/problem+json (RFC 9457) with a `detail` that says what to mend.
 */
#ifndef RECEIVER_API_ANSWERS_H
#define RECEIVER_API_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/model/status.h"

/* Owned by whoever holds it; zeroed = none. */
struct answer {
    int status;
    const char *content_type; /* static */
    struct buffer body;
    char *location;        /* owned, NULL: none */
    const char *allow;     /* static, NULL: none */
    int64_t retry_after_s; /* 0: none */
    bool close;            /* the connection ends with it */
};

void answer_free(struct answer *a); /* leaves it zeroed */

/* `detail` is one sentence; it is escaped. `a` must be zeroed, here and below. */
void answer_problem(struct answer *a, int status, const char *detail);

/*
 * 503: the query may be posted again, under the id that it has now: `query_id` is a member of the
 * problem, so that a client that gave none does not run its query twice.
 */
void answer_not_accepted(struct answer *a, const char *query_id, const char *why,
                         int64_t retry_after_s);

struct accepted {
    const char *path_prefix; /* "" or "/STAGE" */
    const char *user_id;     /* "": none */
    const char *query_id;
    const char *topic;
    int32_t partition;
    int64_t offset;
};
void answer_accepted(struct answer *a, const struct accepted *what);

/* 200 with what a look-up found. */
void answer_status(struct answer *a, const struct status *s);

/* The reason phrase of a status that the receiver uses. */
const char *answer_reason(int status);

#endif
