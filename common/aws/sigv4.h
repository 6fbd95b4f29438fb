/*
 * AWS Signature Version 4, in signed headers and in presigned queries (pure).
 *
 * After "AWS Signature Version 4 for API requests" in the IAM User Guide. Tests compare it with
 * AWS's own vectors (aws-c-auth) and with botocore. It reads no clock and no environment and keeps
 * nothing between calls, so any thread may call.
 *
 * A function returns false when the request cannot be signed: a header without a name, a time
 * outside the years 1000 to 9999, an expiry below 1, a canonical request or an Authorization
 * above SIGV4_CANONICAL_MAX bytes, a full output buffer, or an OpenSSL that refuses to hash.
 */
#ifndef COMMON_AWS_SIGV4_H
#define COMMON_AWS_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/sigv4_canonical.h"
#include "common/base/buffer.h"

/* The headers that a caller adds to its request, beside x-amz-security-token where it has one. */
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
 * Presigns: appends the canonical query string, with X-Amz-Signature at its end, to `out`. Of the
 * headers only those in r->headers are signed. On false `out` may hold a part of it.
 */
bool sigv4_presign(const struct sigv4_request *r, const struct sigv4_keys *keys,
                   int64_t expires_seconds, struct buffer *out);

/*
 * Appends the canonical request to `out`, for tests and debugging: that of sigv4_presign() with
 * these expires_seconds, or that of sigv4_sign_headers() where they are 0.
 */
bool sigv4_canonical_request(const struct sigv4_request *r, const struct sigv4_keys *keys,
                             int64_t expires_seconds, struct buffer *out);

#endif
