/* A container's endpoint: where may be asked, with what authorization, and what comes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/aws/credentials/container.h"
#include "tests/unit/common/aws/credentials/fetch_fixture.h"

#define KEYS                                                                                       \
    "{\"RoleArn\":\"r\",\"AccessKeyId\":\"ASIAX\",\"SecretAccessKey\":\"s3cret\",\"Token\":\"t\"," \
    "\"Expiration\":\"2099-01-02T03:04:05Z\"}"

static void test_where_may_be_asked(void **state) {
    (void)state;
    static const struct {
        const char *uri;
        bool allowed;
    } cases[] = {
        {"https://example.com/creds", true},
        {"http://127.0.0.1/creds", true},
        {"http://127.7.7.7:8080/creds", true},
        {"http://localhost:8080/", true},
        {"http://[::1]:8080/", true},
        {"http://169.254.170.2/v2/x", true},
        {"http://169.254.170.23/v1/credentials", true},
        {"http://[fd00:ec2::23]/v1/credentials", true},
        {"http://[fd00:ec2:0:0:0:0:0:23]/", true},
        {"http://example.com/creds", false},
        {"http://169.254.169.254/", false},
        {"http://169.254.170.3/", false},
        {"http://128.0.0.1/", false},
        {"http://127.0.0.1.example.com/", false},
        {"http://localhost.example.com/", false},
        {"http://[fd00:ec2::24]/", false},
        {"http://[::ffff:10.0.0.1]/", false},
        {"http://127.0.0.1@example.com/", false},
        {"ftp://127.0.0.1/", false},
        {"file:///etc/passwd", false},
        {"127.0.0.1/creds", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char detail[200] = "";
        if (container_uri_is_allowed(cases[i].uri, detail, sizeof detail) != cases[i].allowed)
            fail_msg("%s: %s", cases[i].uri, detail);
        assert_int_equal(detail[0] == '\0', cases[i].allowed);
    }
}

static void open_at_stub(struct fetch_fixture *f, const struct stub_reply *script, size_t count,
                         char *uri, size_t size) {
    fixture_open(f, script, count);
    snprintf(uri, size, "%sv1/credentials?a=b", f->stub.url);
    f->options.credentials.container_full_uri = uri;
}

static void test_authorization(void **state) {
    (void)state;
    static const struct {
        const char *token, *file;
        const char *sent, *says; /* `says` NULL: found */
    } cases[] = {
        {NULL, NULL, NULL, NULL},
        {"Basic x", NULL, "Basic x", NULL},
        {"Basic x", "jwt.jwt.jwt", "jwt.jwt.jwt", NULL},
        {NULL, "s3cret\r\nX: y", NULL, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE holds"},
        {NULL, "s3cret\n", NULL, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE holds"},
        {NULL, "", NULL, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is empty"},
        {"s3cret\nX: y", NULL, NULL, "AWS_CONTAINER_AUTHORIZATION_TOKEN holds"},
    };
    static const struct stub_reply script[] = {{.body = KEYS}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fetch_fixture f;
        char uri[128];
        open_at_stub(&f, script, 1, uri, sizeof uri);
        f.options.credentials.container_token = cases[i].token;
        if (cases[i].file != NULL)
            f.options.credentials.container_token_file = fixture_write(&f, "token", cases[i].file);
        assert_int_equal(fixture_run(&f, container_start), cases[i].says == NULL);
        if (cases[i].says != NULL) {
            fixture_assert_not(&f, CREDENTIALS_BROKEN, cases[i].says);
            assert_int_equal(f.stub.connection_count, 0);
        } else {
            fixture_assert_found(&f, "ASIAX", "t", "container");
            assert_int_equal(f.stub.request_count, 1);
            fixture_assert_line(&f, 0, "GET /v1/credentials?a=b HTTP/1.1");
            fixture_assert_header(&f, 0, "Authorization", cases[i].sent);
        }
        fixture_close(&f);
    }
}

static void test_the_token_file_is_read_each_time(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = KEYS}};
    struct fetch_fixture f;
    char uri[128];
    open_at_stub(&f, script, 1, uri, sizeof uri);
    f.options.credentials.container_token_file = fixture_write(&f, "token", "one");
    assert_true(fixture_run(&f, container_start));
    fixture_write(&f, "token", "two");
    assert_true(fixture_run(&f, container_start));
    fixture_assert_header(&f, 0, "Authorization", "one");
    fixture_assert_header(&f, 1, "Authorization", "two");
    unlink(f.options.credentials.container_token_file);
    assert_false(fixture_run(&f, container_start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "cannot be read");
    fixture_close(&f);
}

static void test_answers(void **state) {
    (void)state;
    static const struct {
        struct stub_reply script[3];
        const char *says; /* NULL: found */
        size_t requests;
    } cases[] = {
        {{{.status = 500}, {.status = 429}, {.body = KEYS}}, NULL, 3},
        {{{.status = 500}, {.status = 500}, {.status = 503}}, "status 503", 3},
        {{{.status = 403, .body = "s3cret"}}, "status 403", 1},
        {{{.body = "s3cret"}}, "not JSON", 1},
        {{{.status = 302, .headers = "Location: http://127.0.0.1:1/\r\n"}}, "status 302", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fetch_fixture f;
        char uri[128];
        open_at_stub(&f, cases[i].script, 3, uri, sizeof uri);
        assert_true(fixture_run(&f, container_start));
        if (cases[i].says == NULL)
            fixture_assert_found(&f, "ASIAX", "t", "container");
        else
            fixture_assert_not(&f, CREDENTIALS_BROKEN, cases[i].says);
        assert_int_equal(f.stub.request_count, cases[i].requests);
        fixture_close(&f);
    }
}

static void test_not_configured_or_not_allowed(void **state) {
    (void)state;
    struct fetch_fixture f;
    fixture_open(&f, NULL, 0);
    assert_false(fixture_run(&f, container_start));
    fixture_assert_not(&f, CREDENTIALS_NOT_CONFIGURED, "");
    f.options.credentials.container_full_uri = "http://example.com/";
    assert_false(fixture_run(&f, container_start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    f.options.credentials.container_relative_uri = ".evil.example/";
    assert_false(fixture_run(&f, container_start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    fixture_close(&f);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_may_be_asked),
        cmocka_unit_test(test_authorization),
        cmocka_unit_test(test_the_token_file_is_read_each_time),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_not_configured_or_not_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
