#include "common/aws/options.h"

#include <string.h>

#include "common/aws/endpoint.h"

#define AT(field) offsetof(struct aws_options, field)

static const struct option rows[] = {
    {"AWS_REGION", OPTION_STRING, AT(region), NULL,
     "The region; else the profile's or the instance's; us-east-1 where an AWS_ENDPOINT_URL… is set.",
     0, 0, NULL},
    {"AWS_DEFAULT_REGION", OPTION_STRING, AT(default_region), NULL,
     "Taken where AWS_REGION is not set.", 0, 0, NULL},
    {"AWS_ENDPOINT_URL", OPTION_STRING, AT(endpoint), NULL,
     "In place of AWS's own endpoints; http is for stand-ins only.", 0, 0, NULL},
    {"AWS_ENDPOINT_URL_ATHENA", OPTION_STRING, AT(endpoint_athena), NULL,
     "The same for Athena alone; goes before AWS_ENDPOINT_URL.", 0, 0, NULL},
    {"AWS_ENDPOINT_URL_CLOUDWATCH", OPTION_STRING, AT(endpoint_cloudwatch), NULL,
     "The same for CloudWatch alone.", 0, 0, NULL},
    {"AWS_USE_FIPS_ENDPOINT", OPTION_BOOL, AT(fips), "off",
     "Whether AWS's FIPS 140 endpoints are called; not with an AWS_ENDPOINT_URL….", 0, 0, NULL},
    {"AWS_USE_DUALSTACK_ENDPOINT", OPTION_BOOL, AT(dual_stack), "off",
     "Whether AWS's endpoints for IPv4 and IPv6 are called; not with an AWS_ENDPOINT_URL….", 0, 0,
     NULL},
    {"AWS_ENDPOINT_URL_STS", OPTION_STRING, AT(endpoint_sts), NULL,
     "The same for STS alone, where roles are assumed.", 0, 0, NULL},
    {"AWS_CA_BUNDLE", OPTION_STRING, AT(ca_bundle), NULL,
     "A PEM file of the certificate authorities to trust, in place of the system's.", 0, 0, NULL},
    {"AWS_ACCESS_KEY_ID", OPTION_STRING, AT(credentials.access_key_id), NULL,
     "Credentials; where it is not set they are looked for as the AWS SDKs do.", 0, 0, NULL},
    {"AWS_SECRET_ACCESS_KEY", OPTION_STRING, AT(credentials.secret_access_key), NULL,
     "The secret of AWS_ACCESS_KEY_ID.", 0, 0, NULL},
    {"AWS_SESSION_TOKEN", OPTION_STRING, AT(credentials.session_token), NULL,
     "The session token of AWS_ACCESS_KEY_ID, where it is temporary.", 0, 0, NULL},
    {"AWS_PROFILE", OPTION_STRING, AT(credentials.profile), NULL,
     "The profile of the shared files; not set: default.", 0, 0, NULL},
    {"AWS_CONFIG_FILE", OPTION_STRING, AT(credentials.config_file), NULL,
     "The shared config file; not set: ~/.aws/config.", 0, 0, NULL},
    {"AWS_SHARED_CREDENTIALS_FILE", OPTION_STRING, AT(credentials.credentials_file), NULL,
     "The shared credentials file; not set: ~/.aws/credentials.", 0, 0, NULL},
    {"AWS_WEB_IDENTITY_TOKEN_FILE", OPTION_STRING, AT(credentials.web_identity_token_file), NULL,
     "A file with a web identity's token, with which AWS_ROLE_ARN is assumed.", 0, 0, NULL},
    {"AWS_ROLE_ARN", OPTION_STRING, AT(credentials.role_arn), NULL,
     "The role of AWS_WEB_IDENTITY_TOKEN_FILE.", 0, 0, NULL},
    {"AWS_ROLE_SESSION_NAME", OPTION_STRING, AT(credentials.role_session_name), NULL,
     "The session name of a role whose profile has none; not set: athena-query.", 0, 0, NULL},
    {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", OPTION_STRING,
     AT(credentials.container_relative_uri), NULL,
     "The path of a container's credentials at ECS's endpoint.", 0, 0, NULL},
    {"AWS_CONTAINER_CREDENTIALS_FULL_URI", OPTION_STRING, AT(credentials.container_full_uri), NULL,
     "The URL of a container's credentials, of EKS Pod Identity and others.", 0, 0, NULL},
    {"AWS_CONTAINER_AUTHORIZATION_TOKEN", OPTION_STRING, AT(credentials.container_token), NULL,
     "What is sent there as Authorization.", 0, 0, NULL},
    {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", OPTION_STRING, AT(credentials.container_token_file),
     NULL, "A file with the same, read at each refresh.", 0, 0, NULL},
    {"AWS_EC2_METADATA_DISABLED", OPTION_BOOL, AT(credentials.imds_disabled), "false",
     "Whether the instance metadata service is left alone.", 0, 0, NULL},
    {"AWS_EC2_METADATA_SERVICE_ENDPOINT", OPTION_STRING, AT(credentials.imds_endpoint), NULL,
     "Where the instance metadata service is; not set: http://169.254.169.254/.", 0, 0, NULL},
};

static const struct option athena_rows[] = {
    {"ATHENA_DATABASE", OPTION_STRING, AT(database), "default",
     "The database of a query that names none.", 0, 0, NULL},
    {"ATHENA_CATALOG", OPTION_STRING, AT(catalog), NULL,
     "The data catalog of a query that names none; not set: Athena's own default.", 0, 0, NULL},
    {"ATHENA_WORKGROUP", OPTION_STRING, AT(work_group), "primary",
     "The workgroup of a query that names none.", 0, 0, NULL},
    {"ATHENA_OUTPUT_LOCATION", OPTION_STRING, AT(output_location), NULL,
     "Where results go, s3://bucket/prefix/; not set: where the workgroup says.", 0, 0, NULL},
    {"CLOUDWATCH_METRICS", OPTION_BOOL, AT(cloudwatch), "off",
     "Whether the counters are sent to CloudWatch.", 0, 0, NULL},
    {"CLOUDWATCH_INTERVAL_MS", OPTION_INTEGER, AT(cloudwatch_interval_ms), "60000",
     "How often they are sent.", 100, 3600000, NULL},
};

const struct option_table options_aws = {
    .rows = rows,
    .count = sizeof rows / sizeof *rows,
};
const struct option_table options_athena = {
    .rows = athena_rows,
    .count = sizeof athena_rows / sizeof *athena_rows,
};

const char *aws_options_region(const struct aws_options *o) {
    if (o->region != NULL)
        return o->region;
    if (o->default_region != NULL)
        return o->default_region;
    bool own = o->endpoint != NULL || o->endpoint_athena != NULL || o->endpoint_cloudwatch != NULL;
    return own ? "us-east-1" : NULL;
}

unsigned aws_options_variant(const struct aws_options *o) {
    return (o->fips ? AWS_ENDPOINT_FIPS : 0u) | (o->dual_stack ? AWS_ENDPOINT_DUAL_STACK : 0u);
}

bool aws_options_is_region(const char *region) {
    size_t n = strlen(region);
    return n > 0 && n <= 63 && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}
