/* Which credentials are found, when they are asked for again, what is said when there are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/credentials/environment.h"
#include "common/base/memory.h"

/* --- the environment -------------------------------------------------------------------------- */

static void set(const char *name, const char *value) {
    if (value != NULL)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void test_environment(void **state) {
    (void)state;
    static const struct {
        const char *id, *secret, *token;
        enum credentials_found found;
        const char *says; /* within the detail */
    } cases[] = {
        {"AKID", "s3cret/+", NULL, CREDENTIALS_FOUND, NULL},
        {"AKID", "s3cret", "t0ken==", CREDENTIALS_FOUND, NULL},
        {"AKID", "s3cret", "", CREDENTIALS_FOUND, NULL},
        {NULL, NULL, NULL, CREDENTIALS_NOT_CONFIGURED, NULL},
        {"", "", "", CREDENTIALS_NOT_CONFIGURED, NULL},
        {NULL, NULL, "t0ken", CREDENTIALS_NOT_CONFIGURED, NULL},
        {"AKID", NULL, NULL, CREDENTIALS_BROKEN, "AWS_SECRET_ACCESS_KEY"},
        {"AKID", "", NULL, CREDENTIALS_BROKEN, "AWS_SECRET_ACCESS_KEY"},
        {NULL, "s3cret", NULL, CREDENTIALS_BROKEN, "AWS_ACCESS_KEY_ID"},
        {"AKID", "s3cret\n", NULL, CREDENTIALS_BROKEN, "AWS_SECRET_ACCESS_KEY"},
        {"AK ID", "s3cret", NULL, CREDENTIALS_BROKEN, "AWS_ACCESS_KEY_ID"},
        {"AKID", "s3cret", "a\r\nb", CREDENTIALS_BROKEN, "AWS_SESSION_TOKEN"},
        {"AKID", "s3cr\xc3\xa9t", NULL, CREDENTIALS_BROKEN, "AWS_SECRET_ACCESS_KEY"},
    };
    struct credentials_source source = credentials_environment();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set("AWS_ACCESS_KEY_ID", cases[i].id);
        set("AWS_SECRET_ACCESS_KEY", cases[i].secret);
        set("AWS_SESSION_TOKEN", cases[i].token);
        struct credentials c = {0};
        char detail[256] = "";
        assert_int_equal(source.fetch(source.state, &c, detail, sizeof detail), cases[i].found);
        if (cases[i].says != NULL)
            assert_non_null(strstr(detail, cases[i].says));
        assert_null(strstr(detail, "s3cr"));
        if (cases[i].found != CREDENTIALS_FOUND) {
            assert_null(c.access_key_id);
            continue;
        }
        assert_string_equal(c.access_key_id, cases[i].id);
        assert_string_equal(c.secret_access_key, cases[i].secret);
        if (cases[i].token == NULL || cases[i].token[0] == '\0')
            assert_null(c.session_token);
        else
            assert_string_equal(c.session_token, cases[i].token);
        assert_int_equal(c.expires, 0);
        credentials_wipe(&c);
        assert_null(c.secret_access_key);
    }
}

/* --- the provider, with scripted sources ------------------------------------------------------ */

struct scripted {
    enum credentials_found found;
    const char *id; /* where found */
    int64_t expires;
    int asked;
};

static enum credentials_found fetch(void *state, struct credentials *out, char *detail,
                                    size_t detail_size) {
    struct scripted *s = state;
    s->asked++;
    if (s->found == CREDENTIALS_FOUND)
        *out = (struct credentials){mem_string(s->id), mem_string("secret"), NULL, s->expires};
    if (s->found == CREDENTIALS_BROKEN)
        snprintf(detail, detail_size, "line 3 is odd");
    return s->found;
}

static struct credentials_provider *open_two(struct scripted *a, struct scripted *b) {
    struct credentials_source sources[] = {{"the first", fetch, a}, {"the second", fetch, b}};
    return credentials_open(sources, 2);
}

static void assert_has(struct credentials_provider *p, int64_t now, const char *id) {
    const char *why = "none";
    const struct credentials *c = credentials_get(p, now, &why);
    if (c == NULL)
        fail_msg("no credentials at %lld: %s", (long long)now, why);
    else
        assert_string_equal(c->access_key_id, id);
}

static void assert_has_none(struct credentials_provider *p, int64_t now, const char *says) {
    const char *why = "";
    assert_null(credentials_get(p, now, &why));
    if (strstr(why, says) == NULL)
        fail_msg("said \"%s\", not \"%s\"", why, says);
}

static void test_the_first_that_is_configured_decides(void **state) {
    (void)state;
    static const struct {
        enum credentials_found first, second;
        const char *id, *says;
        int second_asked;
    } cases[] = {
        {CREDENTIALS_FOUND, CREDENTIALS_FOUND, "A", NULL, 0},
        {CREDENTIALS_NOT_CONFIGURED, CREDENTIALS_FOUND, "B", NULL, 1},
        {CREDENTIALS_BROKEN, CREDENTIALS_FOUND, NULL, "the first: line 3 is odd", 0},
        {CREDENTIALS_COMING, CREDENTIALS_FOUND, NULL, "fetched from the first", 0},
        {CREDENTIALS_NOT_CONFIGURED, CREDENTIALS_BROKEN, NULL, "the second: line 3", 1},
        {CREDENTIALS_NOT_CONFIGURED, CREDENTIALS_NOT_CONFIGURED, NULL,
         "looked in the first, the second", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scripted a = {cases[i].first, "A", 0, 0}, b = {cases[i].second, "B", 0, 0};
        struct credentials_provider *p = open_two(&a, &b);
        if (cases[i].id != NULL)
            assert_has(p, 1000, cases[i].id);
        else
            assert_has_none(p, 1000, cases[i].says);
        assert_int_equal(b.asked, cases[i].second_asked);
        credentials_close(p);
    }
}

static void test_what_never_expires_is_asked_for_once(void **state) {
    (void)state;
    struct scripted a = {CREDENTIALS_FOUND, "A", 0, 0}, b = {0};
    struct credentials_provider *p = open_two(&a, &b);
    for (int64_t now = 0; now < 100000; now += 1000)
        assert_has(p, now, "A");
    assert_int_equal(a.asked, 1);
    credentials_close(p);
}

static void test_none_is_asked_again_once_a_second(void **state) {
    (void)state;
    struct scripted a = {CREDENTIALS_NOT_CONFIGURED, "A", 0, 0}, b = a;
    struct credentials_provider *p = open_two(&a, &b);
    for (int i = 0; i < 10; i++)
        assert_has_none(p, 1000, "no credentials are configured");
    assert_int_equal(a.asked, 1);
    a.found = CREDENTIALS_FOUND;
    assert_has(p, 1001, "A");
    assert_int_equal(a.asked, 2);
    credentials_close(p);
}

static void test_a_clock_that_goes_back_stops_nothing(void **state) {
    (void)state;
    struct scripted a = {CREDENTIALS_NOT_CONFIGURED, "A", 0, 0}, b = a;
    struct credentials_provider *p = open_two(&a, &b);
    assert_has_none(p, 1000000, "no credentials");
    a.found = CREDENTIALS_FOUND;
    assert_has(p, 1000, "A");
    credentials_close(p);
}

static void test_refresh_before_expiry(void **state) {
    (void)state;
    struct scripted a = {CREDENTIALS_FOUND, "old", 10000, 0}, b = {0};
    struct credentials_provider *p = open_two(&a, &b);
    assert_has(p, 1000, "old");
    assert_has(p, 9099, "old");
    assert_int_equal(a.asked, 1);
    a.found = CREDENTIALS_BROKEN;
    assert_has(p, 9100, "old"); /* 15 minutes before: asked, and what is held serves on */
    assert_has(p, 9159, "old");
    assert_int_equal(a.asked, 2);
    assert_has(p, 9160, "old");
    assert_int_equal(a.asked, 3);
    assert_has(p, 9999, "old");
    a.asked = 0;
    assert_has_none(p, 10000, "line 3 is odd");
    assert_has_none(p, 10000, "line 3 is odd");
    assert_int_equal(a.asked, 1);
    a = (struct scripted){CREDENTIALS_FOUND, "new", 20000, 0};
    assert_has(p, 10001, "new");
    credentials_close(p);
}

static void test_what_comes_expired_is_of_no_use(void **state) {
    (void)state;
    struct scripted a = {CREDENTIALS_FOUND, "old", 1000, 0}, b = {0};
    struct credentials_provider *p = open_two(&a, &b);
    assert_has_none(p, 1000, "expired");
    a.expires = 2000;
    assert_has(p, 1001, "old");
    credentials_close(p);
}

static void test_refused(void **state) {
    (void)state;
    struct scripted a = {CREDENTIALS_FOUND, "old", 0, 0}, b = {0};
    struct credentials_provider *p = open_two(&a, &b);
    assert_has(p, 1000, "old");
    a.id = "new";
    credentials_refused(p);
    assert_has_none(p, 1000, "refused"); /* asked within this second already */
    assert_has(p, 1001, "new");
    assert_has(p, 1001, "new");
    credentials_refused(p);
    a.found = CREDENTIALS_BROKEN;
    assert_has_none(p, 1002, "refused"); /* again so soon: later and later */
    assert_has_none(p, 1003, "line 3 is odd");
    credentials_close(p);
}

static void test_all_sources(void **state) {
    (void)state;
    set("AWS_ACCESS_KEY_ID", "AKID");
    set("AWS_SECRET_ACCESS_KEY", "secret");
    struct credentials_provider *p = credentials_open_environment();
    assert_has(p, 1000, "AKID");
    credentials_close(p);
    credentials_close(NULL);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_the_first_that_is_configured_decides),
        cmocka_unit_test(test_what_never_expires_is_asked_for_once),
        cmocka_unit_test(test_none_is_asked_again_once_a_second),
        cmocka_unit_test(test_a_clock_that_goes_back_stops_nothing),
        cmocka_unit_test(test_refresh_before_expiry),
        cmocka_unit_test(test_what_comes_expired_is_of_no_use),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_all_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
