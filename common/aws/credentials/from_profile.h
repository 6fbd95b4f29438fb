/*
 * Credentials of the profile: AWS_PROFILE, else `default`.
 *
 * The profile is two sources, because in the SDKs' order the web identity of the environment comes
 * between them. Each reads the shared files again. It is BROKEN, and not NOT_CONFIGURED, where a
 * variable names a file that does not exist, or AWS_PROFILE a profile that neither file has.
 */
#ifndef COMMON_AWS_CREDENTIALS_FROM_PROFILE_H
#define COMMON_AWS_CREDENTIALS_FROM_PROFILE_H

#include "common/aws/credentials/fetch.h"

/* A profile with role_arn and source_profile or credential_source: AssumeRole. */
struct fetch *profile_role_start(const struct fetch_context *ctx, struct fetch_result *now,
                                 fetch_done_fn *fn, void *arg);

/*
 * The first that the profile has of: role_arn with web_identity_token_file; keys in the credentials
 * file; credential_process; keys in the config file. A profile of SSO is BROKEN: not supported.
 */
struct fetch *profile_start(const struct fetch_context *ctx, struct fetch_result *now,
                            fetch_done_fn *fn, void *arg);

#endif
