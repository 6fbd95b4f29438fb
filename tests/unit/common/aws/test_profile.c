/* The shared files: what is a profile, which of two values counts, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/aws/profile.h"

static void add(struct profiles *p, enum profile_file file, const char *text) {
    char detail[128] = "";
    if (!profiles_add(p, file, text, strlen(text), detail, sizeof detail))
        fail_msg("refused \"%s\": %s", text, detail);
}

static void assert_value(const char *found, const char *expected) {
    if (expected == NULL && found != NULL)
        fail_msg("found \"%s\", expected none", found);
    if (expected != NULL && (found == NULL || strcmp(found, expected) != 0))
        fail_msg("found \"%s\", expected \"%s\"", found != NULL ? found : "(none)", expected);
}

static void test_values(void **state) {
    (void)state;
    static const struct {
        const char *config, *profile, *key, *value;
    } cases[] = {
        {"[default]\nregion = eu-west-1\n", "default", "region", "eu-west-1"},
        {"[default]\nregion=eu-west-1", "default", "region", "eu-west-1"},
        {"[default]\r\nregion = eu-west-1\r\n", "default", "region", "eu-west-1"},
        {"\xef\xbb\xbf[default]\nregion = a\n", "default", "region", "a"},
        {"[default]\nREGION = a\n", "default", "region", "a"},
        {"[default]\nregion = a\nregion = b\n", "default", "region", "b"},
        {"[default]\nregion =\n", "default", "region", NULL},
        {"[default]\nregion\t=\ta b \n", "default", "region", "a b"},
        {"# first\n[default]\n; second\n  # third\nregion = a\n", "default", "region", "a"},
        {"[default]\nregion = a # b\n", "default", "region", "a"},
        {"[default]\nregion = a\t; b\n", "default", "region", "a"},
        {"[default]\nregion = a#b;c\n", "default", "region", "a#b;c"},
        {"[default]\nregion = a=b==\n", "default", "region", "a=b=="},
        {"[default] # why\nregion = a\n", "default", "region", "a"},
        {"[ default ]\nregion = a\n", "default", "region", "a"},
        {"[profile x]\nregion = a\n", "x", "region", "a"},
        {"[profile\tx]\nregion = a\n", "x", "region", "a"},
        {"[profile \"my x\"]\nregion = a\n", "my x", "region", "a"},
        {"[x]\nregion = a\n", "x", "region", NULL}, /* in the config file that is no profile */
        {"[profile x]\nregion = a\n", "X", "region", NULL},
        {"[profile x]\nregion = a\n[profile y]\nregion = b\n[profile x]\nkey = c\n", "x", "key",
         "c"},
        {"[profile default]\nregion = a\n[default]\nregion = b\n", "default", "region", "a"},
        {"[default]\nregion = b\n[profile default]\nother = a\n", "default", "region", NULL},
        {"[sso-session x]\nregion = a\n", "x", "region", NULL},
        {"[default]\ns3 =\n  max = 10\nregion = a\n", "default", "region", "a"},
        {"[default]\ns3 =\n  region = 10\n", "default", "region", NULL},
        {"[default]\ns3 =\n  max = 10\n  min = 5 # c\n", "default", "s3", "\nmax = 10\nmin = 5"},
        {"[default]\n  region = a\n", "default", "region", "a"}, /* nothing to go on with */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct profiles p = {0};
        add(&p, PROFILE_CONFIG, cases[i].config);
        assert_value(profiles_value(&p, cases[i].profile, cases[i].key), cases[i].value);
        profiles_free(&p);
        assert_null(p.lines);
    }
}

static void test_both_files(void **state) {
    (void)state;
    struct profiles p = {0};
    add(&p, PROFILE_CONFIG,
        "[default]\na = config\nb = config\n[profile x]\na = x\n[profile only]\n");
    add(&p, PROFILE_CREDENTIALS, "[default]\na = credentials\n[y]\na = y\n[profile z]\na = z\n");
    assert_value(profiles_value(&p, "default", "a"), "credentials");
    assert_value(profiles_value(&p, "default", "b"), "config");
    assert_value(profiles_value_in(&p, PROFILE_CONFIG, "default", "a"), "config");
    assert_value(profiles_value_in(&p, PROFILE_CREDENTIALS, "default", "b"), NULL);
    assert_value(profiles_value(&p, "y", "a"), "y");
    assert_true(profiles_have(&p, "default"));
    assert_true(profiles_have(&p, "x"));
    assert_true(profiles_have(&p, "y"));
    assert_true(profiles_have(&p, "only")); /* with nothing in it */
    assert_false(profiles_have(&p, "z"));   /* the credentials file has no such prefix */
    assert_true(profiles_have(&p, "profile z"));
    profiles_free(&p);
    assert_false(profiles_have(&p, "default"));
}

static void test_what_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[default\n", "line 1"},        {"[]\n", "line 1"},
        {"[default] x\n", "line 1"},     {"[default]\nhunter2\n", "line 2"},
        {"\n\nhunter2 = x\n", "line 3"}, {"[default]\n= hunter2\n", "line 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct profiles p = {0};
        char detail[128] = "";
        assert_false(profiles_add(&p, PROFILE_CREDENTIALS, cases[i].text, strlen(cases[i].text),
                                  detail, sizeof detail));
        assert_non_null(strstr(detail, cases[i].says));
        assert_null(strstr(detail, "hunter2"));
        profiles_free(&p);
    }
    struct profiles p = {0};
    char detail[128];
    static const char nul[] = "[default]\na = b\0c\n";
    assert_false(profiles_add(&p, PROFILE_CONFIG, nul, sizeof nul - 1, detail, sizeof detail));
    profiles_free(&p);
}

static void test_endpoints_of_services(void **state) {
    (void)state;
    struct profiles p = {0};
    add(&p, PROFILE_CONFIG,
        "[default]\nservices = local\n[profile x]\nservices = none\n"
        "[services local]\nathena =\n  endpoint_url = http://a/\n  other = b\n"
        "sts =\n  other = c\n");
    char *found = profiles_service_endpoint(&p, "default", "athena");
    assert_string_equal(found, "http://a/");
    free(found);
    assert_null(profiles_service_endpoint(&p, "default", "sts"));
    assert_null(profiles_service_endpoint(&p, "default", "cloudwatch"));
    assert_null(profiles_service_endpoint(&p, "x", "athena"));
    assert_null(profiles_service_endpoint(&p, "y", "athena"));
    profiles_free(&p);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_both_files),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_endpoints_of_services),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
