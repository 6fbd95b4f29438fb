/*
 * AWS Signature Version 4, for signed headers and for presigned queries alike (pure).
 *
 * After "AWS Signature Version 4 for API requests" in the IAM User Guide. Held against AWS's own
 * vectors (aws-c-auth) and against botocore. Nothing here reads a clock or an environment.
 */
#ifndef COMMON_AWS_SIGV4_H
#define COMMON_AWS_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

/* Borrowed strings. session_token may be NULL. */
struct sigv4_keys {
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token;
};

struct sigv4_header {
    const char *name;
    const char *value;
};

struct sigv4_request {
    const char *method;
    const char *path;  /* as it goes on the wire, with or without percent escapes; "" = "/" */
    const char *query; /* as it goes on the wire, without '?'; NULL or "" = none */
    const struct sigv4_header *headers; /* all that are to be signed, host included; no x-amz-date,
                                           no x-amz-security-token: those are added */
    size_t header_count;
    const void *body; /* NULL with body_len 0: the empty body */
    size_t body_len;
    const char *region;
    const char *service;
    int64_t time; /* seconds since the epoch */
    /* The vectors need both; every AWS service but S3 wants both true. */
    bool normalize_path;     /* resolve . and .. and // */
    bool double_encode_path; /* percent-encode what is already encoded */
    bool token_after_signing; /* the session token is added unsigned (one vector asks for it) */
};

/* What a caller adds to its request. */
struct sigv4_signed {
    char date[17];         /* x-amz-date, 20260102T030405Z */
    char *authorization;   /* owned */
    char signature[65];    /* lower-case hex */
};

/* The steps, for the vectors and for debugging. Appended to buffers; false when one overflowed. */
bool sigv4_canonical_request(const struct sigv4_request *r, const struct sigv4_keys *keys,
                             struct buffer *out);

bool sigv4_sign_headers(const struct sigv4_request *r, const struct sigv4_keys *keys,
                        struct sigv4_signed *out);
void sigv4_signed_free(struct sigv4_signed *s);

/*
 * Presigns: appends the whole canonical query string with X-Amz-Signature at its end to `out`.
 * Only what is in r->headers is signed.
 */
bool sigv4_presign(const struct sigv4_request *r, const struct sigv4_keys *keys,
                   int64_t expires_seconds, struct buffer *out);

#endif
