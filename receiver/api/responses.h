/*
 * What the receiver responds to a POST and to a look-up (pure); problems are in
 * common/base/http/response.h.
 *
 * `r` must be zeroed in each of these.
 */
#ifndef RECEIVER_API_RESPONSES_H
#define RECEIVER_API_RESPONSES_H

#include <stdint.h>

#include "common/base/http/response.h"
#include "common/model/status.h"

struct accepted_query {
    const char *path_prefix; /* "" or "/STAGE" */
    const char *user_id;     /* "": none */
    const char *query_id;
    const char *topic;
    int32_t partition;
    int64_t offset;
};

/* 202. */
void response_accepted(struct http_response *r, const struct accepted_query *what);

/*
 * 503: the query may be posted again, under the id that it has now: `query_id` is a member of the
 * problem, so that a client that gave none does not run its query twice.
 */
void response_not_accepted(struct http_response *r, const char *query_id, const char *why,
                           int64_t retry_after_s);

/* 200 with what a look-up has found. */
void response_status(struct http_response *r, const struct status *s);

#endif
