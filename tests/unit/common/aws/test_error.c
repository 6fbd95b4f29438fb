/* What AWS's errors are read as. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/aws/error.h"

static void test_bodies(void **state) {
    (void)state;
    static const struct {
        const char *body, *code, *message, *reason;
    } cases[] = {
        {"{\"__type\":\"TooManyRequestsException\",\"Message\":\"You have exceeded the limit\","
         "\"Reason\":\"CONCURRENT_QUERY_LIMIT_EXCEEDED\"}",
         "TooManyRequestsException", "You have exceeded the limit",
         "CONCURRENT_QUERY_LIMIT_EXCEEDED"},
        {"{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}",
         "ThrottlingException", "Rate exceeded", ""},
        {"{\"__type\":\"com.amazon.coral.service#ExpiredTokenException\",\"message\":\"x\"}",
         "ExpiredTokenException", "x", ""},
        {"{\"__type\":\"ns#InvalidRequestException:http://internal.amazon.com/a#b/\"}",
         "InvalidRequestException", "", ""},
        {"{\"__type\":\"a#b#Last\"}", "Last", "", ""},
        {"{\"__type\":\"#\"}", "", "", ""},
        {"{\"__type\":\":\"}", "", "", ""},
        /* `message` goes before `Message`, wherever it stands. */
        {"{\"Message\":\"large\",\"message\":\"small\"}", "", "small", ""},
        {"{\"message\":\"small\",\"Message\":\"large\"}", "", "small", ""},
        {"{\"message\":null,\"Message\":\"large\"}", "", "large", ""},
        {"{\"__type\":7,\"message\":[\"x\"],\"Reason\":{}}", "", "", ""},
        {"{\"message\":\"\\u00e9\\n\"}", "", "\xc3\xa9\n", ""},
        /* What AWS would have signed, session token and all, goes nowhere. */
        {"{\"__type\":\"InvalidSignatureException\",\"message\":\"It does not match. The Canonical "
         "String should have been 'POST x-amz-security-token:t'\"}",
         "InvalidSignatureException", "It does not match", ""},
        {"{\"message\":\"It does not match\\n\\n'POST'\",\"__type\":\"SignatureDoesNotMatch\"}",
         "SignatureDoesNotMatch", "It does not match", ""},
        {"{\"__type\":\"InvalidRequestException\",\"message\":\"line 1:1. b\\nc\"}",
         "InvalidRequestException", "line 1:1. b\nc", ""},
        {"{}", "", "", ""},
        {"", "", "", ""},
        {"null", "", "", ""},
        {"\"__type\"", "", "", ""},
        {"<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>", "", "",
         ""},
        {"{\"__type\":\"A\"} trailing", "", "", ""},
        {"{\"__type\":\"A\"", "", "", ""},
        {"{\"__type\":\"A\",\"__type\":\"B\"}", "", "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char code[64] = "old", message[64] = "old", reason[64] = "old";
        aws_error_read(cases[i].body, strlen(cases[i].body), code, message, reason, sizeof code);
        if (strcmp(code, cases[i].code) != 0 || strcmp(message, cases[i].message) != 0 ||
            strcmp(reason, cases[i].reason) != 0)
            fail_msg("%s: code \"%s\" message \"%s\" reason \"%s\"", cases[i].body, code, message,
                     reason);
    }
}

/* Only n bytes are read. */
static void test_length(void **state) {
    (void)state;
    static const char body[] = "{\"__type\":\"A\"}{\"__type\":\"B\"}";
    char code[8], message[8], reason[8];
    aws_error_read(body, 14, code, message, reason, sizeof code);
    assert_string_equal(code, "A");
}

static void test_long_texts_are_cut_between_characters(void **state) {
    (void)state;
    static const struct {
        const char *text, *cut;
    } cases[] = {
        {"abcdefg", "abcdefg"},
        {"abcdefgh", "abcdefg"},
        {"abcdef\xc3\xa9", "abcdef"},
        {"abcde\xc3\xa9", "abcde\xc3\xa9"},
        {"\xf0\x9f\x98\x80\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[64], code[8], message[8], reason[8];
        snprintf(body, sizeof body, "{\"message\":\"%s\"}", cases[i].text);
        aws_error_read(body, strlen(body), code, message, reason, sizeof message);
        assert_string_equal(message, cases[i].cut);
    }
    char code[1];
    aws_error_code("ThrottlingException", code, sizeof code);
    assert_string_equal(code, "");
}

/* The lists of botocore's retries/standard.py, and neighbours. */
static void test_passing(void **state) {
    (void)state;
    static const char *const passing[] = {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "RequestThrottled",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
    };
    static const char *const lasting[] = {
        "",
        "Throttl",
        "ThrottlingExceptio",
        "throttling",
        "AccessDeniedException",
        "ExpiredToken",
        "InvalidParameterValueException",
        "SignatureDoesNotMatch",
    };
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (!aws_error_is_passing(passing[i]))
            fail_msg("%s lasts", passing[i]);
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++)
        if (aws_error_is_passing(lasting[i]))
            fail_msg("%s passes", lasting[i]);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passing),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_long_texts_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
