#include "common/aws/options.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/aws/credentials/imds.h"
#include "common/aws/endpoint.h"
#include "common/aws/shared_files.h"
#include "common/model/query.h"

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

static void check_region(const char *variable, const char *region, struct buffer *faults) {
    if (region != NULL && !aws_options_is_region(region))
        buffer_printf(faults, "%s: must be a region like eu-central-1, not \"%s\"\n", variable,
                      region);
}

static void check_endpoint(const char *variable, const char *url, struct buffer *faults) {
    struct aws_endpoint endpoint;
    char detail[128];
    if (url == NULL)
        return;
    if (aws_endpoint_read(url, &endpoint, detail, sizeof detail))
        aws_endpoint_free(&endpoint);
    else
        buffer_printf(faults, "%s: %s\n", variable, detail);
}

/* The SDKs refuse it too: what is asked for cannot be had there. */
static void check_variant(const char *variable, bool wanted, const struct aws_options *o,
                          struct buffer *faults) {
    const char *own = o->endpoint != NULL              ? "AWS_ENDPOINT_URL"
                      : o->endpoint_athena != NULL     ? "AWS_ENDPOINT_URL_ATHENA"
                      : o->endpoint_cloudwatch != NULL ? "AWS_ENDPOINT_URL_CLOUDWATCH"
                      : o->endpoint_sts != NULL        ? "AWS_ENDPOINT_URL_STS"
                                                       : NULL;
    if (wanted && own != NULL)
        buffer_printf(faults, "%s: cannot be had together with %s\n", variable, own);
}

/* By the profile, or by the instance metadata, which is asked at run time only. */
static bool may_be_found(const struct aws_options *o) {
    struct profiles files;
    char detail[512];
    if (imds_is_likely(o) || !shared_files_read(o, &files, detail, sizeof detail))
        return true; /* files may come yet */
    const char *profile = shared_files_profile(o);
    bool found = profiles_value(&files, profile, "region") != NULL ||
                 profiles_value(&files, profile, "endpoint_url") != NULL ||
                 profiles_value(&files, profile, "services") != NULL;
    profiles_free(&files);
    return found;
}

/* Whether AWS's own endpoint, which has the region in its name, will be called. */
static void check_region_is_there(const struct aws_options *o, bool calls_athena,
                                  struct buffer *faults) {
    if (o->region != NULL || o->default_region != NULL || o->endpoint != NULL || may_be_found(o))
        return;
    if (calls_athena && o->endpoint_athena == NULL)
        buffer_puts(faults,
                    "AWS_REGION: is not set, and neither is AWS_DEFAULT_REGION, "
                    "AWS_ENDPOINT_URL or a profile's region: where Athena is, is not known\n");
    else if (o->cloudwatch && o->endpoint_cloudwatch == NULL)
        buffer_puts(faults,
                    "AWS_REGION: is not set, and neither is AWS_DEFAULT_REGION, "
                    "AWS_ENDPOINT_URL or a profile's region: where CloudWatch is, is not known\n");
}

/* A default must be what a request may choose: common/model/query.h has the rules. */
static void check_default(const char *variable, const char *field, const char *value,
                          const char *wanted, struct buffer *faults) {
    struct query query;
    struct buffer request;
    char detail[256];
    if (value == NULL)
        return;
    buffer_init(&request, 1024 * 1024);
    buffer_printf(&request, "{\"query\":\"SELECT 1\",\"%s\":", field);
    buffer_json_string(&request, value, strlen(value));
    buffer_putc(&request, '}');
    if (request.failed ||
        !query_read(buffer_text(&request), request.len, &query, detail, sizeof detail))
        buffer_printf(faults, "%s: must be %s\n", variable, wanted);
    if (!request.failed)
        query_free(&query);
    buffer_free(&request);
}

static bool holds_certificate(const char *path) {
    X509_STORE *store = X509_STORE_new();
    bool ok = store != NULL && X509_STORE_load_file(store, path) == 1;
    X509_STORE_free(store);
    ERR_clear_error();
    return ok;
}

static void check_ca_bundle(const char *path, struct buffer *faults) {
    if (path == NULL)
        return;
    if (access(path, R_OK) != 0)
        buffer_printf(faults, "AWS_CA_BUNDLE: %s cannot be read: %s\n", path, strerror(errno));
    else if (!holds_certificate(path))
        buffer_printf(faults, "AWS_CA_BUNDLE: %s holds no certificate in PEM\n", path);
}

void aws_options_check(const struct aws_options *o, bool calls_athena, struct buffer *faults) {
    check_region("AWS_REGION", o->region, faults);
    check_region("AWS_DEFAULT_REGION", o->default_region, faults);
    check_region_is_there(o, calls_athena, faults);
    check_endpoint("AWS_ENDPOINT_URL", o->endpoint, faults);
    check_endpoint("AWS_ENDPOINT_URL_ATHENA", o->endpoint_athena, faults);
    check_endpoint("AWS_ENDPOINT_URL_CLOUDWATCH", o->endpoint_cloudwatch, faults);
    check_variant("AWS_USE_FIPS_ENDPOINT", o->fips, o, faults);
    check_variant("AWS_USE_DUALSTACK_ENDPOINT", o->dual_stack, o, faults);
    check_endpoint("AWS_ENDPOINT_URL_STS", o->endpoint_sts, faults);
    check_endpoint("AWS_EC2_METADATA_SERVICE_ENDPOINT", o->credentials.imds_endpoint, faults);
    check_ca_bundle(o->ca_bundle, faults);
    check_default("ATHENA_DATABASE", "database", o->database, "a name of 1 to 255 characters",
                  faults);
    check_default("ATHENA_CATALOG", "catalog", o->catalog,
                  "a name of 1 to 256 characters, none of them a control character", faults);
    check_default("ATHENA_WORKGROUP", "workGroup", o->work_group,
                  "1 to 128 of the characters a-z A-Z 0-9 . _ -", faults);
    check_default("ATHENA_OUTPUT_LOCATION", "outputLocation", o->output_location,
                  "s3://bucket/prefix/ with a valid bucket name, of at most 1024 bytes", faults);
}

/* us-east-1, which stands in where there is an endpoint of our own, would be a guess here. */
static bool knows_region(const struct aws_options *o) {
    struct profiles files;
    char detail[512];
    if (o->region != NULL || o->default_region != NULL)
        return true;
    if (!shared_files_read(o, &files, detail, sizeof detail))
        return true; /* files may come yet */
    const char *profile = shared_files_profile(o);
    bool own = o->endpoint != NULL || o->endpoint_athena != NULL ||
               o->endpoint_cloudwatch != NULL || o->endpoint_sts != NULL ||
               profiles_value(&files, profile, "endpoint_url") != NULL ||
               profiles_value(&files, profile, "services") != NULL;
    bool found = profiles_value(&files, profile, "region") != NULL || (!own && imds_is_likely(o));
    profiles_free(&files);
    return found;
}

void aws_options_check_msk(const struct aws_options *o, struct buffer *faults) {
    if (!knows_region(o))
        buffer_puts(faults, "AWS_REGION: is not set, and neither is AWS_DEFAULT_REGION or a "
                            "profile's region: KAFKA_SASL_MECHANISM=AWS_MSK_IAM needs the "
                            "cluster's region\n");
}
