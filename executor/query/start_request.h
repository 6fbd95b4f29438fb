/*
 * A query → the body of StartQueryExecution, or why this executor does not send it (pure).
 */
#ifndef EXECUTOR_QUERY_START_REQUEST_H
#define EXECUTOR_QUERY_START_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/model/query.h"

/* Of the configuration; borrowed. NULL: none. */
struct start_defaults {
    const char *database, *catalog, *work_group, *output_location;
    const char *allowed_workgroups;       /* a,b,c */
    const char *allowed_output_locations; /* prefixes: s3://a/b,s3://c */
};

/*
 * Whether the request may use the work group and the output location that it chose. The defaults
 * are always allowed. An allowed location covers itself and what is below it, by path segments:
 * s3://a does not cover s3://ab. False: `why` says what is not allowed.
 */
bool start_allowed(const struct start_defaults *d, const struct query *q, char *why,
                   size_t why_size);

/*
 * Whether each entry of an allowed list could itself be chosen in this field of a request. "s3://"
 * could not (it would allow all buckets), nor could "bucket/path" (it would allow none). NULL, an
 * absent list, is valid.
 */
bool start_list_is_valid(const char *list, const char *field);

/* Appends the JSON. `token`: the ClientRequestToken. */
void start_request_write(const struct start_defaults *d, const struct query *q, const char *token,
                         struct buffer *out);

#endif
