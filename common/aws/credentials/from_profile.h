/*
 * Credentials of the profile: AWS_PROFILE, else `default`.
 *
 * Two places in the SDKs' order, as the web identity of the environment goes between them. Each
 * reads the files again. A variable that names a file that is not there, and an AWS_PROFILE that no
 * file has, are faults and not "not configured".
 */
#ifndef COMMON_AWS_CREDENTIALS_FROM_PROFILE_H
#define COMMON_AWS_CREDENTIALS_FROM_PROFILE_H

#include "common/aws/credentials/fetch.h"

/* role_arn with source_profile or credential_source: AssumeRole. */
struct fetch *profile_role_start(const struct fetch_context *ctx, struct fetch_result *now,
                                 fetch_done_fn *fn, void *arg);

/*
 * role_arn with web_identity_token_file; keys of the credentials file; credential_process; keys of
 * the config file. SSO is a fault that says that it is not supported.
 */
struct fetch *profile_start(const struct fetch_context *ctx, struct fetch_result *now,
                            fetch_done_fn *fn, void *arg);

#endif
