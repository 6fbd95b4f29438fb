/*
 * AWS Signature Version 4, for signed headers and for presigned queries alike (pure).
 *
 * After "AWS Signature Version 4 for API requests" in the IAM User Guide. Held against AWS's own
 * vectors (aws-c-auth) and against botocore. Nothing here reads a clock or an environment, and
 * nothing is kept between calls, so any thread may call.
 *
 * A function returns false when the request cannot be signed: a header without a name, a time
 * outside the years 1000 to 9999, an expiry below 1, a canonical request or an Authorization
 * above SIGV4_CANONICAL_MAX bytes, a buffer that overflowed, or an OpenSSL that refuses to hash.
 */
#ifndef COMMON_AWS_SIGV4_H
#define COMMON_AWS_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

/* Without the body, of which only the hash counts. */
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
    const char *path; /* as it goes on the wire; "" is "/" */
    const char
        *query; /* as it goes on the wire, without '?'; NULL or "" is none. A '+' is a plus */
    const struct sigv4_header *headers; /* all that are to be signed, host included; none of
                                           x-amz-date and x-amz-security-token: those are added */
    size_t header_count;
    const void *body; /* NULL with body_len 0: the empty body */
    size_t body_len;
    const char *region;
    const char *service;
    int64_t time;   /* seconds since the epoch */
    bool keep_path; /* sign . and .. and // as they are, which no service we call wants */
};

/* What a caller adds to its request, besides x-amz-security-token when it has one. */
struct sigv4_signed {
    char date[17];       /* x-amz-date, 20260102T030405Z */
    char *authorization; /* owned */
    char signature[65];  /* lower-case hex */
};

/* On false `out` is zeroed. Free with sigv4_signed_free(), which takes a zeroed one too. */
bool sigv4_sign_headers(const struct sigv4_request *r, const struct sigv4_keys *keys,
                        struct sigv4_signed *out);
void sigv4_signed_free(struct sigv4_signed *s);

/*
 * Presigns: appends the whole canonical query string with X-Amz-Signature at its end to `out`.
 * Only what is in r->headers is signed. `out` may hold a part of it on false.
 */
bool sigv4_presign(const struct sigv4_request *r, const struct sigv4_keys *keys,
                   int64_t expires_seconds, struct buffer *out);

/*
 * The steps, for tests and for debugging; each appends to `out`. The canonical request is that of
 * sigv4_presign() with these expires_seconds, or that of sigv4_sign_headers() when they are 0.
 */
bool sigv4_canonical_request(const struct sigv4_request *r, const struct sigv4_keys *keys,
                             int64_t expires_seconds, struct buffer *out);
bool sigv4_string_to_sign(const struct sigv4_request *r, const char *canonical_request,
                          struct buffer *out);

#endif
