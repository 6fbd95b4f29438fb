/* Which region and endpoint are used, with shared files and an instance of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/aws/region.h"
#include "tests/unit/common/aws/credentials/fetch_fixture.h"

#define CONFIG                                                                                     \
    "[default]\nregion = eu-west-3\nendpoint_url = http://profile/\nservices = s\n"                \
    "[profile bare]\nkey = value\n"                                                                \
    "[profile odd]\nregion = not a region\n"                                                       \
    "[services s]\nathena =\n  endpoint_url = http://service/\n"

static void open_with(struct fetch_fixture *f, const struct stub_reply *script, size_t count,
                      const char *profile) {
    fixture_open(f, script, count);
    f->options.region = f->options.endpoint_sts = NULL;
    f->options.credentials.config_file = fixture_write(f, "config", CONFIG);
    f->options.credentials.profile = profile;
}

static void test_endpoints(void **state) {
    (void)state;
    static const struct {
        const char *own, *kafka, *profile, *id, *url;
    } cases[] = {
        {"http://own/", "http://common/", NULL, "athena", "http://own/"},
        {NULL, "http://common/", NULL, "athena", "http://common/"},
        {NULL, NULL, NULL, "athena", "http://service/"},
        {NULL, NULL, NULL, "cloudwatch", "http://profile/"},
        {NULL, NULL, "bare", "athena", "https://athena.eu-central-1.amazonaws.com/"},
        {NULL, "nonsense", NULL, "athena", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fetch_fixture f;
        open_with(&f, NULL, 0, cases[i].profile);
        f.options.region = "eu-central-1";
        f.options.endpoint = cases[i].kafka;
        fixture_ready(&f);
        struct aws_endpoint e;
        const char *region;
        char detail[256];
        bool found = aws_region_service_endpoint(f.region, cases[i].own, cases[i].id, "athena", &e,
                                                 &region, detail, sizeof detail);
        assert_int_equal(found, cases[i].url != NULL);
        if (found) {
            assert_string_equal(e.url, cases[i].url);
            assert_string_equal(region, "eu-central-1");
            aws_endpoint_free(&e);
        }
        fixture_close(&f);
    }
}

static void test_regions(void **state) {
    (void)state;
    static const struct {
        const char *region, *default_region, *endpoint, *profile, *expected;
    } cases[] = {
        {"a", "b", NULL, NULL, "a"},
        {NULL, "b", NULL, NULL, "b"},
        {NULL, NULL, "http://x/", NULL, "eu-west-3"}, /* the profile goes before us-east-1 */
        {NULL, NULL, "http://x/", "bare", "us-east-1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fetch_fixture f;
        const char *why;
        open_with(&f, NULL, 0, cases[i].profile);
        f.options.region = cases[i].region;
        f.options.default_region = cases[i].default_region;
        f.options.endpoint = cases[i].endpoint;
        fixture_ready(&f);
        assert_string_equal(aws_region_name(f.region, &why), cases[i].expected);
        assert_int_equal(f.stub.connection_count, 0);
        fixture_close(&f);
    }
}

static bool region_is_known(void *arg) {
    const char *why;
    return aws_region_name(((struct fetch_fixture *)arg)->region, &why) != NULL;
}

static bool is_not_asking(void *arg) {
    return !aws_region_is_pending(((struct fetch_fixture *)arg)->region);
}

static void test_region_of_the_instance(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = "token"}, {.body = "ap-south-1\n"}};
    struct fetch_fixture f;
    const char *why;
    open_with(&f, script, 2, "bare");
    fixture_ready(&f);
    assert_null(aws_region_name(f.region, &why));
    assert_non_null(strstr(why, "AWS_REGION"));
    assert_non_null(strstr(why, "profile bare"));
    assert_true(stub_run_until(f.loop, region_is_known, &f));
    assert_string_equal(aws_region_name(f.region, &why), "ap-south-1");
    assert_int_equal(f.stub.request_count, 2);
    fixture_close(&f);
}

/* The second attempt waits, however often it is asked; STS has an endpoint without a region. */
static void test_no_region(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 403}};
    struct fetch_fixture f;
    const char *why, *region;
    struct aws_endpoint e;
    char detail[256];
    open_with(&f, script, 1, "odd");
    fixture_ready(&f);
    assert_null(aws_region_name(f.region, &why));
    assert_true(stub_run_until(f.loop, is_not_asking, &f));
    for (int i = 0; i < 100; i++)
        assert_null(aws_region_name(f.region, &why));
    assert_non_null(strstr(why, "region of profile odd"));
    assert_non_null(strstr(why, "status 403"));
    assert_int_equal(f.stub.request_count, 1);
    assert_true(aws_region_sts_endpoint(f.region, &e, &region, detail, sizeof detail));
    assert_string_equal(e.url, "https://sts.amazonaws.com/");
    assert_string_equal(region, "us-east-1");
    aws_endpoint_free(&e);
    fixture_close(&f);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_region_of_the_instance),
        cmocka_unit_test(test_no_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
