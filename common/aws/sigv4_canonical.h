/*
 * AWS Signature Version 4, steps 1 and 2: the request to sign, the canonical request and the string
 * to sign (pure). Callers that only want a signature include common/aws/sigv4.h, whose rules hold
 * here, too.
 */
#ifndef COMMON_AWS_SIGV4_CANONICAL_H
#define COMMON_AWS_SIGV4_CANONICAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

#define SIGV4_ALGORITHM  "AWS4-HMAC-SHA256"
#define SIGV4_TERMINATOR "aws4_request" /* ends the credential scope */

/* Bytes of a canonical request; the body is not in it, only its hash. */
#define SIGV4_CANONICAL_MAX ((size_t)64 * 1024)

/* Borrowed strings. session_token is NULL when there is none. */
struct sigv4_keys {
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token;
};

struct sigv4_header {
    const char *name; /* in any case */
    const char *value;
};

/* All borrowed. */
struct sigv4_request {
    const char *method;
    const char *path;  /* as it is sent; "" is "/" */
    const char *query; /* as it is sent, without '?'; NULL or "": none. A '+' is a plus */
    /* All that are to be signed, host included; x-amz-date and x-amz-security-token are added. */
    const struct sigv4_header *headers;
    size_t header_count;
    const void *body; /* NULL with body_len 0: the empty body */
    size_t body_len;
    const char *region;
    const char *service;
    int64_t time;   /* seconds since the epoch */
    bool keep_path; /* sign . and .. and // as they are; no service that we call requires it */
};

/* The canonical request and its parts. */
struct sigv4_canonical {
    char date[17];                /* x-amz-date, 20260102T030405Z */
    struct buffer scope;          /* the credential scope: date/region/service/aws4_request */
    struct buffer headers;        /* without the last newline */
    struct buffer signed_headers; /* their names */
    struct buffer query;
    struct buffer request; /* the whole */
};

/*
 * Step 1. expires_seconds is 0 unless the request is presigned. False when it cannot be signed.
 * Free `s` in both cases.
 */
bool sigv4_canonicalize(struct sigv4_canonical *s, const struct sigv4_request *r,
                        const struct sigv4_keys *keys, int64_t expires_seconds);
void sigv4_canonical_free(struct sigv4_canonical *s);

/* Step 2: appends the string to sign to `out`. False when it cannot be made. */
bool sigv4_string_to_sign(const struct sigv4_request *r, const char *canonical_request,
                          struct buffer *out);

#endif
