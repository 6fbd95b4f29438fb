/*
 * The Security Token Service: the Query protocol, Version 2011-06-15, form in and XML out.
 */
#ifndef COMMON_AWS_CREDENTIALS_STS_H
#define COMMON_AWS_CREDENTIALS_STS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/credentials/fetch.h"

struct sts_reply {
    bool ok;         /* status 200: `xml` is the answer */
    const char *xml; /* valid during the call of `fn` */
    size_t xml_len;
    int64_t date;            /* seconds since the epoch, -1: none */
    const char *code;        /* of an error, "" where it has none */
    const char *explanation; /* of what went wrong, in a sentence, without a secret */
};

typedef void sts_done_fn(void *arg, const struct sts_reply *reply);

/*
 * POSTs `form`; `sign_with` NULL: unsigned; both are copied. Tries three times where that may help,
 * a wrong clock included. Never calls back from within, and once from the loop unless cancelled;
 * the call is gone when `fn` returns.
 */
struct sts_call;
struct sts_call *sts_start(const struct fetch_context *ctx, const char *form,
                           const struct credentials *sign_with, sts_done_fn *fn, void *arg);
void sts_cancel(struct sts_call *call); /* NULL is fine */

/* --- roles ------------------------------------------------------------------------------------ */

/* All borrowed; NULL = not given. */
struct sts_assume {
    const char *role_arn;
    const char *session_name; /* NULL: athena-query, always the same */
    const char *external_id;
    const char *duration_s; /* as text */
    const char *web_token;  /* AssumeRoleWithWebIdentity, which is unsigned; else AssumeRole */
};

/* What is wrong with it; NULL: nothing (pure). */
const char *sts_assume_fault(const struct sts_assume *a);

/* Fetches the role's credentials, signed with `base`, which is copied. */
struct fetch *sts_assume_start(const struct fetch_context *ctx, const struct sts_assume *assume,
                               const struct credentials *base, fetch_done_fn *fn, void *arg);

/* The credentials in an answer to AssumeRole[WithWebIdentity] (pure). */
bool sts_read_credentials(const char *xml, size_t n, bool web_identity, struct credentials *out,
                          char *detail, size_t detail_size);

#endif
