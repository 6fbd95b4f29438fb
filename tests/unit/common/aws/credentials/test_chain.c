/*
 * All sources together, in the background of a loop: order, refresh, refusals, back-off, and how
 * many requests that takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "common/aws/client.h"
#include "common/aws/credentials/chain.h"
#include "tests/unit/common/aws/credentials/fetch_fixture.h"

struct chain_fixture {
    struct fetch_fixture f;
    struct credentials_provider *p;
    const char *expected; /* the access key that is waited for */
};

static const char *variables[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                  "AWS_SESSION_TOKEN"};

static void set_up(struct chain_fixture *c, const struct stub_reply *script, size_t count) {
    for (size_t i = 0; i < 3; i++)
        unsetenv(variables[i]);
    memset(c, 0, sizeof *c);
    fixture_open(&c->f, script, count);
}

static void tear_down(struct chain_fixture *c) {
    credentials_close(c->p);
    fixture_close(&c->f);
}

static const struct credentials *get(struct chain_fixture *c, const char **why) {
    return credentials_get(c->p, loop_wall() / 1000, why);
}

static bool has_expected(void *arg) {
    struct chain_fixture *c = arg;
    const char *why;
    const struct credentials *held = get(c, &why);
    return held != NULL && strcmp(held->access_key_id, c->expected) == 0;
}

static void wait_for(struct chain_fixture *c, const char *id) {
    const char *why = "another";
    c->expected = id;
    if (!stub_run_until(c->f.loop, has_expected, c)) {
        (void)get(c, &why);
        fail_msg("no %s: %s", id, why);
    }
}

static bool says_expected(void *arg) {
    struct chain_fixture *c = arg;
    const char *why = "";
    return get(c, &why) == NULL && strstr(why, c->expected) != NULL;
}

static void wait_for_fault(struct chain_fixture *c, const char *says) {
    const char *why = "there are some";
    c->expected = says;
    if (!stub_run_until(c->f.loop, says_expected, c)) {
        (void)get(c, &why);
        fail_msg("not \"%s\": %s", says, why);
    }
}

static void on_time(void *arg) {
    *(bool *)arg = true;
}

static void run_for(struct loop *loop, int64_t ms) {
    bool over = false;
    struct loop_timer timer = {0};
    loop_timer_set(loop, &timer, ms, on_time, &over);
    while (!over)
        assert_true(loop_run_once(loop));
}

/* A document of a metadata service, that lives `seconds` from now. */
static const char *keys(char *out, size_t size, const char *id, int64_t seconds) {
    char until[32];
    time_t end = time(NULL) + (time_t)seconds;
    struct tm t;
    strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &t));
    snprintf(out, size,
             "{\"Code\":\"Success\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s3cret\","
             "\"Token\":\"t\",\"Expiration\":\"%s\"}",
             id, until);
    return out;
}

/* --- order ------------------------------------------------------------------------------------ */

#define CREDENTIALS_FILE "[default]\naws_access_key_id=AKIDFILE\naws_secret_access_key=s3cret\n"
#define CONFIG_FILE                                                                                \
    "[default]\naws_access_key_id=AKIDCONFIG\naws_secret_access_key=s3cret\nregion=eu-west-1\n"

static void test_order(void **state) {
    (void)state;
    char imds[256];
    keys(imds, sizeof imds, "ASIAIMDS", 3600);
    const struct stub_reply script[] = {{.body = "token"}, {.body = "role"}, {.body = imds}};
    struct chain_fixture c;
    set_up(&c, script, 3);
    c.p = credentials_open_chain(c.f.loop, &c.f.options);
    wait_for(&c, "ASIAIMDS");
    assert_string_equal(credentials_from(c.p), "the instance metadata, role role");
    c.f.options.credentials.config_file = fixture_write(&c.f, "config", CONFIG_FILE);
    credentials_refused(c.p);
    wait_for(&c, "AKIDCONFIG");
    assert_string_equal(credentials_from(c.p), "profile default of the config file");
    c.f.options.credentials.credentials_file = fixture_write(&c.f, "credentials", CREDENTIALS_FILE);
    credentials_refused(c.p);
    wait_for(&c, "AKIDFILE");
    setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "s3cret", 1);
    credentials_refused(c.p);
    wait_for(&c, "AKIDENV");
    assert_string_equal(credentials_from(c.p), "the environment");
    assert_int_equal(c.f.stub.request_count, 3);
    tear_down(&c);
}

/* What is configured and broken is named, and nobody behind it is asked. */
static void test_no_fall_through(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 403}};
    for (int i = 0; i < 4; i++) {
        static const char *const says[] = {"the environment: AWS_ACCESS_KEY_ID is set without",
                                           "AWS_SHARED_CREDENTIALS_FILE: /no/such/file",
                                           "the web identity: AWS_WEB_IDENTITY_TOKEN_FILE",
                                           "the container: it answered with status 403"};
        struct chain_fixture c;
        char uri[128];
        set_up(&c, script, 1);
        snprintf(uri, sizeof uri, "%screds", c.f.stub.url);
        if (i == 0)
            setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
        if (i == 1)
            c.f.options.credentials.credentials_file = "/no/such/file";
        if (i == 2)
            c.f.options.credentials.web_identity_token_file = "/no/such/file";
        if (i == 3)
            c.f.options.credentials.container_full_uri = uri;
        c.p = credentials_open_chain(c.f.loop, &c.f.options);
        wait_for_fault(&c, says[i]);
        run_for(c.f.loop, 300);
        assert_int_equal(c.f.stub.request_count, i == 3);
        tear_down(&c);
    }
}

static void test_none_says_where_it_looked(void **state) {
    (void)state;
    struct chain_fixture c;
    set_up(&c, NULL, 0);
    c.f.options.credentials.imds_disabled = true;
    c.p = credentials_open_chain(c.f.loop, &c.f.options);
    wait_for_fault(&c, "looked in the environment, the profile's role, the web identity, the "
                       "profile, the container, the instance metadata; the instance metadata: "
                       "AWS_EC2_METADATA_DISABLED is true");
    tear_down(&c);
}

/* A program that starts before its file is there. */
static void test_a_file_that_comes_late(void **state) {
    (void)state;
    struct chain_fixture c;
    char path[128];
    set_up(&c, NULL, 0);
    snprintf(path, sizeof path, "%s/late", c.f.directory);
    c.f.options.credentials.credentials_file = path;
    c.p = credentials_open_chain(c.f.loop, &c.f.options);
    wait_for_fault(&c, "late cannot be read");
    fixture_write(&c.f, "late", "[default]\naws_access_key_id=AKIDFILE\n"); /* half of it */
    wait_for_fault(&c, "no aws_secret_access_key");
    fixture_write(&c.f, "late", CREDENTIALS_FILE);
    wait_for(&c, "AKIDFILE");
    tear_down(&c);
}

/* --- refresh ---------------------------------------------------------------------------------- */

/* Nobody asks: it is refreshed ahead of expiry all the same, and what is held serves meanwhile. */
static void test_refresh_without_a_gap(void **state) {
    (void)state;
    char one[256], two[256];
    keys(one, sizeof one, "ASIAONE", 6);
    keys(two, sizeof two, "ASIATWO", 3600);
    const struct stub_reply script[] = {{.body = one}, {.body = two, .delay_ms = 500}};
    struct chain_fixture c;
    char uri[128];
    const char *why;
    set_up(&c, script, 2);
    snprintf(uri, sizeof uri, "%screds", c.f.stub.url);
    c.f.options.credentials.container_full_uri = uri;
    c.p = credentials_open_chain(c.f.loop, &c.f.options);
    wait_for(&c, "ASIAONE");
    while (c.f.stub.request_count < 2)
        assert_true(loop_run_once(c.f.loop));
    for (int i = 0; i < 1000; i++) { /* many calls, one refresh */
        const struct credentials *held = get(&c, &why);
        assert_non_null(held);
        assert_string_equal(held->access_key_id, "ASIAONE");
    }
    wait_for(&c, "ASIATWO");
    assert_int_equal(c.f.stub.request_count, 2);
    tear_down(&c);
}

static void test_expired_is_not_used(void **state) {
    (void)state;
    char one[256], two[256];
    keys(one, sizeof one, "ASIAONE", 2);
    keys(two, sizeof two, "ASIATWO", 3600);
    const struct stub_reply script[] = {
        {.body = one}, {.status = 500}, {.status = 500}, {.status = 500}, {.body = two}};
    struct chain_fixture c;
    char uri[128];
    set_up(&c, script, 5);
    snprintf(uri, sizeof uri, "%screds", c.f.stub.url);
    c.f.options.credentials.container_full_uri = uri;
    c.p = credentials_open_chain(c.f.loop, &c.f.options);
    wait_for(&c, "ASIAONE");
    wait_for_fault(&c, ""); /* no service, and what was held has expired */
    wait_for(&c, "ASIATWO");
    assert_int_equal(c.f.stub.request_count, 5);
    tear_down(&c);
}

/* The keys that were refused are not used again; a late refusal of the old ones changes nothing. */
static void test_refused_while_they_should_be_good(void **state) {
    (void)state;
    char one[256], two[256];
    keys(one, sizeof one, "ASIAONE", 3600);
    keys(two, sizeof two, "ASIATWO", 3600);
    const struct stub_reply script[] = {{.body = one}, {.body = two}, {.status = 500}};
    struct chain_fixture c;
    char uri[128];
    const char *why;
    set_up(&c, script, 3);
    snprintf(uri, sizeof uri, "%screds", c.f.stub.url);
    c.f.options.credentials.container_full_uri = uri;
    c.p = credentials_open_chain(c.f.loop, &c.f.options);
    wait_for(&c, "ASIAONE");
    unsigned old = credentials_serial(c.p);
    credentials_refused_serial(c.p, old);
    credentials_refused_serial(c.p, old); /* ten calls were under way */
    assert_null(get(&c, &why));
    wait_for(&c, "ASIATWO");
    credentials_refused_serial(c.p, old);
    assert_non_null(get(&c, &why));
    assert_int_equal(c.f.stub.request_count, 2);
    tear_down(&c);
}

/* Its attempts at once are three; then it waits longer and longer, however often it is asked. */
static void test_back_off(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.status = 403}};
    struct chain_fixture c;
    char uri[128];
    const char *why;
    set_up(&c, script, 1);
    snprintf(uri, sizeof uri, "%screds", c.f.stub.url);
    c.f.options.credentials.container_full_uri = uri;
    c.p = credentials_open_chain(c.f.loop, &c.f.options);
    wait_for_fault(&c, "status 403");
    for (int i = 0; i < 25; i++) {
        for (int j = 0; j < 100; j++)
            assert_null(get(&c, &why));
        run_for(c.f.loop, 100);
    }
    assert_in_range(c.f.stub.request_count, 2, 3); /* at 0, 0.5 to 1, then 1 to 2 s later */
    tear_down(&c);
}

static void test_close_while_it_is_coming(void **state) {
    (void)state;
    static const struct stub_reply script[] = {{.what = STUB_SILENT}};
    struct chain_fixture c;
    const char *why;
    set_up(&c, script, 1);
    c.p = credentials_open_chain(c.f.loop, &c.f.options);
    credentials_close(c.p); /* before its first turn */
    c.p = credentials_open_chain(c.f.loop, &c.f.options);
    while (c.f.stub.request_count == 0)
        assert_true(loop_run_once(c.f.loop));
    assert_null(get(&c, &why));
    assert_non_null(strstr(why, "being fetched from the instance metadata"));
    assert_true(credentials_are_coming(c.p));
    tear_down(&c);
}

/* --- the clock -------------------------------------------------------------------------------- */

static void on_answer(void *arg, const struct aws_answer *answer) {
    int *status = arg;
    *status = answer->http.status;
}

static bool is_answered(void *arg) {
    return *(int *)arg != 0;
}

static void test_the_clock_is_learned_once(void **state) {
    (void)state;
    char date[64], day[16];
    time_t theirs = time(NULL) - 2 * 86400;
    struct tm t;
    strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&theirs, &t));
    strftime(day, sizeof day, "%Y%m%dT", gmtime_r(&theirs, &t));
    const struct stub_reply script[] = {
        {.status = 400, .headers = date, .body = "{\"__type\":\"InvalidSignatureException\"}"},
        {.status = 200, .headers = date, .body = "{}"}};
    struct chain_fixture c;
    set_up(&c, script, 2);
    setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "s3cret", 1);
    c.f.options.endpoint_athena = c.f.stub.url;
    c.p = credentials_open_chain(c.f.loop, &c.f.options);
    struct aws_client *client = aws_client_open(c.f.loop, c.p, &c.f.options, 2);
    for (int i = 0; i < 2; i++) {
        int status = 0;
        aws_start(client, &aws_athena, "StartQueryExecution", "{}", 2, 5000, on_answer, &status);
        assert_true(stub_run_until(c.f.loop, is_answered, &status));
        assert_int_equal(status, i == 0 ? 400 : 200);
    }
    char *sent = stub_header(&c.f.stub.requests[1], "X-Amz-Date");
    assert_memory_equal(sent, day, strlen(day));
    free(sent);
    const char *why;
    assert_non_null(get(&c, &why)); /* the keys were not what was wrong */
    aws_client_close(client);
    tear_down(&c);
}

static void test_no_region_is_no_query_s_fault(void **state) {
    (void)state;
    struct chain_fixture c;
    const char *why;
    set_up(&c, NULL, 0);
    setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "s3cret", 1);
    c.f.options.region = c.f.options.endpoint_sts = NULL;
    c.f.options.credentials.imds_disabled = true;
    c.p = credentials_open_chain(c.f.loop, &c.f.options);
    wait_for_fault(&c, "no region");
    assert_non_null(credentials_held(c.p, loop_wall() / 1000, &why));
    tear_down(&c);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_no_fall_through),
        cmocka_unit_test(test_none_says_where_it_looked),
        cmocka_unit_test(test_a_file_that_comes_late),
        cmocka_unit_test(test_refresh_without_a_gap),
        cmocka_unit_test(test_expired_is_not_used),
        cmocka_unit_test(test_refused_while_they_should_be_good),
        cmocka_unit_test(test_back_off),
        cmocka_unit_test(test_close_while_it_is_coming),
        cmocka_unit_test(test_the_clock_is_learned_once),
        cmocka_unit_test(test_no_region_is_no_query_s_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
