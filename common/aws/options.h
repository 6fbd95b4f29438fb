/*
 * The options of a program that calls AWS: `options_aws` is one of its tables, and its check calls
 * those of common/aws/options_check.h.
 */
#ifndef COMMON_AWS_OPTIONS_H
#define COMMON_AWS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/options.h"

/* The SDKs' variables for credentials; docs/credentials.md has the order in which they count. */
struct aws_credential_options {
    /* For --help only: credentials/environment.h reads these three by itself. */
    const char *access_key_id, *secret_access_key, *session_token;
    const char *profile, *credentials_file, *config_file;
    const char *web_identity_token_file, *role_arn, *role_session_name;
    const char *container_relative_uri, *container_full_uri, *container_token,
        *container_token_file;
    bool imds_disabled;
    const char *imds_endpoint;
};

/* Strings are borrowed; NULL = not set. */
struct aws_options {
    const char *region, *default_region; /* read with aws_options_region() */
    const char *endpoint, *endpoint_athena, *endpoint_cloudwatch, *endpoint_sts;
    bool fips, dual_stack; /* of AWS's own endpoints: aws_options_variant() */
    const char *ca_bundle;
    const char *database, *catalog, *work_group, *output_location; /* ATHENA_… */
    bool cloudwatch;                                               /* CLOUDWATCH_METRICS */
    int64_t cloudwatch_interval_ms;
    struct aws_credential_options credentials;
};

/*
 * AWS_…, of a struct aws_options: of all programs; of the receiver only with
 * KAFKA_SASL_MECHANISM=AWS_MSK_IAM.
 */
extern const struct option_table options_aws;
/* ATHENA_… and CLOUDWATCH_…, of the same struct. */
extern const struct option_table options_athena;

/*
 * AWS_REGION, else AWS_DEFAULT_REGION, else us-east-1 where an AWS_ENDPOINT_URL… is set (signatures
 * need some region); else NULL. Without the profile's and the instance's: common/aws/region.h.
 */
const char *aws_options_region(const struct aws_options *o);

/* For aws_endpoint_of_region(). */
unsigned aws_options_variant(const struct aws_options *o);

/* Whether it may be the name of a region, which becomes a part of a host name. */
bool aws_options_is_region(const char *region);

#endif
