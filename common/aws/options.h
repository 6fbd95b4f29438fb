/*
 * The options of what calls AWS: in the tables of each program, with aws_options_check() in its
 * check.
 */
#ifndef COMMON_AWS_OPTIONS_H
#define COMMON_AWS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/options.h"

/* The variables of the SDKs that tell of credentials; docs/credentials.md says in which order. */
struct aws_credential_options {
    const char *access_key_id, *secret_access_key, *session_token; /* credentials_environment() */
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
 * AWS_…, of a struct aws_options: in all programs, for the receiver with
 * KAFKA_SASL_MECHANISM=AWS_MSK_IAM only.
 */
extern const struct option_table options_aws;
/* ATHENA_… and CLOUDWATCH_…, of the same struct. */
extern const struct option_table options_athena;

/*
 * Faults, a line each; `calls_athena`: whether the program needs to know where Athena is. Reads
 * whether AWS_CA_BUNDLE holds a certificate.
 */
void aws_options_check(const struct aws_options *o, bool calls_athena, struct buffer *faults);
/* The same where Kafka is signed in to with AWS_MSK_IAM, which signs for a region. */
void aws_options_check_msk(const struct aws_options *o, struct buffer *faults);

/*
 * AWS_REGION, else AWS_DEFAULT_REGION, else us-east-1 where there is an endpoint of our own (its
 * signatures need some region); else NULL, which aws_options_check() complains of.
 */
const char *aws_options_region(const struct aws_options *o);

/* For aws_endpoint_of_region(). */
unsigned aws_options_variant(const struct aws_options *o);

/* Whether it may be a region: it becomes a part of a host's name. */
bool aws_options_is_region(const char *region);

#endif
