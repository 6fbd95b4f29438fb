/*
 * A role by a web identity (IRSA): AssumeRoleWithWebIdentity with the token of a file, which is
 * read again at each fetch, as whoever writes it replaces it.
 */
#ifndef COMMON_AWS_CREDENTIALS_WEB_IDENTITY_H
#define COMMON_AWS_CREDENTIALS_WEB_IDENTITY_H

#include "common/aws/credentials/fetch.h"

/* The strings are copied; session_name may be NULL. */
struct fetch *web_identity_start(const struct fetch_context *ctx, const char *token_file,
                                 const char *role_arn, const char *session_name,
                                 struct fetch_result *now, fetch_done_fn *fn, void *arg);

/*
 * AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN and AWS_ROLE_SESSION_NAME; NOT_CONFIGURED where the
 * first is not set.
 */
struct fetch *web_identity_environment_start(const struct fetch_context *ctx,
                                             struct fetch_result *now, fetch_done_fn *fn,
                                             void *arg);

#endif
