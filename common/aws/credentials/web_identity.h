/*
 * The credentials of a role by a web identity (IRSA): AssumeRoleWithWebIdentity with the token in a
 * file. The file is read again at each fetch, because its writer replaces the token.
 */
#ifndef COMMON_AWS_CREDENTIALS_WEB_IDENTITY_H
#define COMMON_AWS_CREDENTIALS_WEB_IDENTITY_H

#include "common/aws/credentials/fetch.h"

/* See common/aws/credentials/fetch.h. The strings are copied; session_name may be NULL. */
struct fetch *web_identity_start(const struct fetch_context *ctx, const char *token_file,
                                 const char *role_arn, const char *session_name,
                                 struct fetch_result *now, fetch_done_fn *fn, void *arg);

/*
 * The same with AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN and AWS_ROLE_SESSION_NAME. NOT_CONFIGURED
 * where the first is not set.
 */
struct fetch *web_identity_environment_start(const struct fetch_context *ctx,
                                             struct fetch_result *now, fetch_done_fn *fn,
                                             void *arg);

#endif
