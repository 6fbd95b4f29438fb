/*
 * Credentials of a role: AssumeRole and AssumeRoleWithWebIdentity of STS.
 */
#ifndef COMMON_AWS_CREDENTIALS_STS_ASSUME_H
#define COMMON_AWS_CREDENTIALS_STS_ASSUME_H

#include <stdbool.h>
#include <stddef.h>

#include "common/aws/credentials/fetch.h"

/* All borrowed; NULL = not given. */
struct sts_assume {
    const char *role_arn;     /* required */
    const char *session_name; /* NULL: athena-query */
    const char *external_id;
    const char *duration_s; /* as text */
    const char *web_token;  /* given: AssumeRoleWithWebIdentity, unsigned; else AssumeRole */
};

/* What is wrong with it, by the limits of the API reference; NULL: nothing (pure). */
const char *sts_assume_fault(const struct sts_assume *a);

/*
 * See common/aws/credentials/fetch.h; never fails at once. The call is signed with `base`, which is
 * copied, as is what `assume` points to.
 */
struct fetch *sts_assume_start(const struct fetch_context *ctx, const struct sts_assume *assume,
                               const struct credentials *base, fetch_done_fn *fn, void *arg);

/*
 * The credentials in an answer to AssumeRole or, for `web_identity`, AssumeRoleWithWebIdentity
 * (pure); the caller wipes `out`. On false `out` is left alone and `detail` says why.
 */
bool sts_read_credentials(const char *xml, size_t n, bool web_identity, struct credentials *out,
                          char *detail, size_t detail_size);

#endif
