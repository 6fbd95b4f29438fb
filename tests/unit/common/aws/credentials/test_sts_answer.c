/* The XML of STS: what is read of it, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/aws/credentials/sts.h"
#include "common/aws/credentials/sts_answer.h"
#include "common/aws/credentials/sts_assume.h"

static void test_documents(void **state) {
    (void)state;
    static const struct {
        const char *xml, *text; /* of a/b; NULL: none */
        bool sound;
    } cases[] = {
        {"<a><b>x</b></a>", "x", true},
        {"<a><b></b></a>", "", true},
        {"<a><b/></a>", "", true},
        {"<a/>", NULL, true},
        {"<a><c>x</c></a>", NULL, true},
        {"<a><c><b>x</b></c></a>", NULL, true},
        {"<?xml version=\"1.0\"?>\n<a xmlns=\"http://x/>y\">\n <b k='v'>x</b>\n</a>\n", "x", true},
        {"\xef\xbb\xbf<a><b>x</b></a>", "x", true},
        {"<a><!-- <b>y</b> --><b>x</b></a>", "x", true},
        {"<a ><b >x</b ></a >", "x", true},
        {"<a><b>&lt;&gt;&amp;&quot;&apos;</b></a>", "<>&\"'", true},
        {"<a><b>&#65;&#x42;&#x20ac;&#128512;</b></a>", "AB\xe2\x82\xac\xf0\x9f\x98\x80", true},
        {"<a><b>x</b><b>y</b></a>", NULL, false},
        {"<a><b>x<c/></b></a>", NULL, false},
        {"<a><b>&nbsp;</b></a>", NULL, false},
        {"<a><b>& </b></a>", NULL, false},
        {"<a><b>&#;</b></a>", NULL, false},
        {"<a><b>&#0;</b></a>", NULL, false},
        {"<a><b>&#xd800;</b></a>", NULL, false},
        {"<a><b>&#x110000;</b></a>", NULL, false},
        {"<a><b>&#65", NULL, false},
        {"<a><b>x</c></a>", NULL, false},
        {"<a><b>x</b>", NULL, false},
        {"<a><b>x</b></a></a>", NULL, false},
        {"<a><b>x</b></a><a/>", NULL, false},
        {"<a><b>x</b></a>y", NULL, false},
        {"y<a><b>x</b></a>", NULL, false},
        {"<!DOCTYPE a><a><b>x</b></a>", NULL, false},
        {"<a><b><![CDATA[x]]></b></a>", NULL, false},
        {"<a><b k=\"<\">x</b></a>", "x", true},
        {"<a><b <>x</b></a>", NULL, false},
        {"<a", NULL, false},
        {"<", NULL, false},
        {"</a>", NULL, false},
        {"", NULL, false},
        {" ", NULL, false},
        {"{\"a\":1}", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sts_element e[] = {{"a/b", NULL}};
        size_t n = strlen(cases[i].xml);
        char *exact = malloc(n + 1); /* so that a read behind the end is seen */
        memcpy(exact, cases[i].xml, n);
        if (sts_answer_read(exact, n, e, 1) != cases[i].sound)
            fail_msg("%s: not as expected", cases[i].xml);
        if (cases[i].text == NULL)
            assert_null(e[0].text);
        else
            assert_string_equal(e[0].text, cases[i].text);
        sts_answer_free(e, 1);
        free(exact);
    }
}

/* Cut anywhere it is refused, and nothing is read behind its end. */
static void test_cut(void **state) {
    (void)state;
    static const char xml[] = "<?xml version='1'?><!-- c --><a x='1'><b>&amp;&#x41;</b><c/></a>";
    for (size_t n = 0; n < sizeof xml - 1; n++) {
        struct sts_element e[] = {{"a/b", NULL}};
        char *exact = malloc(n > 0 ? n : 1);
        memcpy(exact, xml, n);
        assert_false(sts_answer_read(exact, n, e, 1));
        assert_null(e[0].text);
        free(exact);
    }
}

static void test_deep_and_long_names_are_refused(void **state) {
    (void)state;
    char xml[4096] = "";
    struct sts_element e[] = {{"a/b", NULL}};
    for (int i = 0; i < 1000; i++)
        strcat(xml, "<a>");
    assert_false(sts_answer_read(xml, strlen(xml), e, 1));
}

static void test_errors(void **state) {
    (void)state;
    static const struct {
        const char *xml, *code, *message;
    } cases[] = {
        {"<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>AccessDenied</Code>"
         "<Message>User: x is not authorized &amp; more</Message></Error>"
         "<RequestId>1</RequestId></ErrorResponse>",
         "AccessDenied", "User: x is not authorized & more"},
        {"<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code>"
         "<Message>It does not match. The Canonical String was 's3cret'</Message></Error>"
         "</ErrorResponse>",
         "SignatureDoesNotMatch", "It does not match"},
        {"<ErrorResponse><Error><Code>X</Code></Error></ErrorResponse>", "X", ""},
        {"<html>502</html>", "", ""},
        {"no", "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char code[64], message[64];
        sts_answer_error(cases[i].xml, strlen(cases[i].xml), code, message, sizeof code);
        assert_string_equal(code, cases[i].code);
        assert_string_equal(message, cases[i].message);
    }
}

#define KEYS                                                                                       \
    "<Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s3cr/+</SecretAccessKey>"        \
    "<SessionToken>t0k==</SessionToken><Expiration>2026-01-02T03:04:05Z</Expiration></Credentials>"

static void test_credentials(void **state) {
    (void)state;
    static const struct {
        const char *xml;
        bool web_identity, sound;
    } cases[] = {
        {"<AssumeRoleResponse><AssumeRoleResult>" KEYS "</AssumeRoleResult></AssumeRoleResponse>",
         false, true},
        {"<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>" KEYS
         "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
         true, true},
        {"<AssumeRoleResponse><AssumeRoleResult>" KEYS "</AssumeRoleResult></AssumeRoleResponse>",
         true, false},
        {"<AssumeRoleResponse>" KEYS "</AssumeRoleResponse>", false, false},
        {"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId>"
         "<SecretAccessKey>s3cr</SecretAccessKey><SessionToken>t</SessionToken>"
         "<Expiration>soon</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
         false, false},
        {"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A&#10;</AccessKeyId>"
         "<SecretAccessKey>s3cr</SecretAccessKey><SessionToken>t</SessionToken>"
         "<Expiration>2026-01-02T03:04:05Z</Expiration></Credentials></AssumeRoleResult>"
         "</AssumeRoleResponse>",
         false, false},
        {"{}", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct credentials c = {0};
        char detail[128] = "";
        bool sound = sts_read_credentials(cases[i].xml, strlen(cases[i].xml), cases[i].web_identity,
                                          &c, detail, sizeof detail);
        assert_int_equal(sound, cases[i].sound);
        assert_null(strstr(detail, "s3cr"));
        if (sound) {
            assert_string_equal(c.access_key_id, "ASIA");
            assert_string_equal(c.secret_access_key, "s3cr/+");
            assert_string_equal(c.session_token, "t0k==");
            assert_int_equal(c.expires, 1767323045);
        } else {
            assert_true(detail[0] != '\0');
            assert_null(c.access_key_id);
        }
        credentials_wipe(&c);
    }
}

static void test_what_may_be_assumed(void **state) {
    (void)state;
    static const char arn[] = "arn:aws:iam::123456789012:role/x";
    static const struct {
        struct sts_assume assume;
        bool sound;
    } cases[] = {
        {{.role_arn = arn}, true},
        {{.role_arn = arn, .session_name = "a.b@c-d_e=f,g+"}, true},
        {{.role_arn = arn, .session_name = "a"}, false},
        {{.role_arn = arn, .session_name = "a b"}, false},
        {{.role_arn = arn, .duration_s = "900"}, true},
        {{.role_arn = arn, .duration_s = "899"}, false},
        {{.role_arn = arn, .duration_s = "43201"}, false},
        {{.role_arn = arn, .duration_s = "1h"}, false},
        {{.role_arn = arn, .duration_s = "99999999999999999999"}, false},
        {{.role_arn = "role/x"}, false},
        {{.role_arn = "arn:aws:iam::123456789012:role/ x"}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(sts_assume_fault(&cases[i].assume) == NULL, cases[i].sound);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_deep_and_long_names_are_refused),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_what_may_be_assumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
