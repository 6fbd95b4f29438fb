/*
 * What a profile leads to: keys, roles by STS, web identities, processes, and the faults. STS is a
 * scripted server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "common/aws/credentials/from_profile.h"
#include "common/aws/credentials/web_identity.h"
#include "tests/unit/common/aws/credentials/fetch_fixture.h"

#define ARN "arn:aws:iam::123456789012:role/reader"

#define KEYS(id)                                                                                   \
    "<Credentials><AccessKeyId>" id "</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey>"      \
    "<SessionToken>t&amp;</SessionToken><Expiration>2099-01-02T03:04:05Z</Expiration>"             \
    "</Credentials>"
#define ASSUMED(id)                                                                                    \
    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>" KEYS( \
        id) "</AssumeRoleResult></AssumeRoleResponse>"
#define WEB_ASSUMED                                                                                \
    "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>" KEYS(                   \
        "ASIAW") "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
#define STS_ERROR(code)                                                                            \
    "<ErrorResponse><Error><Code>" code "</Code><Message>because</Message></Error></ErrorResponse>"

static void open_with(struct fetch_fixture *f, const struct stub_reply *script, size_t count,
                      const char *config, const char *credentials) {
    fixture_open(f, script, count);
    if (config != NULL)
        f->options.credentials.config_file = fixture_write(f, "config", config);
    if (credentials != NULL)
        f->options.credentials.credentials_file = fixture_write(f, "credentials", credentials);
}

static void test_what_is_known_at_once(void **state) {
    (void)state;
    static const struct {
        fetch_start_fn *start;
        const char *config, *credentials, *profile;
        enum credentials_found found;
        const char *id, *says; /* where from, or what is wrong */
    } cases[] = {
        {profile_start, NULL, "[default]\naws_access_key_id=A\naws_secret_access_key=s3cret\n",
         NULL, CREDENTIALS_FOUND, "A", "profile default of the credentials file"},
        {profile_start, "[default]\naws_access_key_id=A\naws_secret_access_key=s3cret\n", NULL,
         NULL, CREDENTIALS_FOUND, "A", "profile default of the config file"},
        {profile_start, "[profile x]\naws_access_key_id=B\naws_secret_access_key=s3cret\n",
         "[x]\naws_access_key_id=A\naws_secret_access_key=s3cret\n", "x", CREDENTIALS_FOUND, "A",
         "profile x of the credentials file"},
        {profile_start, NULL, NULL, NULL, CREDENTIALS_NOT_CONFIGURED, NULL, ""},
        {profile_role_start, NULL, NULL, NULL, CREDENTIALS_NOT_CONFIGURED, NULL, ""},
        {profile_start, "[default]\nregion=a\n", NULL, NULL, CREDENTIALS_NOT_CONFIGURED, NULL, ""},
        {profile_role_start, "[default]\naws_access_key_id=A\n", NULL, NULL,
         CREDENTIALS_NOT_CONFIGURED, NULL, ""},
        {profile_role_start, "[default]\nregion=a\n", NULL, "x", CREDENTIALS_BROKEN, NULL,
         "there is no profile x"},
        {profile_start, NULL, "[default]\naws_access_key_id=A\n", NULL, CREDENTIALS_BROKEN, NULL,
         "no aws_secret_access_key"},
        {profile_start, NULL, "[default]\naws_secret_access_key=s3cret\n", NULL, CREDENTIALS_BROKEN,
         NULL, "no aws_access_key_id"},
        {profile_start, NULL, "[default]\naws_access_key_id=A\naws_secret_access_key=s3cret x\n",
         NULL, CREDENTIALS_BROKEN, NULL, "holds a blank"},
        {profile_role_start, NULL, "[default]\ns3cret\n", NULL, CREDENTIALS_BROKEN, NULL,
         "credentials: line 2"},
        {profile_start, "[default]\nsso_session=x\nsso_account_id=1\n", NULL, NULL,
         CREDENTIALS_BROKEN, NULL, "SSO"},
        {profile_start, "[default]\nsso_start_url=x\n", NULL, NULL, CREDENTIALS_BROKEN, NULL,
         "not supported"},
        {profile_role_start, "[default]\nrole_arn=" ARN "\n", NULL, NULL, CREDENTIALS_BROKEN, NULL,
         "without source_profile"},
        {profile_role_start,
         "[default]\nrole_arn=" ARN "\nsource_profile=x\ncredential_source=Environment\n", NULL,
         NULL, CREDENTIALS_BROKEN, NULL, "both"},
        {profile_role_start, "[default]\nrole_arn=" ARN "\nsource_profile=x\nmfa_serial=m\n", NULL,
         NULL, CREDENTIALS_BROKEN, NULL, "mfa_serial is not supported"},
        {profile_role_start, "[default]\nrole_arn=" ARN "\nsource_profile=x\n", NULL, NULL,
         CREDENTIALS_BROKEN, NULL, "source_profile x: there is no such profile"},
        {profile_role_start, "[default]\nrole_arn=" ARN "\nsource_profile=x\n[profile x]\na=b\n",
         NULL, NULL, CREDENTIALS_BROKEN, NULL, "source_profile x: there are no credentials"},
        {profile_role_start, "[default]\nrole_arn=" ARN "\nsource_profile=default\n", NULL, NULL,
         CREDENTIALS_BROKEN, NULL, "circle"},
        {profile_role_start,
         "[default]\nrole_arn=" ARN "\nsource_profile=x\n"
         "[profile x]\nrole_arn=" ARN "\nsource_profile=y\n"
         "[profile y]\nrole_arn=" ARN "\nsource_profile=x\n",
         NULL, NULL, CREDENTIALS_BROKEN, NULL, "circle"},
        {profile_role_start, "[default]\nrole_arn=" ARN "\ncredential_source=Nowhere\n", NULL, NULL,
         CREDENTIALS_BROKEN, NULL, "credential_source must be"},
        {profile_role_start, "[default]\nrole_arn=" ARN "\ncredential_source=EcsContainer\n", NULL,
         NULL, CREDENTIALS_BROKEN, NULL, "EcsContainer: there are no credentials"},
        {profile_role_start, "[default]\nrole_arn=" ARN "\ncredential_source=Environment\n", NULL,
         NULL, CREDENTIALS_BROKEN, NULL, "Environment: there are no credentials"},
        {profile_role_start, "[default]\nrole_arn=reader\ncredential_source=Environment\n", NULL,
         NULL, CREDENTIALS_BROKEN, NULL, "no ARN"},
        {profile_role_start, "[default]\nrole_arn=" ARN "\nweb_identity_token_file=/no/such\n",
         NULL, NULL, CREDENTIALS_NOT_CONFIGURED, NULL, ""},
        {profile_start, "[default]\nrole_arn=" ARN "\nweb_identity_token_file=/no/such\n", NULL,
         NULL, CREDENTIALS_BROKEN, NULL, "/no/such cannot be read"},
        {profile_start, "[default]\nweb_identity_token_file=/no/such\n", NULL, NULL,
         CREDENTIALS_BROKEN, NULL, "without role_arn"},
        {profile_start, "[default]\ncredential_process=/no/such/program\n", NULL, NULL,
         CREDENTIALS_BROKEN, NULL, "cannot be run"},
        {web_identity_environment_start, NULL, NULL, NULL, CREDENTIALS_NOT_CONFIGURED, NULL, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fetch_fixture f;
        open_with(&f, NULL, 0, cases[i].config, cases[i].credentials);
        f.options.credentials.profile = cases[i].profile;
        assert_false(fixture_run(&f, cases[i].start));
        if (cases[i].found == CREDENTIALS_FOUND)
            fixture_assert_found(&f, cases[i].id, NULL, cases[i].says);
        else
            fixture_assert_not(&f, cases[i].found, cases[i].says);
        assert_int_equal(f.stub.connection_count, 0);
        fixture_close(&f);
    }
}

static void test_files(void **state) {
    (void)state;
    struct fetch_fixture f;
    char dot_aws[128], path[160];
    fixture_open(&f, NULL, 0);
    f.options.credentials.credentials_file = "/no/such/file";
    assert_false(fixture_run(&f, profile_role_start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "AWS_SHARED_CREDENTIALS_FILE: /no/such/file");
    f.options.credentials.credentials_file = f.directory;
    assert_false(fixture_run(&f, profile_role_start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "irectory");
    f.options.credentials.credentials_file = "~/here";
    fixture_write(&f, "here", "[default]\naws_access_key_id=H\naws_secret_access_key=s3cret\n");
    assert_false(fixture_run(&f, profile_start));
    fixture_assert_found(&f, "H", NULL, "profile default");
    /* Where the SDKs look: read again each time. */
    f.options.credentials.credentials_file = NULL;
    assert_false(fixture_run(&f, profile_start));
    fixture_assert_not(&f, CREDENTIALS_NOT_CONFIGURED, "");
    snprintf(dot_aws, sizeof dot_aws, "%s/.aws", f.directory);
    snprintf(path, sizeof path, "%s/credentials", dot_aws);
    assert_int_equal(mkdir(dot_aws, 0700), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("[default]\naws_access_key_id=D\naws_secret_access_key=s3cret\n"
          "aws_session_token=dt\n",
          file);
    fclose(file);
    assert_false(fixture_run(&f, profile_start));
    fixture_assert_found(&f, "D", "dt", "profile default");
    unlink(path);
    rmdir(dot_aws);
    fixture_close(&f);
}

static void assert_form(const struct fetch_fixture *f, size_t i, const char *part) {
    assert_true(i < f->stub.request_count);
    if (strstr(f->stub.requests[i].body, part) == NULL)
        fail_msg("request %zu is \"%s\", without \"%s\"", i, f->stub.requests[i].body, part);
}

static void assert_signed_by(const struct fetch_fixture *f, size_t i, const char *id) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "Credential=%s/", id);
    char *authorization = stub_header(&f->stub.requests[i], "Authorization");
    assert_non_null(authorization);
    assert_non_null(strstr(authorization, wanted));
    assert_non_null(strstr(authorization, "/eu-central-1/sts/aws4_request"));
    free(authorization);
}

static void test_role_by_source_profile(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = ASSUMED("ASIA1")}};
    struct fetch_fixture f;
    open_with(&f, script, 1,
              "[profile x]\nrole_arn=" ARN "\nsource_profile=base\nexternal_id=e/1\n"
              "role_session_name=me@here\nduration_seconds=1800\n",
              "[base]\naws_access_key_id=AKIDBASE\naws_secret_access_key=s3cret\n");
    f.options.credentials.profile = "x";
    assert_true(fixture_run(&f, profile_role_start));
    fixture_assert_found(&f, "ASIA1", "t&", "profile x, role " ARN);
    assert_int_equal(f.stub.request_count, 1);
    fixture_assert_line(&f, 0, "POST / HTTP/1.1");
    fixture_assert_header(&f, 0, "Content-Type",
                          "application/x-www-form-urlencoded; charset=utf-8");
    assert_string_equal(f.stub.requests[0].body,
                        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A"
                        "123456789012%3Arole%2Freader&RoleSessionName=me%40here&ExternalId=e%2F1"
                        "&DurationSeconds=1800");
    assert_signed_by(&f, 0, "AKIDBASE");
    fixture_assert_header(&f, 0, "X-Amz-Security-Token", NULL);
    fixture_close(&f);
}

/* A role of a role: each signs for the next. */
static void test_role_by_role(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = ASSUMED("ASIA1")},
                                               {.body = ASSUMED("ASIA2")}};
    struct fetch_fixture f;
    open_with(&f, script, 2,
              "[default]\nrole_arn=" ARN "2\nsource_profile=one\n"
              "[profile one]\nrole_arn=" ARN "1\nsource_profile=one\n"
              "aws_access_key_id=AKIDONE\naws_secret_access_key=s3cret\n",
              NULL);
    /* `one` has keys of its own, which go before its role: one call. */
    assert_true(fixture_run(&f, profile_role_start));
    fixture_assert_found(&f, "ASIA1", "t&", "reader2");
    assert_signed_by(&f, 0, "AKIDONE");
    fixture_close(&f);

    open_with(&f, script, 2,
              "[default]\nrole_arn=" ARN "2\nsource_profile=one\n"
              "[profile one]\nrole_arn=" ARN "1\nsource_profile=base\n",
              "[base]\naws_access_key_id=AKIDBASE\naws_secret_access_key=s3cret\n");
    f.options.credentials.role_session_name = "from-variable";
    assert_true(fixture_run(&f, profile_role_start));
    fixture_assert_found(&f, "ASIA2", "t&", "reader2");
    assert_int_equal(f.stub.request_count, 2);
    assert_signed_by(&f, 0, "AKIDBASE");
    assert_form(&f, 0, "reader1");
    assert_signed_by(&f, 1, "ASIA1");
    assert_form(&f, 1, "reader2");
    assert_form(&f, 1, "RoleSessionName=from-variable");
    fixture_assert_header(&f, 1, "X-Amz-Security-Token", "t&");
    fixture_close(&f);
}

static void test_role_by_credential_source(void **state) {
    (void)state;
    static const struct stub_reply environment[] = {{.body = ASSUMED("ASIA1")}};
    static const struct stub_reply imds[] = {
        {.body = "token"},
        {.body = "r"},
        {.body = "{\"AccessKeyId\":\"ASIAI\",\"SecretAccessKey\":\"s3cret\",\"Token\":\"it\"}"},
        {.body = ASSUMED("ASIA1")},
    };
    static const struct stub_reply container[] = {
        {.body = "{\"AccessKeyId\":\"ASIAC\",\"SecretAccessKey\":\"s3cret\",\"Token\":\"ct\"}"},
        {.body = ASSUMED("ASIA1")},
    };
    static const struct {
        const char *source, *signer;
        const struct stub_reply *script;
        size_t count;
    } cases[] = {
        {"Environment", "AKIDENV", environment, 1},
        {"Ec2InstanceMetadata", "ASIAI", imds, 4},
        {"EcsContainer", "ASIAC", container, 2},
    };
    setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "s3cret", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fetch_fixture f;
        char config[256], uri[128];
        snprintf(config, sizeof config, "[default]\nrole_arn=" ARN "\ncredential_source=%s\n",
                 cases[i].source);
        open_with(&f, cases[i].script, cases[i].count, config, NULL);
        snprintf(uri, sizeof uri, "%scredentials", f.stub.url);
        f.options.credentials.container_full_uri = uri;
        assert_true(fixture_run(&f, profile_role_start));
        fixture_assert_found(&f, "ASIA1", "t&", "role");
        assert_int_equal(f.stub.request_count, cases[i].count);
        assert_signed_by(&f, cases[i].count - 1, cases[i].signer);
        assert_form(&f, cases[i].count - 1, "RoleSessionName=athena-query");
        fixture_close(&f);
    }
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
}

static void test_base_that_fails_later(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = "token"}, {.status = 404}};
    struct fetch_fixture f;
    open_with(&f, script, 2, "[default]\nrole_arn=" ARN "\ncredential_source=Ec2InstanceMetadata\n",
              NULL);
    assert_true(fixture_run(&f, profile_role_start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "the instance has no role");
    fixture_close(&f);
}

static void test_web_identity(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.body = WEB_ASSUMED}};
    for (int by_profile = 0; by_profile < 2; by_profile++) {
        struct fetch_fixture f;
        char config[256] = "";
        fixture_open(&f, script, 1);
        const char *token = fixture_write(&f, "token", "jwt.one\n");
        if (by_profile) {
            snprintf(config, sizeof config,
                     "[default]\nrole_arn=" ARN "\nweb_identity_token_file=%s\n", token);
            f.options.credentials.config_file = fixture_write(&f, "config", config);
        } else {
            f.options.credentials.web_identity_token_file = token;
            f.options.credentials.role_arn = ARN;
        }
        fetch_start_fn *start = by_profile ? profile_start : web_identity_environment_start;
        assert_true(fixture_run(&f, start));
        fixture_assert_found(&f, "ASIAW", "t&", "role " ARN " by web identity");
        assert_form(&f, 0, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
        assert_form(&f, 0, "RoleSessionName=athena-query");
        assert_form(&f, 0, "WebIdentityToken=jwt.one");
        fixture_assert_header(&f, 0, "Authorization", NULL);
        fixture_assert_header(&f, 0, "X-Amz-Date", NULL);
        fixture_write(&f, "token", "jwt.two"); /* as the kubelet does */
        assert_true(fixture_run(&f, start));
        assert_form(&f, 1, "WebIdentityToken=jwt.two");
        fixture_close(&f);
    }
}

static void test_web_identity_faults(void **state) {
    (void)state;
    struct fetch_fixture f;
    fixture_open(&f, NULL, 0);
    f.options.credentials.web_identity_token_file = fixture_write(&f, "token", "s3cret x");
    assert_false(fixture_run(&f, web_identity_environment_start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "AWS_ROLE_ARN");
    f.options.credentials.role_arn = ARN;
    assert_false(fixture_run(&f, web_identity_environment_start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "no token");
    fixture_write(&f, "token", "\n");
    assert_false(fixture_run(&f, web_identity_environment_start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "no token");
    f.options.credentials.role_session_name = "not a name";
    fixture_write(&f, "token", "jwt");
    assert_false(fixture_run(&f, web_identity_environment_start));
    fixture_assert_not(&f, CREDENTIALS_BROKEN, "session name");
    fixture_close(&f);
}

static void test_sts_errors(void **state) {
    (void)state;
    static const struct {
        struct stub_reply script[3];
        const char *says; /* NULL: found */
        size_t requests;
    } cases[] = {
        {{{.status = 403, .body = STS_ERROR("AccessDenied")}}, "AccessDenied: because", 1},
        {{{.status = 400, .body = STS_ERROR("ExpiredTokenException")}}, "ExpiredToken", 1},
        {{{.status = 400, .body = STS_ERROR("Throttling")}, {.body = ASSUMED("ASIA1")}}, NULL, 2},
        {{{.status = 400, .body = STS_ERROR("IDPCommunicationError")}, {.body = ASSUMED("ASIA1")}},
         NULL,
         2},
        {{{.status = 503}, {.what = STUB_CUT}, {.body = ASSUMED("ASIA1")}}, NULL, 3},
        {{{.status = 500}, {.status = 500}, {.status = 502}}, "status 502", 3},
        {{{.body = "<html/>"}}, "lacks a part", 1},
        {{{.body = "nothing"}}, "not the XML", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fetch_fixture f;
        open_with(&f, cases[i].script, 3, "[default]\nrole_arn=" ARN "\nsource_profile=base\n",
                  "[base]\naws_access_key_id=AKIDBASE\naws_secret_access_key=s3cret\n");
        assert_true(fixture_run(&f, profile_role_start));
        if (cases[i].says == NULL)
            fixture_assert_found(&f, "ASIA1", "t&", "role");
        else
            fixture_assert_not(&f, CREDENTIALS_BROKEN, cases[i].says);
        assert_int_equal(f.stub.request_count, cases[i].requests);
        fixture_close(&f);
    }
}

/* STS says what time it is; the second call is signed with that. */
static void test_sts_with_a_wrong_clock(void **state) {
    (void)state;
    char date[64], day[16];
    time_t theirs = time(NULL) + 3 * 86400;
    struct tm t;
    strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&theirs, &t));
    strftime(day, sizeof day, "%Y%m%dT", gmtime_r(&theirs, &t));
    const struct stub_reply script[] = {
        {.status = 400, .headers = date, .body = STS_ERROR("SignatureDoesNotMatch")},
        {.body = ASSUMED("ASIA1")}};
    struct fetch_fixture f;
    open_with(&f, script, 2, "[default]\nrole_arn=" ARN "\nsource_profile=base\n",
              "[base]\naws_access_key_id=AKIDBASE\naws_secret_access_key=s3cret\n");
    assert_true(fixture_run(&f, profile_role_start));
    fixture_assert_found(&f, "ASIA1", "t&", "role");
    assert_int_equal(f.stub.request_count, 2);
    char *sent = stub_header(&f.stub.requests[1], "X-Amz-Date");
    assert_memory_equal(sent, day, strlen(day));
    free(sent);
    fixture_close(&f);
}

static void test_cancel_at_each_step(void **state) {
    (void)state;
    static const struct stub_reply script[] = {
        {.body = "token"},
        {.body = "r"},
        {.body = "{\"AccessKeyId\":\"ASIAI\",\"SecretAccessKey\":\"s3cret\",\"Token\":\"it\"}"},
        {.what = STUB_SILENT},
    };
    for (size_t step = 0; step <= 4; step++) {
        struct fetch_fixture f;
        open_with(&f, script, 4,
                  "[default]\nrole_arn=" ARN "\ncredential_source=Ec2InstanceMetadata\n", NULL);
        fixture_ready(&f);
        struct fetch *running = profile_role_start(&f.ctx, &f.result, fixture_done, &f);
        while (f.stub.request_count < step)
            assert_true(loop_run_once(f.loop));
        fetch_cancel(running);
        assert_int_equal(f.times, 0);
        fixture_close(&f);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_known_at_once),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_role_by_source_profile),
        cmocka_unit_test(test_role_by_role),
        cmocka_unit_test(test_role_by_credential_source),
        cmocka_unit_test(test_base_that_fails_later),
        cmocka_unit_test(test_web_identity),
        cmocka_unit_test(test_web_identity_faults),
        cmocka_unit_test(test_sts_errors),
        cmocka_unit_test(test_sts_with_a_wrong_clock),
        cmocka_unit_test(test_cancel_at_each_step),
    };
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    unsetenv("AWS_SESSION_TOKEN");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
