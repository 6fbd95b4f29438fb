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

static const struct query chose_nothing;
static const struct query chose_all = {
    .work_group = "own", .output_location = "s3://own/", .catalog = "own", .database = "own"};

static struct outcome_input answered(int status, const char *code, const char *message,
                                     const struct query *query) {
    return (struct outcome_input){
        .answered = true,
        .status = status,
        .code = code,
        .athena_code = "",
        .message = message,
        .query = query,
    };
}

static void expect(int status, const char *code, const char *message, bool chose,
                   enum outcome want) {
    struct outcome_input in = answered(status, code, message, chose ? &chose_all : &chose_nothing);
    enum outcome got = outcome_of_start(&in);
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
    {"RequestAbortedException", SAME(OUTCOME_AMBIGUOUS)},
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
    {"OptInRequired", SAME(OUTCOME_CONFIGURATION)},
    {"SubscriptionRequiredException", SAME(OUTCOME_CONFIGURATION)},
    {"UnknownOperationException", SAME(OUTCOME_CONFIGURATION)},
    {"InvalidAction", SAME(OUTCOME_CONFIGURATION)},
    {"MissingAction", SAME(OUTCOME_CONFIGURATION)},
    {"MalformedHttpRequestException", SAME(OUTCOME_CONFIGURATION)},
    {"SerializationException", SAME(OUTCOME_CONFIGURATION)}, /* without a message */
    {"NotAuthorized", OUTCOME_DENIED, OUTCOME_REJECTED},
    {"AccessDenied", OUTCOME_DENIED, OUTCOME_REJECTED},
    {"AccessDeniedException", OUTCOME_DENIED, OUTCOME_REJECTED},
    {"InvalidRequestException", SAME(OUTCOME_REJECTED)},
    {"ResourceNotFoundException", SAME(OUTCOME_REJECTED)},
    {"MetadataException", SAME(OUTCOME_REJECTED)},
    {"ValidationException", SAME(OUTCOME_REJECTED)},
    {"RequestEntityTooLargeException", SAME(OUTCOME_REJECTED)},
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
    {"no credentials", {.unsent = true, .no_credentials = true}, OUTCOME_CREDENTIALS},
    {"no credentials, own resources",
     {.unsent = true, .no_credentials = true, .query = &chose_all},
     OUTCOME_CREDENTIALS},
    {"no connection", {.unsent = true}, OUTCOME_UNREACHABLE},
    {"no connection, perhaps started",
     {.unsent = true, .perhaps_started = true},
     OUTCOME_UNREACHABLE},
};

static void test_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct outcome_input in = answers[i].in;
        in.code = in.code != NULL ? in.code : "";
        in.athena_code = in.message = "";
        enum outcome got = outcome_of_start(&in);
        if (got != answers[i].want)
            fail_msg("%s: %s", answers[i].what, outcome_name(got));
    }
}

/* --- InvalidRequestException ------------------------------------------------------------------ */

#define VALIDATION(field)                                                                          \
    "1 validation error detected: Value at '" field "' failed to satisfy constraint: Member must " \
    "not be so"

/* Bodies of our own; test_recorded_answers.c has those that others recorded. */
static const struct {
    const char *athena_code, *message;
    enum outcome want, want_chose; /* it chose nothing; it chose all */
} invalid[] = {
    {"IDEMPOTENT_PARAMETER_MISMATCH", "", SAME(OUTCOME_MISMATCH)},
    {"IDEMPOTENT_PARAMETER_MISMATCH", "in other words", SAME(OUTCOME_MISMATCH)},
    {"", "Idempotent parameters do not match", SAME(OUTCOME_MISMATCH)},
    {"", "Idempotent parameters do not match.", SAME(OUTCOME_MISMATCH)},
    {"INVALID_INPUT", "Idempotent parameters do not match", SAME(OUTCOME_MISMATCH)},
    {"", "Idempotent parameters", SAME(OUTCOME_REJECTED)},
    {"", "Error: Idempotent parameters do not match", SAME(OUTCOME_REJECTED)},
    {"", "Idempotent parameters do not match; SELECT 2", SAME(OUTCOME_REJECTED)},

    /* a MALFORMED_QUERY may quote anything */
    {"MALFORMED_QUERY", "Idempotent parameters do not match", SAME(OUTCOME_REJECTED)},
    {"MALFORMED_QUERY", "WorkGroup is not found.", SAME(OUTCOME_REJECTED)},
    {"MALFORMED_QUERY", "No output location provided.", SAME(OUTCOME_REJECTED)},
    {"MALFORMED_QUERY", "Rate exceeded", SAME(OUTCOME_REJECTED)},
    {"MALFORMED_QUERY", "Unable to verify/create output bucket b", SAME(OUTCOME_REJECTED)},
    {"MALFORMED_QUERY", VALIDATION("workGroup"), SAME(OUTCOME_REJECTED)},

    /* who chose what is blamed */
    {"INVALID_INPUT", "WorkGroup is not found.", OUTCOME_CONFIGURATION, OUTCOME_REJECTED},
    {"", "WorkGroup primary is not found.", OUTCOME_CONFIGURATION, OUTCOME_REJECTED},
    {"INVALID_INPUT", "Workgroup is disabled.", OUTCOME_CONFIGURATION, OUTCOME_REJECTED},
    {"INVALID_INPUT", "WorkGroup a does not exist", OUTCOME_CONFIGURATION, OUTCOME_REJECTED},
    {"INVALID_INPUT", "No output location provided. More words.", OUTCOME_CONFIGURATION,
     OUTCOME_REJECTED},
    {"INVALID_INPUT", "outputLocation is not a valid S3 path.", OUTCOME_CONFIGURATION,
     OUTCOME_REJECTED},
    {"INVALID_INPUT",
     "The S3 location provided to save your query results is invalid. Please check it.",
     OUTCOME_CONFIGURATION, OUTCOME_REJECTED},
    {"INVALID_INPUT",
     "You do not seem to have access to the S3 location of your query results. Please confirm.",
     OUTCOME_CONFIGURATION, OUTCOME_REJECTED},
    {"INVALID_INPUT", VALIDATION("workGroup"), OUTCOME_CONFIGURATION, OUTCOME_REJECTED},
    {"INVALID_INPUT", VALIDATION("resultConfiguration.outputLocation"), OUTCOME_CONFIGURATION,
     OUTCOME_REJECTED},
    {"INVALID_INPUT", VALIDATION("queryExecutionContext.database"), OUTCOME_CONFIGURATION,
     OUTCOME_REJECTED},
    {"INVALID_INPUT", VALIDATION("queryExecutionContext.catalog"), OUTCOME_CONFIGURATION,
     OUTCOME_REJECTED},
    /* that will pass, but must not hold up those who write elsewhere */
    {"INVALID_INPUT", "Unable to verify/create output bucket b", OUTCOME_CONFIGURATION,
     OUTCOME_DENIED},

    /* the same words, of the query itself */
    {"INVALID_INPUT", VALIDATION("queryString"), SAME(OUTCOME_REJECTED)},
    {"INVALID_INPUT", VALIDATION("executionParameters"), SAME(OUTCOME_REJECTED)},
    {"INVALID_INPUT", "It was submitted to a Workgroup that is not found", SAME(OUTCOME_REJECTED)},
    {"INVALID_INPUT", "WorkGroup enforces something of this query", SAME(OUTCOME_REJECTED)},
    {"INVALID_INPUT", "Entity Not Found", SAME(OUTCOME_REJECTED)},
    {"INVALID_INPUT", "Table 'No output location provided.' is none", SAME(OUTCOME_REJECTED)},
    {"SOMETHING_NEW", "WorkGroup is not found.", SAME(OUTCOME_REJECTED)},

    /* the rate of what Athena calls itself */
    {"INVALID_INPUT", "Rate exceeded (Service: AmazonDataCatalog)", SAME(OUTCOME_RATE)},
    {"", "Rate exceeded", SAME(OUTCOME_RATE)},
    {"INVALID_INPUT", "The words 'Rate exceeded' in a table", SAME(OUTCOME_REJECTED)},
};

static void test_invalid_requests(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(invalid); i++)
        for (int chose = 0; chose < 2; chose++) {
            struct outcome_input in = answered(400, "InvalidRequestException", invalid[i].message,
                                               chose ? &chose_all : &chose_nothing);
            in.athena_code = invalid[i].athena_code;
            enum outcome want = chose ? invalid[i].want_chose : invalid[i].want;
            enum outcome got = outcome_of_start(&in);
            if (got != want)
                fail_msg("%s \"%s\" chose=%d: %s, not %s", invalid[i].athena_code,
                         invalid[i].message, chose, outcome_name(got), outcome_name(want));
        }
}

/* Each default is blamed on those alone who did not choose it themselves. */
static void test_what_was_chosen(void **state) {
    (void)state;
    static const struct query work_group = {.work_group = "own"},
                              location = {.output_location = "s3://own/"},
                              catalog = {.catalog = "own"}, database = {.database = "own"};
    static const struct {
        const char *message;
        const struct query *query;
        enum outcome want;
    } cases[] = {
        {"WorkGroup is not found.", &work_group, OUTCOME_REJECTED},
        {"WorkGroup is not found.", &location, OUTCOME_CONFIGURATION},
        {"WorkGroup is not found.", &database, OUTCOME_CONFIGURATION},
        {"No output location provided.", &work_group, OUTCOME_REJECTED},
        {"No output location provided.", &catalog, OUTCOME_CONFIGURATION},
        {"outputLocation is not a valid S3 path.", &location, OUTCOME_REJECTED},
        {"outputLocation is not a valid S3 path.", &database, OUTCOME_CONFIGURATION},
        {"Unable to verify/create output bucket b", &location, OUTCOME_DENIED},
        {"Unable to verify/create output bucket b", &work_group, OUTCOME_DENIED},
        {"Unable to verify/create output bucket b", &database, OUTCOME_CONFIGURATION},
        {VALIDATION("queryExecutionContext.database"), &database, OUTCOME_REJECTED},
        {VALIDATION("queryExecutionContext.database"), &work_group, OUTCOME_CONFIGURATION},
        {VALIDATION("queryExecutionContext.catalog"), &catalog, OUTCOME_REJECTED},
        {VALIDATION("queryExecutionContext.catalog"), &database, OUTCOME_CONFIGURATION},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct outcome_input in =
            answered(400, "InvalidRequestException", cases[i].message, cases[i].query);
        if (outcome_of_start(&in) != cases[i].want)
            fail_msg("row %zu: %s", i, outcome_name(outcome_of_start(&in)));
    }
    struct outcome_input in = answered(400, "AccessDeniedException", "", &location);
    assert_int_equal(outcome_of_start(&in), OUTCOME_DENIED);
    in.query = &database;
    assert_int_equal(outcome_of_start(&in), OUTCOME_DENIED);
    in.query = &work_group;
    assert_int_equal(outcome_of_start(&in), OUTCOME_REJECTED);
}

/* ATHENA_CATALOG does not exist: only where the message names that catalog. */
static void test_the_default_catalog(void **state) {
    (void)state;
    static const struct {
        const char *message, *default_catalog;
        const struct query *query;
        enum outcome want;
    } cases[] = {
        {"Catalog 'gone' does not exist", "gone", &chose_nothing, OUTCOME_CONFIGURATION},
        {"Catalog 'gone' does not exist", "gone", &chose_all, OUTCOME_REJECTED},
        {"Catalog 'gone' does not exist", "other", &chose_nothing, OUTCOME_REJECTED},
        {"Catalog 'gone' does not exist", NULL, &chose_nothing, OUTCOME_REJECTED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct outcome_input in =
            answered(400, "InvalidRequestException", cases[i].message, cases[i].query);
        in.athena_code = "DATACATALOG_NOT_FOUND";
        in.default_catalog = cases[i].default_catalog;
        assert_int_equal(outcome_of_start(&in), cases[i].want);
    }
}

static void test_other_codes_with_messages(void **state) {
    (void)state;
    for (int chose = 0; chose < 2; chose++) {
        expect(400, "ValidationException", mismatch, chose, OUTCOME_REJECTED);
        expect(400, "TooManyRequestsException", mismatch, chose, OUTCOME_QUOTA);
        expect(400, "MetadataException", "Rate exceeded (Service: AmazonDataCatalog)", chose,
               OUTCOME_RATE);
        expect(400, "MetadataException", "No such thing: 'Rate exceeded'", chose, OUTCOME_REJECTED);
        expect(400, "SerializationException", "STRING_VALUE can not be converted", chose,
               OUTCOME_REJECTED);
        expect(404, "UnknownOperationException", "", chose, OUTCOME_CONFIGURATION);
    }
}

/* --- after a call that perhaps started it ------------------------------------------------------
 */

static void test_perhaps_started(void **state) {
    (void)state;
    static const struct {
        const char *code, *athena_code, *message;
        enum outcome want;
    } cases[] = {
        {"InvalidRequestException", "MALFORMED_QUERY", "line 1:1", OUTCOME_REJECTED},
        {"InvalidRequestException", "INVALID_INPUT", VALIDATION("queryString"), OUTCOME_REJECTED},
        {"InvalidRequestException", "INVALID_INPUT", VALIDATION("workGroup"), OUTCOME_AMBIGUOUS},
        {"InvalidRequestException", "INVALID_INPUT", "WorkGroup is disabled.", OUTCOME_AMBIGUOUS},
        {"InvalidRequestException", "INVALID_INPUT", "Entity Not Found", OUTCOME_AMBIGUOUS},
        {"InvalidRequestException", "DATACATALOG_NOT_FOUND", "Catalog 'a' does not exist",
         OUTCOME_AMBIGUOUS},
        {"InvalidRequestException", "", "", OUTCOME_AMBIGUOUS},
        {"AccessDeniedException", "", "", OUTCOME_AMBIGUOUS},
        {"ResourceNotFoundException", "", "", OUTCOME_AMBIGUOUS},
        {"SomethingNewException", "", "", OUTCOME_AMBIGUOUS},
        {"TooManyRequestsException", "", "", OUTCOME_QUOTA},
        {"ThrottlingException", "", "", OUTCOME_RATE},
        {"ExpiredTokenException", "", "", OUTCOME_CREDENTIALS},
        {"InvalidRequestException", "IDEMPOTENT_PARAMETER_MISMATCH", "", OUTCOME_MISMATCH},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct outcome_input in = answered(400, cases[i].code, cases[i].message, &chose_all);
        in.athena_code = cases[i].athena_code;
        in.perhaps_started = true;
        if (outcome_of_start(&in) != cases[i].want)
            fail_msg("row %zu: %s", i, outcome_name(outcome_of_start(&in)));
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
    {true, 400, "InvalidRequestException", "WorkGroup is not found.", OUTCOME_REJECTED},
    {true, 400, "InvalidRequestException", "Rate exceeded", OUTCOME_RATE},
    {true, 503, "InvalidRequestException", "", OUTCOME_AMBIGUOUS},
    {true, 400, "UnknownOperationException", "", OUTCOME_CONFIGURATION},
};

static void test_polls(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(polls); i++)
        for (int chose = 0; chose < 2; chose++) {
            struct outcome_input in = {
                .answered = polls[i].answered,
                .status = polls[i].status,
                .code = polls[i].code,
                .athena_code = "",
                .message = polls[i].message,
                .query = chose ? &chose_all : NULL,
            };
            enum outcome got = outcome_of_poll(&in);
            if (got != polls[i].want)
                fail_msg("row %zu: %s", i, outcome_name(got));
        }
    struct outcome_input in = {.unsent = true, .code = "", .athena_code = "", .message = ""};
    assert_int_equal(outcome_of_poll(&in), OUTCOME_UNREACHABLE);
    in.no_credentials = true;
    assert_int_equal(outcome_of_poll(&in), OUTCOME_CREDENTIALS);
}

static void test_names(void **state) {
    (void)state;
    static const char *const names[OUTCOMES] = {
        "started",       "quota",  "rate",        "ambiguous", "credentials",
        "configuration", "denied", "unreachable", "mismatch",  "rejected"};
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
        cmocka_unit_test(test_invalid_requests),
        cmocka_unit_test(test_what_was_chosen),
        cmocka_unit_test(test_the_default_catalog),
        cmocka_unit_test(test_other_codes_with_messages),
        cmocka_unit_test(test_perhaps_started),
        cmocka_unit_test(test_polls),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
