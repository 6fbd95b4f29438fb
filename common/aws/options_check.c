#include "common/aws/options_check.h"

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

/* The SDKs refuse it, too: an endpoint of one's own has no such variants. */
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

/*
 * Whether the profile gives a region or endpoints, or the instance metadata may give a region (they
 * are asked at run time only). Files that cannot be read yet may appear later.
 */
static bool may_be_found(const struct aws_options *o) {
    struct profiles files;
    char detail[512];
    if (imds_is_likely(o) || !shared_files_read(o, &files, detail, sizeof detail))
        return true;
    const char *profile = shared_files_profile(o);
    bool found = profiles_value(&files, profile, "region") != NULL ||
                 profiles_value(&files, profile, "endpoint_url") != NULL ||
                 profiles_value(&files, profile, "services") != NULL;
    profiles_free(&files);
    return found;
}

/* AWS's own endpoints need a region: it is a part of their host names. */
static void check_region_is_known(const struct aws_options *o, bool calls_athena,
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

/* A default goes by the rules for the same field of a request, those of common/model/query.h. */
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
    check_region_is_known(o, calls_athena, faults);
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

/*
 * Whether the region of the MSK cluster can be known. us-east-1, the fallback of
 * aws_options_region(), does not count: it would be a guess about the cluster.
 */
static bool knows_region(const struct aws_options *o) {
    struct profiles files;
    char detail[512];
    if (o->region != NULL || o->default_region != NULL)
        return true;
    if (!shared_files_read(o, &files, detail, sizeof detail))
        return true;
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
