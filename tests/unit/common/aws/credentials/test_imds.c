/* The instance metadata service: its three requests, and what is made of each answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "common/aws/credentials/imds.h"
#include "tests/unit/common/aws/credentials/fetch_fixture.h"

#define KEYS                                                                                       \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIAX\",\"SecretAccessKey\":\"s3cret\","              \
    "\"Token\":\"t\",\"Expiration\":\"2099-01-02T03:04:05Z\"}"

static struct fetch *start(const struct fetch_context *ctx, struct fetch_result *now,
                           fetch_done_fn *fn, void *arg) {
    return imds_start(ctx, IMDS_CREDENTIALS, now, fn, arg);
}

static struct fetch *start_region(const struct fetch_context *ctx, struct fetch_result *now,
                                  fetch_done_fn *fn, void *arg) {
    return imds_start(ctx, IMDS_REGION, now, fn, arg);
}

static void test_three_requests(void **state) {
    (void)state;
    static const struct stub_reply script[] = {
        {.body = "toke=n"}, {.body = "my-role\n"}, {.body = KEYS}};
    struct fetch_fixture f;
    fixture_open(&f, script, 3);
    assert_true(fixture_run(&f, start));
    fixture_assert_found(&f, "ASIAX", "t", "role my-role");
    assert_int_equal(f.result.credentials.expires, 4071006245);
    assert_int_equal(f.stub.request_count, 3);
    fixture_assert_line(&f, 0, "PUT /latest/api/token HTTP/1.1");
    fixture_assert_header(&f, 0, "x-aws-ec2-metadata-token-ttl-seconds", "21600");
    fixture_assert_header(&f, 0, "Content-Length", "0");
    fixture_assert_line(&f, 1, "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1");
    fixture_assert_header(&f, 1, "x-aws-ec2-metadata-token", "toke=n");
    fixture_assert_line(&f, 2, "GET /latest/meta-data/iam/security-credentials/my-role HTTP/1.1");
    fixture_assert_header(&f, 2, "x-aws-ec2-metadata-token", "toke=n");
    fixture_close(&f);
}

static void test_region(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = "token"}, {.body = "eu-west-3"}};
    struct fetch_fixture f;
    fixture_open(&f, script, 2);
    assert_true(fixture_run(&f, start_region));
    assert_int_equal(f.result.found, CREDENTIALS_FOUND);
    assert_string_equal(f.result.region, "eu-west-3");
    fixture_assert_line(&f, 1, "GET /latest/meta-data/placement/region HTTP/1.1");
    fixture_close(&f);
}

static void test_answers(void **state) {
    (void)state;
    static const struct {
        struct stub_reply script[4];
        enum credentials_found found;
        const char *says;
        size_t requests;
    } cases[] = {
        {{{.status = 403}}, CREDENTIALS_BROKEN, "IMDSv2 gave no token: status 403", 1},
        {{{.status = 404}}, CREDENTIALS_BROKEN, "IMDSv2 gave no token", 1},
        {{{.body = ""}}, CREDENTIALS_BROKEN, "no token", 1},
        {{{.body = "a b"}}, CREDENTIALS_BROKEN, "no token", 1},
        {{{.status = 500}, {.status = 500}}, CREDENTIALS_BROKEN, "status 500", 2},
        {{{.body = "token"}, {.status = 404}}, CREDENTIALS_NOT_CONFIGURED, "no role", 2},
        {{{.body = "token"}, {.body = "\n"}}, CREDENTIALS_NOT_CONFIGURED, "no role", 2},
        {{{.body = "token"}, {.status = 401}}, CREDENTIALS_BROKEN, "status 401", 2},
        {{{.body = "token"}, {.body = "r"}, {.status = 404}}, CREDENTIALS_BROKEN, "status 404", 3},
        {{{.body = "token"}, {.body = "r"}, {.body = "{\"Code\":\"Failed\"}"}},
         CREDENTIALS_BROKEN,
         "Failed",
         3},
        {{{.body = "token"},
          {.body = "r"},
          {.body = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\","
                   "\"Expiration\":\"2020-01-01T00:00:00Z\"}"}},
         CREDENTIALS_BROKEN,
         "expired",
         3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fetch_fixture f;
        fixture_open(&f, cases[i].script, 4);
        assert_true(fixture_run(&f, start));
        fixture_assert_not(&f, cases[i].found, cases[i].says);
        assert_int_equal(f.stub.request_count, cases[i].requests);
        fixture_close(&f);
    }
}

static void test_tries_again(void **state) {
    (void)state;
    static const struct stub_reply script[] = {
        {.status = 503}, {.body = "token"}, {.what = STUB_CUT}, {.body = "r"}, {.body = KEYS}};
    struct fetch_fixture f;
    fixture_open(&f, script, 5);
    assert_true(fixture_run(&f, start));
    fixture_assert_found(&f, "ASIAX", "t", "role r");
    assert_int_equal(f.stub.request_count, 5);
    fixture_close(&f);
}

/* Nobody answers within the second that the SDKs wait. */
static void test_silence(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.what = STUB_SILENT}};
    struct fetch_fixture f;
    fixture_open(&f, script, 1);
    int64_t began_ms = loop_wall();
    assert_true(fixture_run(&f, start));
    assert_true(loop_wall() - began_ms < 8000);
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "latest/api/token");
    fixture_close(&f);
}

static void test_disabled_or_nonsense(void **state) {
    (void)state;
    struct fetch_fixture f;
    fixture_open(&f, NULL, 0);
    f.options.credentials.imds_disabled = true;
    assert_false(fixture_run(&f, start));
    fixture_assert_not(&f, CREDENTIALS_NOT_CONFIGURED, "AWS_EC2_METADATA_DISABLED");
    f.options.credentials.imds_disabled = false;
    f.options.credentials.imds_endpoint = "ftp://x";
    assert_false(fixture_run(&f, start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    assert_int_equal(f.stub.connection_count, 0);
    fixture_close(&f);
}

/* A proxy must not see it: the token opens the instance's role. */
static void test_past_the_proxy(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = "t"}, {.body = "r"}, {.body = KEYS}};
    struct fetch_fixture f;
    fixture_open(&f, script, 3);
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    assert_true(fixture_run(&f, start));
    unsetenv("http_proxy");
    fixture_assert_found(&f, "ASIAX", "t", "role r");
    fixture_close(&f);
}

static void test_cancel(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.what = STUB_SILENT}};
    struct fetch_fixture f;
    fixture_open(&f, script, 1);
    fixture_ready(&f);
    fetch_cancel(start(&f.ctx, &f.result, fixture_done, &f)); /* before it was sent */
    struct fetch *running = start(&f.ctx, &f.result, fixture_done, &f);
    while (f.stub.request_count == 0)
        assert_true(loop_run_once(f.loop));
    fetch_cancel(running);
    assert_int_equal(f.times, 0);
    fixture_close(&f);
}

/* Our clock is two hours ahead: what seems expired is not. */
static void test_a_wrong_clock_is_set_right(void **state) {
    (void)state;
    char keys[256], date[64], until[64];
    time_t theirs = time(NULL) - 7200, end = theirs + 3600;
    struct tm t;
    strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&theirs, &t));
    strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &t));
    snprintf(keys, sizeof keys,
             "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\",\"Expiration\":\"%s\"}", until);
    const struct stub_reply script[] = {
        {.body = "t"}, {.body = "r"}, {.body = keys, .headers = date}};
    struct fetch_fixture f;
    fixture_open(&f, script, 3);
    assert_true(fixture_run(&f, start));
    fixture_assert_found(&f, "A", NULL, "role r");
    assert_true(f.clock.offset_s < -7190 && f.clock.offset_s > -7210);
    fixture_close(&f);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_requests),
        cmocka_unit_test(test_region),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_tries_again),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_disabled_or_nonsense),
        cmocka_unit_test(test_past_the_proxy),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_a_wrong_clock_is_set_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
