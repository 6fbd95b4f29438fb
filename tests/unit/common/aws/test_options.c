/* Faults of the options of AWS, regions, and endpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/aws/endpoint.h"
#include "common/aws/options.h"
#include "common/aws/options_check.h"

static struct aws_options sound(void) {
    return (struct aws_options){.region = "eu-central-1",
                                .database = "default",
                                .work_group = "primary",
                                .cloudwatch_interval_ms = 60000};
}

static void assert_faults(const struct aws_options *o, bool calls_athena, const char *begins) {
    struct buffer faults;
    buffer_init(&faults, 65536);
    aws_options_check(o, calls_athena, &faults);
    const char *text = buffer_text(&faults);
    size_t lines = 0;
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    if (lines != (begins != NULL) || (begins != NULL && strncmp(text, begins, strlen(begins)) != 0))
        fail_msg("faults \"%s\", expected one of %s", text, begins != NULL ? begins : "none");
    buffer_free(&faults);
}

#define CHECK(field, value, begins)                                                                \
    do {                                                                                           \
        struct aws_options o = sound();                                                            \
        o.field = value;                                                                           \
        assert_faults(&o, true, begins);                                                           \
    } while (0)

static void test_values(void **state) {
    (void)state;
    CHECK(region, "us-gov-west-1", NULL);
    CHECK(region, "us east 1", "AWS_REGION: ");
    CHECK(region, "evil.example/", "AWS_REGION: ");
    CHECK(default_region, "EU", "AWS_DEFAULT_REGION: ");
    CHECK(endpoint, "http://localhost:4566", NULL);
    CHECK(endpoint, "localhost:4566", "AWS_ENDPOINT_URL: ");
    CHECK(endpoint_athena, "ftp://localhost", "AWS_ENDPOINT_URL_ATHENA: ");
    CHECK(endpoint_cloudwatch, "http://", "AWS_ENDPOINT_URL_CLOUDWATCH: ");
    CHECK(ca_bundle, "/dev/null", "AWS_CA_BUNDLE: /dev/null holds no certificate in PEM");
    CHECK(ca_bundle, "/", "AWS_CA_BUNDLE: / holds no certificate in PEM");
    CHECK(fips, true, NULL);
    CHECK(dual_stack, true, NULL);
    CHECK(ca_bundle, "/no/such/file", "AWS_CA_BUNDLE: ");
    CHECK(database, "a \"quoted\" name", NULL);
    CHECK(database, "\xff", "ATHENA_DATABASE: ");
    CHECK(catalog, "AwsDataCatalog", NULL);
    CHECK(catalog, "a\x01", "ATHENA_CATALOG: ");
    CHECK(work_group, "team-1_a.b", NULL);
    CHECK(work_group, "team 1", "ATHENA_WORKGROUP: ");
    CHECK(output_location, "s3://bucket", NULL);
    CHECK(output_location, "s3://bucket/a b/", NULL);
    CHECK(output_location, "https://bucket/", "ATHENA_OUTPUT_LOCATION: ");
    CHECK(output_location, "s3://b/", "ATHENA_OUTPUT_LOCATION: ");
}

static void test_regions(void **state) {
    (void)state;
    static const struct {
        struct aws_options o;
        bool calls_athena;
        const char *fault, *region;
    } cases[] = {
        {{.region = "a", .default_region = "b"}, true, NULL, "a"},
        {{.default_region = "b", .endpoint = "http://h"}, true, NULL, "b"},
        {{.region = NULL}, true, "AWS_REGION: ", NULL},
        {{.region = NULL}, false, NULL, NULL},
        {{.cloudwatch = true}, false, "AWS_REGION: ", NULL},
        {{.endpoint = "http://h", .cloudwatch = true}, true, NULL, "us-east-1"},
        {{.endpoint_athena = "http://h"}, true, NULL, "us-east-1"},
        {{.endpoint_athena = "http://h", .cloudwatch = true}, true, "AWS_REGION: ", "us-east-1"},
        {{.endpoint_cloudwatch = "http://h", .cloudwatch = true},
         true,
         "AWS_REGION: ",
         "us-east-1"},
        {{.endpoint_cloudwatch = "http://h", .cloudwatch = true}, false, NULL, "us-east-1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *region = aws_options_region(&cases[i].o);
        assert_faults(&cases[i].o, cases[i].calls_athena, cases[i].fault);
        if (cases[i].region == NULL)
            assert_null(region);
        else
            assert_string_equal(region, cases[i].region);
    }
}

/* What the SDKs refuse: a variant of an endpoint of one's own. */
static void test_variants(void **state) {
    (void)state;
    static const struct {
        struct aws_options o;
        const char *fault;
        unsigned variant;
    } cases[] = {
        {{.region = "a"}, NULL, 0},
        {{.region = "a", .fips = true}, NULL, AWS_ENDPOINT_FIPS},
        {{.region = "a", .dual_stack = true}, NULL, AWS_ENDPOINT_DUAL_STACK},
        {{.region = "a", .fips = true, .dual_stack = true}, NULL, 3},
        {{.fips = true, .endpoint = "http://h"},
         "AWS_USE_FIPS_ENDPOINT: cannot be had together with AWS_ENDPOINT_URL\n",
         1},
        {{.region = "a", .fips = true, .endpoint_athena = "http://h"},
         "AWS_USE_FIPS_ENDPOINT: cannot be had together with AWS_ENDPOINT_URL_ATHENA\n",
         1},
        {{.region = "a", .dual_stack = true, .endpoint_cloudwatch = "http://h"},
         "AWS_USE_DUALSTACK_ENDPOINT: cannot be had together with AWS_ENDPOINT_URL_CLOUDWATCH\n",
         2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_faults(&cases[i].o, true, cases[i].fault);
        assert_int_equal(aws_options_variant(&cases[i].o), cases[i].variant);
    }
}

static void test_every_fault_is_told(void **state) {
    (void)state;
    const struct aws_options o = {.endpoint = "x", .database = "\xff", .work_group = " "};
    struct buffer faults;
    buffer_init(&faults, 65536);
    aws_options_check(&o, true, &faults);
    assert_non_null(strstr(buffer_text(&faults), "AWS_ENDPOINT_URL: "));
    assert_non_null(strstr(buffer_text(&faults), "ATHENA_DATABASE: "));
    assert_non_null(strstr(buffer_text(&faults), "ATHENA_WORKGROUP: "));
    buffer_free(&faults);
}

/* The table, through the reader that the programs use. */
static void test_rows(void **state) {
    (void)state;
    static const struct option_part parts[] = {{&options_aws, 0}, {&options_athena, 0}, {NULL, 0}};
    const struct program program = {"test", "", parts, NULL};
    struct aws_options aws = {0};
    char *argv[] = {"test", NULL};
    for (size_t i = 0; i < options_aws.count; i++)
        unsetenv(options_aws.rows[i].name);
    for (size_t i = 0; i < options_athena.count; i++)
        unsetenv(options_athena.rows[i].name);
    setenv("AWS_REGION", "eu-west-1", 1);
    setenv("ATHENA_OUTPUT_LOCATION", "s3://bucket/", 1);
    setenv("CLOUDWATCH_METRICS", "on", 1);
    assert_int_equal(options_read(&program, 1, argv, &aws), OPTIONS_RUN);
    assert_string_equal(aws.region, "eu-west-1");
    assert_null(aws.endpoint);
    assert_string_equal(aws.database, "default");
    assert_null(aws.catalog);
    assert_string_equal(aws.work_group, "primary");
    assert_string_equal(aws.output_location, "s3://bucket/");
    assert_true(aws.cloudwatch);
    assert_int_equal(aws.cloudwatch_interval_ms, 60000);
    options_free(&program, &aws);
}

/* --- endpoints -------------------------------------------------------------------------------- */

static void test_endpoints(void **state) {
    (void)state;
    static const struct {
        const char *given, *url, *host, *path; /* url NULL: refused */
    } cases[] = {
        {"http://localhost:4566", "http://localhost:4566/", "localhost:4566", "/"},
        {"http://localhost:4566/", "http://localhost:4566/", "localhost:4566", "/"},
        {"http://h:80/", "http://h/", "h", "/"},
        {"https://h:443", "https://h/", "h", "/"},
        {"https://h:80", "https://h:80/", "h:80", "/"},
        {"http://[::1]:8000", "http://[::1]:8000/", "[::1]:8000", "/"},
        {"https://h/base/path", "https://h/base/path/", "h", "/base/path/"},
        {"https://h/base//", "https://h/base/", "h", "/base/"},
        {"", NULL, NULL, NULL},
        {"localhost", NULL, NULL, NULL},
        {"localhost:80", NULL, NULL, NULL},
        {"ftp://h/", NULL, NULL, NULL},
        {"file:///x", NULL, NULL, NULL},
        {"http://", NULL, NULL, NULL},
        {"http://h:0x50/", NULL, NULL, NULL},
        {"http://h:99999/", NULL, NULL, NULL},
        {"http://a b/", NULL, NULL, NULL},
        {"http://h\r\n/", NULL, NULL, NULL},
        {"http://u@h/", NULL, NULL, NULL},
        {"http://u:p@h/", NULL, NULL, NULL},
        {"http://h/?a", NULL, NULL, NULL},
        {"http://h/#a", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct aws_endpoint e;
        char detail[128] = "";
        bool ok = aws_endpoint_read(cases[i].given, &e, detail, sizeof detail);
        if (ok != (cases[i].url != NULL) || ok != (detail[0] == '\0'))
            fail_msg("%s: %d %s", cases[i].given, ok, detail);
        if (ok) {
            assert_string_equal(e.url, cases[i].url);
            assert_string_equal(e.host, cases[i].host);
            assert_string_equal(e.path, cases[i].path);
        }
        aws_endpoint_free(&e);
        aws_endpoint_free(&e);
    }
}

#define FIPS       AWS_ENDPOINT_FIPS
#define DUAL_STACK AWS_ENDPOINT_DUAL_STACK

/* tests/system/common/test_aws_endpoint.py holds more of them against botocore. */
static void test_endpoints_of_regions(void **state) {
    (void)state;
    static const struct {
        const char *prefix, *region;
        unsigned variant;
        const char *host;
    } cases[] = {
        {"athena", "us-east-1", 0, "athena.us-east-1.amazonaws.com"},
        {"athena", "us-gov-west-1", 0, "athena.us-gov-west-1.amazonaws.com"},
        {"athena", "cn-north-1", 0, "athena.cn-north-1.amazonaws.com.cn"},
        {"athena", "eusc-de-east-1", 0, "athena.eusc-de-east-1.amazonaws.eu"},
        {"athena", "us-iso-east-1", 0, "athena.us-iso-east-1.c2s.ic.gov"},
        {"athena", "us-isob-east-1", 0, "athena.us-isob-east-1.sc2s.sgov.gov"},
        {"athena", "eu-isoe-west-1", 0, "athena.eu-isoe-west-1.cloud.adc-e.uk"},
        {"athena", "us-isof-east-1", 0, "athena.us-isof-east-1.csp.hci.ic.gov"},
        {"athena", "us-east-1", FIPS, "athena-fips.us-east-1.amazonaws.com"},
        {"athena", "us-east-1", DUAL_STACK, "athena.us-east-1.api.aws"},
        {"athena", "us-east-1", FIPS | DUAL_STACK, "athena-fips.us-east-1.api.aws"},
        {"athena", "cn-north-1", DUAL_STACK, "athena.cn-north-1.api.amazonwebservices.com.cn"},
        {"athena", "us-gov-west-1", FIPS, "athena-fips.us-gov-west-1.amazonaws.com"},
        {"monitoring", "us-west-2", FIPS, "monitoring-fips.us-west-2.amazonaws.com"},
        {"monitoring", "us-gov-west-1", FIPS, "monitoring.us-gov-west-1.amazonaws.com"},
        {"monitoring", "us-gov-west-1", FIPS | DUAL_STACK, "monitoring.us-gov-west-1.api.aws"},
        {"sts", "us-west-2", FIPS, "sts-fips.us-west-2.amazonaws.com"},
        {"sts", "us-gov-west-1", FIPS, "sts.us-gov-west-1.amazonaws.com"},
        {"sts", "us-gov-west-1", FIPS | DUAL_STACK, "sts-fips.us-gov-west-1.api.aws"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct aws_endpoint e;
        aws_endpoint_of_region(cases[i].prefix, cases[i].region, cases[i].variant, &e);
        assert_string_equal(e.host, cases[i].host);
        assert_memory_equal(e.url, "https://", 8);
        assert_memory_equal(e.url + 8, e.host, strlen(e.host));
        assert_string_equal(e.url + 8 + strlen(e.host), "/");
        assert_string_equal(e.path, "/");
        aws_endpoint_free(&e);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_every_fault_is_told),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_endpoints_of_regions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
