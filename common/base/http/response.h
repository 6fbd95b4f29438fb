/*
 * What a server sends for a request, before HTTP puts it on the wire (pure).
 *
 * Errors are application/problem+json (RFC 9457).
 */
#ifndef COMMON_BASE_HTTP_RESPONSE_H
#define COMMON_BASE_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"

/* Owned by whoever holds it; zeroed = none. */
struct http_response {
    int status;
    const char *content_type; /* static */
    struct buffer body;
    char *location;           /* owned, NULL: none */
    const char *allow;        /* static, NULL: none */
    const char *authenticate; /* WWW-Authenticate; static, NULL: none */
    int64_t retry_after_s;    /* 0: none */
    bool no_store;            /* Cache-Control: no-store */
    bool close;               /* the connection ends with it */
};

void http_response_free(struct http_response *r); /* leaves it zeroed */

/* `detail` is one sentence that says what to change; it is escaped. `r` must be zeroed. */
void http_response_problem(struct http_response *r, int status, const char *detail);
/* With one member more, `name` (not escaped): `value`. */
void http_response_problem_with(struct http_response *r, int status, const char *detail,
                                const char *name, const char *value);

/* The reason phrase of a status that is used here; "Error" for another. */
const char *http_response_reason(int status);

#endif
