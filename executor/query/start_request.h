/*
 * A query → the body of StartQueryExecution, or why this executor will not send it (pure).
 */
#ifndef EXECUTOR_QUERY_START_REQUEST_H
#define EXECUTOR_QUERY_START_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/model/query.h"

/* Borrowed. NULL: none. */
struct start_defaults {
    const char *database, *catalog, *work_group, *output_location;
    const char *allowed_workgroups;       /* a,b,c */
    const char *allowed_output_locations; /* prefixes: s3://a/b,s3://c */
};

/*
 * Whether the request may choose what it chose. A default is always allowed; a prefix ends at a
 * path boundary, so that s3://bucket-evil is not under s3://bucket. False: `why` says which.
 */
bool start_allowed(const struct start_defaults *d, const struct query *q, char *why,
                   size_t why_size);

/*
 * Whether each entry of such a list is one that a request could choose in this field: "s3://" would
 * allow all buckets, "bucket/path" none. NULL is sound.
 */
bool start_list_sound(const char *list, const char *field);

/* Appends the JSON. `token`: the ClientRequestToken. */
void start_request_write(const struct start_defaults *d, const struct query *q, const char *token,
                         struct buffer *out);

#endif
