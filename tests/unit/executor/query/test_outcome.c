/* The interface's table "What becomes of a query", and every code of the SDKs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "executor/query/outcome.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char mismatch[] = "Idempotent parameters do not match";

static enum outcome of(int status, const char *code, const char *message, bool chose) {
    struct outcome_input in = {
        .answered = true,
        .status = status,
        .code = code,
        .message = message,
        .chose_resources = chose,
    };
    return outcome_of_start(&in);
}

static void expect(int status, const char *code, const char *message, bool chose,
                   enum outcome want) {
    enum outcome got = of(status, code, message, chose);
    if (got != want)
        fail_msg("%d %s \"%s\"%s: %s, not %s", status, code, message,
                 chose ? " with resources of its own" : "", outcome_name(got), outcome_name(want));
}

/* --- codes, as Athena sends them: with status 400 --------------------------------------------- */

struct code_case {
    const char *code;
    enum outcome want, want_chose;
};

#define SAME(outcome) outcome, outcome

static const struct code_case codes[] = {
    {"TooManyRequestsException", SAME(OUTCOME_QUOTA)},
    {"Throttling", SAME(OUTCOME_RATE)},
    {"ThrottlingException", SAME(OUTCOME_RATE)},
    {"ThrottledException", SAME(OUTCOME_RATE)},
    {"RequestThrottledException", SAME(OUTCOME_RATE)},
    {"ProvisionedThroughputExceededException", SAME(OUTCOME_RATE)},
    {"TransactionInProgressException", SAME(OUTCOME_RATE)},
    {"RequestLimitExceeded", SAME(OUTCOME_RATE)},
    {"BandwidthLimitExceeded", SAME(OUTCOME_RATE)},
    {"LimitExceededException", SAME(OUTCOME_RATE)},
    {"RequestThrottled", SAME(OUTCOME_RATE)},
    {"SlowDown", SAME(OUTCOME_RATE)},
    {"PriorRequestNotComplete", SAME(OUTCOME_RATE)},
    {"EC2ThrottledException", SAME(OUTCOME_RATE)},
    {"RequestTimeout", SAME(OUTCOME_AMBIGUOUS)},
    {"RequestTimeoutException", SAME(OUTCOME_AMBIGUOUS)},
    {"InternalServerException", SAME(OUTCOME_AMBIGUOUS)},
    {"InternalServerError", SAME(OUTCOME_AMBIGUOUS)},
    {"InternalFailure", SAME(OUTCOME_AMBIGUOUS)},
    {"ServiceUnavailable", SAME(OUTCOME_AMBIGUOUS)},
    {"ServiceUnavailableException", SAME(OUTCOME_AMBIGUOUS)},
    {"ExpiredToken", SAME(OUTCOME_CREDENTIALS)},
    {"ExpiredTokenException", SAME(OUTCOME_CREDENTIALS)},
    {"TokenRefreshRequired", SAME(OUTCOME_CREDENTIALS)},
    {"UnrecognizedClientException", SAME(OUTCOME_CREDENTIALS)},
    {"InvalidClientTokenId", SAME(OUTCOME_CREDENTIALS)},
    {"InvalidAccessKeyId", SAME(OUTCOME_CREDENTIALS)},
    {"RequestExpired", SAME(OUTCOME_CREDENTIALS)},
    {"RequestInTheFuture", SAME(OUTCOME_CREDENTIALS)},
    {"RequestTimeTooSkewed", SAME(OUTCOME_CREDENTIALS)},
    {"SignatureDoesNotMatch", SAME(OUTCOME_CREDENTIALS)},
    {"InvalidSignatureException", SAME(OUTCOME_CREDENTIALS)},
    {"IncompleteSignature", SAME(OUTCOME_CREDENTIALS)},
    {"IncompleteSignatureException", SAME(OUTCOME_CREDENTIALS)},
    {"MissingAuthenticationToken", SAME(OUTCOME_CREDENTIALS)},
    {"MissingAuthenticationTokenException", SAME(OUTCOME_CREDENTIALS)},
    {"AuthFailure", SAME(OUTCOME_CREDENTIALS)},
    {"OptInRequired", SAME(OUTCOME_CREDENTIALS)},
    {"NotAuthorized", SAME(OUTCOME_CREDENTIALS)},
    {"AccessDenied", OUTCOME_CREDENTIALS, OUTCOME_REJECTED},
    {"AccessDeniedException", OUTCOME_CREDENTIALS, OUTCOME_REJECTED},
    {"InvalidRequestException", SAME(OUTCOME_REJECTED)},
    {"ResourceNotFoundException", SAME(OUTCOME_REJECTED)},
    {"MetadataException", SAME(OUTCOME_REJECTED)},
    {"ValidationException", SAME(OUTCOME_REJECTED)},
    {"SerializationException", SAME(OUTCOME_REJECTED)},
    {"UnknownOperationException", SAME(OUTCOME_REJECTED)},
    {"SomethingNewException", SAME(OUTCOME_REJECTED)},
    /* names are whole and have a case */
    {"toomanyrequestsexception", SAME(OUTCOME_REJECTED)},
    {"TooManyRequests", SAME(OUTCOME_REJECTED)},
    {"TooManyRequestsExceptions", SAME(OUTCOME_REJECTED)},
    {"ExpiredTokens", SAME(OUTCOME_REJECTED)},
};

static void test_codes(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        expect(400, codes[i].code, "", false, codes[i].want);
        expect(400, codes[i].code, "", true, codes[i].want_chose);
    }
}

/* The server's trouble, whatever it says: never dead-lettered, never rejected. */
static void test_codes_with_5xx(void **state) {
    (void)state;
    static const int statuses[] = {500, 501, 502, 503, 504, 505, 511, 599};
    for (size_t s = 0; s < COUNT(statuses); s++)
        for (size_t i = 0; i < COUNT(codes); i++)
            for (int chose = 0; chose < 2; chose++) {
                enum outcome of_400 = chose ? codes[i].want_chose : codes[i].want;
                expect(statuses[s], codes[i].code, mismatch, chose,
                       of_400 == OUTCOME_CREDENTIALS ? OUTCOME_CREDENTIALS : OUTCOME_AMBIGUOUS);
            }
}

/* A code that is known goes before the status. */
static void test_codes_with_other_4xx(void **state) {
    (void)state;
    static const int statuses[] = {401, 403, 404, 408, 413, 429, 499};
    for (size_t s = 0; s < COUNT(statuses); s++)
        for (size_t i = 0; i < COUNT(codes); i++)
            if (codes[i].want != OUTCOME_REJECTED)
                for (int chose = 0; chose < 2; chose++)
                    expect(statuses[s], codes[i].code, "", chose,
                           chose ? codes[i].want_chose : codes[i].want);
    expect(429, "InvalidRequestException", "", false, OUTCOME_REJECTED);
    expect(403, "InvalidRequestException", "", false, OUTCOME_REJECTED);
}

/* --- HTTP statuses, with no code and with one that nobody knows ------------------------------- */

static const struct {
    int status;
    enum outcome none, unknown;
} statuses[] = {
    {400, OUTCOME_AMBIGUOUS, OUTCOME_REJECTED},
    {401, OUTCOME_CREDENTIALS, OUTCOME_CREDENTIALS},
    {402, OUTCOME_AMBIGUOUS, OUTCOME_REJECTED},
    {403, OUTCOME_CREDENTIALS, OUTCOME_CREDENTIALS},
    {404, OUTCOME_AMBIGUOUS, OUTCOME_REJECTED},
    {407, OUTCOME_CREDENTIALS, OUTCOME_CREDENTIALS},
    {408, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {413, OUTCOME_AMBIGUOUS, OUTCOME_REJECTED},
    {429, OUTCOME_RATE, OUTCOME_RATE},
    {499, OUTCOME_AMBIGUOUS, OUTCOME_REJECTED},
    {500, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {502, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {503, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {504, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {599, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {600, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    /* no answers that an API gives */
    {0, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {100, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {200, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {201, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {204, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {301, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {302, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {304, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
    {307, OUTCOME_AMBIGUOUS, OUTCOME_AMBIGUOUS},
};

static void test_statuses(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(statuses); i++)
        for (int chose = 0; chose < 2; chose++) {
            expect(statuses[i].status, "", "", chose, statuses[i].none);
            expect(statuses[i].status, "", mismatch, chose, statuses[i].none);
            expect(statuses[i].status, "NobodyKnowsException", "", chose, statuses[i].unknown);
        }
}

/* Below 400 a code says nothing: the query may run. */
static void test_codes_below_400(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        expect(200, codes[i].code, mismatch, false, OUTCOME_AMBIGUOUS);
        expect(302, codes[i].code, mismatch, true, OUTCOME_AMBIGUOUS);
    }
}

/* --- ids -------------------------------------------------------------------------------------- */

static const struct {
    const char *what;
    struct outcome_input in;
    enum outcome want;
} answers[] = {
    {"an id", {.answered = true, .status = 200, .id = "e-1"}, OUTCOME_STARTED},
    {"an empty id", {.answered = true, .status = 200, .id = ""}, OUTCOME_AMBIGUOUS},
    {"no id", {.answered = true, .status = 200}, OUTCOME_AMBIGUOUS},
    {"an id with 201", {.answered = true, .status = 201, .id = "e-1"}, OUTCOME_AMBIGUOUS},
    {"an id with 400", {.answered = true, .status = 400, .id = "e-1"}, OUTCOME_AMBIGUOUS},
    {"an id with 500", {.answered = true, .status = 500, .id = "e-1"}, OUTCOME_AMBIGUOUS},
    {"half an answer", {.status = 200, .id = "e-1"}, OUTCOME_AMBIGUOUS},
    {"nothing", {.status = 0}, OUTCOME_AMBIGUOUS},
    {"no answer, a code", {.status = 400, .code = "AccessDenied"}, OUTCOME_AMBIGUOUS},
    {"no credentials", {.no_credentials = true}, OUTCOME_CREDENTIALS},
    {"no credentials, own resources",
     {.no_credentials = true, .chose_resources = true},
     OUTCOME_CREDENTIALS},
};

static void test_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct outcome_input in = answers[i].in;
        in.code = in.code != NULL ? in.code : "";
        in.message = "";
        enum outcome got = outcome_of_start(&in);
        if (got != answers[i].want)
            fail_msg("%s: %s", answers[i].what, outcome_name(got));
    }
}

/* --- the token with other parameters ---------------------------------------------------------- */

static void test_mismatch(void **state) {
    (void)state;
    for (int chose = 0; chose < 2; chose++) {
        expect(400, "InvalidRequestException", mismatch, chose, OUTCOME_MISMATCH);
        expect(400, "InvalidRequestException", "Error: Idempotent parameters do not match.", chose,
               OUTCOME_MISMATCH);
        expect(400, "InvalidRequestException", "Idempotent parameters", chose, OUTCOME_REJECTED);
        expect(400, "InvalidRequestException", "mismatched input 'SELEC'", chose, OUTCOME_REJECTED);
        expect(400, "ValidationException", mismatch, chose, OUTCOME_REJECTED);
        expect(400, "TooManyRequestsException", mismatch, chose, OUTCOME_QUOTA);
    }
}

/* --- looking at queries ----------------------------------------------------------------------- */

static const struct {
    bool answered;
    int status;
    const char *code, *message;
    enum outcome want;
} polls[] = {
    {true, 200, "", "", OUTCOME_STARTED},
    {false, 200, "", "", OUTCOME_AMBIGUOUS},
    {true, 204, "", "", OUTCOME_AMBIGUOUS},
    {true, 500, "InternalServerException", "", OUTCOME_AMBIGUOUS},
    {true, 400, "ThrottlingException", "Rate exceeded", OUTCOME_RATE},
    {true, 400, "TooManyRequestsException", "", OUTCOME_RATE},
    {true, 429, "", "", OUTCOME_RATE},
    {true, 400, "ExpiredTokenException", "", OUTCOME_CREDENTIALS},
    {true, 400, "AccessDeniedException", "", OUTCOME_CREDENTIALS},
    {true, 403, "", "", OUTCOME_CREDENTIALS},
    {true, 400, "InvalidRequestException", "", OUTCOME_REJECTED},
    {true, 400, "InvalidRequestException", mismatch, OUTCOME_REJECTED},
};

static void test_polls(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(polls); i++)
        for (int chose = 0; chose < 2; chose++) {
            struct outcome_input in = {
                .answered = polls[i].answered,
                .status = polls[i].status,
                .code = polls[i].code,
                .message = polls[i].message,
                .chose_resources = chose,
            };
            enum outcome got = outcome_of_poll(&in);
            if (got != polls[i].want)
                fail_msg("row %zu: %s", i, outcome_name(got));
        }
    assert_int_equal(
        outcome_of_poll(&(struct outcome_input){.no_credentials = true, .code = "", .message = ""}),
        OUTCOME_CREDENTIALS);
}

static void test_names(void **state) {
    (void)state;
    static const char *const names[OUTCOMES] = {"started",     "quota",    "rate",    "ambiguous",
                                                "credentials", "mismatch", "rejected"};
    for (int i = 0; i < OUTCOMES; i++)
        assert_string_equal(outcome_name((enum outcome)i), names[i]);
    assert_string_equal(outcome_name(OUTCOMES), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_codes_with_5xx),
        cmocka_unit_test(test_codes_with_other_4xx),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_codes_below_400),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_polls),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
