/* Credentials as JSON, and the times in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/aws/credentials/document.h"

static void test_times(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds; /* -1: none */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-01-02T03:04:05Z", 1767323045},
        {"2026-01-02T03:04:05.999Z", 1767323045},
        {"2026-01-02T03:04:05.123456789+00:00", 1767323045},
        {"2026-01-02T04:04:05+01:00", 1767323045},
        {"2026-01-02T04:34:05+0130", 1767323045},
        {"2026-01-01T23:04:05-04:00", 1767323045},
        {"2024-02-29T00:00:00Z", 1709164800},
        {"2026-01-02T03:04:05", -1},
        {"2026-01-02T03:04:05Zx", -1},
        {"2026-01-02T03:04:05.Z", -1},
        {"2026-01-02T03:04:05+1", -1},
        {"2026-13-02T03:04:05Z", -1},
        {"2026-01-02T24:04:05Z", -1},
        {"2026-01-02", -1},
        {"2026", -1},
        {"never", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t seconds = -1;
        bool sound = credentials_time_read(cases[i].text, &seconds);
        if (sound != (cases[i].seconds >= 0) || (sound && seconds != cases[i].seconds))
            fail_msg("\"%s\": %d %lld", cases[i].text, sound, (long long)seconds);
    }
}

#define T ",\"Expiration\":\"2026-01-02T03:04:05Z\""

static void test_documents(void **state) {
    (void)state;
    static const struct {
        enum document_kind kind;
        const char *json, *token, *says; /* `says` NULL: sound */
        int64_t expires;
    } cases[] = {
        {DOCUMENT_METADATA,
         "{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"A\","
         "\"SecretAccessKey\":\"s3cret\",\"Token\":\"t\"" T "}",
         "t", NULL, 1767323045},
        {DOCUMENT_METADATA, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\"}", NULL, NULL,
         0},
        {DOCUMENT_METADATA, "{\"Code\":\"AssumeRoleUnauthorizedAccess\"}", NULL,
         "AssumeRoleUnauthorizedAccess", 0},
        {DOCUMENT_METADATA, "{\"AccessKeyId\":\"A\",\"Token\":\"t\"" T "}", NULL,
         "SecretAccessKey is missing", 0},
        {DOCUMENT_METADATA,
         "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\",\"Expiration\":\"s3cret\"}", NULL,
         "no time", 0},
        {DOCUMENT_METADATA, "{\"AccessKeyId\":7,\"SecretAccessKey\":\"s3cret\"}", NULL, "no string",
         0},
        {DOCUMENT_METADATA, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\\r\\nX: y\"}",
         NULL, "SecretAccessKey is not", 0},
        {DOCUMENT_METADATA, "{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"s3cret\"}", NULL,
         "AccessKeyId is not", 0},
        {DOCUMENT_METADATA, "<html>s3cret</html>", NULL, "not JSON", 0},
        {DOCUMENT_METADATA, "", NULL, "not JSON", 0},
        {DOCUMENT_PROCESS,
         "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\","
         "\"SessionToken\":\"t\"" T "}\n",
         "t", NULL, 1767323045},
        {DOCUMENT_PROCESS,
         "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\","
         "\"SessionToken\":null}",
         NULL, NULL, 0},
        {DOCUMENT_PROCESS, "{\"Version\":2,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\"}",
         NULL, "Version", 0},
        {DOCUMENT_PROCESS, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\"}", NULL,
         "Version", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct credentials c = {0};
        char detail[256] = "";
        bool sound = credentials_document_read(cases[i].kind, cases[i].json, strlen(cases[i].json),
                                               &c, detail, sizeof detail);
        assert_null(strstr(detail, "s3cret"));
        if (cases[i].says != NULL) {
            assert_false(sound);
            if (strstr(detail, cases[i].says) == NULL)
                fail_msg("%s: %s", cases[i].json, detail);
            assert_null(c.access_key_id);
            continue;
        }
        if (!sound)
            fail_msg("%s: %s", cases[i].json, detail);
        assert_string_equal(c.access_key_id, "A");
        assert_string_equal(c.secret_access_key, "s3cret");
        if (cases[i].token == NULL)
            assert_null(c.session_token);
        else
            assert_string_equal(c.session_token, cases[i].token);
        assert_int_equal(c.expires, cases[i].expires);
        credentials_wipe(&c);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
