/* What AWS's errors are read as. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/error.h"
#include "common/base/memory.h"

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
        struct aws_error e;
        memset(&e, 'x', sizeof e);
        aws_error_read(cases[i].body, strlen(cases[i].body), &e);
        if (strcmp(e.code, cases[i].code) != 0 || strcmp(e.message, cases[i].message) != 0 ||
            strcmp(e.reason, cases[i].reason) != 0 || e.athena_code[0] != '\0')
            fail_msg("%s: code \"%s\" message \"%s\" reason \"%s\" athena_code \"%s\"",
                     cases[i].body, e.code, e.message, e.reason, e.athena_code);
    }
}

static void test_athena_code(void **state) {
    (void)state;
    static const struct {
        const char *body, *athena_code;
    } cases[] = {
        {"{\"__type\":\"InvalidRequestException\",\"AthenaErrorCode\":\"MALFORMED_QUERY\","
         "\"ErrorCode\":\"INVALID_INPUT\",\"Message\":\"m\"}",
         "MALFORMED_QUERY"},
        {"{\"__type\":\"InvalidRequestException\",\"ErrorCode\":\"INVALID_INPUT\"}", ""},
        {"{\"__type\":\"InvalidRequestException\",\"athenaErrorCode\":\"INVALID_INPUT\"}", ""},
        {"{\"__type\":\"InvalidRequestException\",\"AthenaErrorCode\":7}", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct aws_error e;
        aws_error_read(cases[i].body, strlen(cases[i].body), &e);
        assert_string_equal(e.code, "InvalidRequestException");
        assert_string_equal(e.athena_code, cases[i].athena_code);
    }
}

/* How the JSON services answer a Content-Type that is not theirs. */
static void test_an_empty_element_is_a_code(void **state) {
    (void)state;
    static const struct {
        const char *body, *code;
    } cases[] = {
        {"<UnknownOperationException/>", "UnknownOperationException"},
        {"<UnknownOperationException/>\r\n", "UnknownOperationException"},
        {"<A/>", "A"},
        {"<A/", ""},
        {"<A", ""},
        {"<", ""},
        {"</>", ""},
        {"<A/><B/>", ""},
        {"<A></A>", ""},
        {"<A b=\"c\"/>", ""},
        {"(A/>", ""},
        {"<html><body><b>Http/1.1 Service Unavailable</b></body> </html>", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct aws_error e;
        size_t n = strlen(cases[i].body);
        char *exact = mem_alloc(n); /* without a NUL, so that a read behind the end is seen */
        memcpy(exact, cases[i].body, n);
        aws_error_read(exact, n, &e);
        free(exact);
        assert_string_equal(e.code, cases[i].code);
        assert_string_equal(e.message, "");
    }
}

/* Only n bytes are read. */
static void test_length(void **state) {
    (void)state;
    static const char body[] = "{\"__type\":\"A\"}{\"__type\":\"B\"}";
    struct aws_error e;
    aws_error_read(body, 14, &e);
    assert_string_equal(e.code, "A");
}

static void test_long_texts_are_cut_between_characters(void **state) {
    (void)state;
    static const struct {
        const char *text, *cut; /* behind AWS_ERROR_TEXT_MAX - 8 other characters */
    } cases[] = {
        {"abcdefg", "abcdefg"},
        {"abcdefgh", "abcdefg"},
        {"abcdef\xc3\xa9", "abcdef"},
        {"abcde\xc3\xa9", "abcde\xc3\xa9"},
        {"\xf0\x9f\x98\x80\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    };
    char filler[AWS_ERROR_TEXT_MAX - 8 + 1];
    memset(filler, '#', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[2 * AWS_ERROR_TEXT_MAX];
        struct aws_error e;
        snprintf(body, sizeof body, "{\"message\":\"%s%s\"}", filler, cases[i].text);
        aws_error_read(body, strlen(body), &e);
        assert_string_equal(e.message + sizeof filler - 1, cases[i].cut);
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
        cmocka_unit_test(test_athena_code),
        cmocka_unit_test(test_an_empty_element_is_a_code),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_long_texts_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
