/*
 * Answers of AWS that others recorded, each with what must become of it. They are looked for in
 * $AWS_ANSWERS, or else beside the repository; where they are absent this says so and skips.
 * test_outcome.c has cases of our own for the same kinds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/aws/client.h"
#include "common/aws/credentials/document.h"
#include "common/aws/credentials/sts_answer.h"
#include "common/aws/credentials/sts_assume.h"
#include "common/aws/error.h"
#include "common/base/file.h"
#include "executor/query/outcome.h"
#include "executor/query/poll_answer.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    FILE_BYTES_MAX = 1 << 20
};

static const char *answers_directory(void) {
    const char *given = getenv("AWS_ANSWERS");
    return given != NULL ? given : "../shared/data/aws-answers";
}

static void need_answers(void) {
    struct stat st;
    if (stat(answers_directory(), &st) != 0) {
        print_message("skipped: no recorded answers in %s\n", answers_directory());
        skip();
    }
}

/* The caller frees. */
static char *read_answer(const char *name, size_t *n) {
    char path[1024], detail[1200];
    snprintf(path, sizeof path, "%s/%s", answers_directory(), name);
    char *text = file_read(path, FILE_BYTES_MAX, n, detail, sizeof detail);
    if (text == NULL)
        fail_msg("%s", detail);
    return text;
}

/* --- StartQueryExecution ---------------------------------------------------------------------- */

static const struct query chose_nothing;
static const struct query chose_work_group = {.work_group = "own"};
static const struct query chose_location = {.output_location = "s3://own/"};
static const struct query chose_context = {.database = "own", .catalog = "own"};

/* What becomes of a query that chose nothing, a database and a catalog, a work group, a location.
 */
static const struct start_row {
    const char *file;
    int status;
    enum outcome nothing, context, work_group, location;
} starts[] = {
#define SAME(outcome)  outcome, outcome, outcome, outcome
#define QUERYS_FAULT   SAME(OUTCOME_REJECTED)
#define NOBODYS_FAULT  SAME(OUTCOME_CONFIGURATION)
#define OF_CREDENTIALS SAME(OUTCOME_CREDENTIALS)
#define DENIED         OUTCOME_DENIED, OUTCOME_DENIED, OUTCOME_REJECTED, OUTCOME_DENIED
    {"start-200.json", 200, SAME(OUTCOME_STARTED)},
    {"start-400-two-statements.json", 400, QUERYS_FAULT},
    {"start-400-echo-mismatch.json", 400, QUERYS_FAULT},
    {"start-400-syntax.json", 400, QUERYS_FAULT},
    {"start-400-type-not-supported.json", 400, QUERYS_FAULT},
    {"start-400-ddl-two-catalogs.json", 400, QUERYS_FAULT},
    {"start-400-create-table-no-location.json", 400, QUERYS_FAULT},
    {"start-400-ctas-external-location.json", 400, QUERYS_FAULT},
    {"start-400-catalog-in-sql.json", 400, QUERYS_FAULT},
    {"start-400-entity-not-found.json", 400, QUERYS_FAULT},
    {"start-400-query-too-long.json", 400, QUERYS_FAULT},
    {"start-400-token-short.json", 400, QUERYS_FAULT}, /* test_token_is_long_enough() */
    {"start-400-output-location-form.json", 400, OUTCOME_CONFIGURATION, OUTCOME_CONFIGURATION,
     OUTCOME_REJECTED, OUTCOME_REJECTED},
    {"start-400-workgroup-not-found.json", 400, OUTCOME_CONFIGURATION, OUTCOME_CONFIGURATION,
     OUTCOME_REJECTED, OUTCOME_CONFIGURATION},
    {"start-400-no-output-location.json", 400, OUTCOME_CONFIGURATION, OUTCOME_CONFIGURATION,
     OUTCOME_REJECTED, OUTCOME_REJECTED},
    {"start-400-no-output-location-2023.json", 400, OUTCOME_CONFIGURATION, OUTCOME_CONFIGURATION,
     OUTCOME_REJECTED, OUTCOME_REJECTED},
    {"start-400-verify-output-bucket.json", 400, OUTCOME_CONFIGURATION, OUTCOME_CONFIGURATION,
     OUTCOME_DENIED, OUTCOME_DENIED},
    {"start-400-idempotent-mismatch.json", 400, SAME(OUTCOME_MISMATCH)},
    {"start-400-access-denied-bare.json", 400, DENIED},
    {"start-400-access-denied-user.json", 400, DENIED},
    {"start-400-invalid-signature.json", 400, OF_CREDENTIALS},
    {"json-400-signature-expired.json", 400, OF_CREDENTIALS},
    {"json-400-unrecognized-client.json", 400, OF_CREDENTIALS},
    {"json-400-incomplete-signature.json", 400, OF_CREDENTIALS},
    {"json-400-wrong-region.json", 400, OF_CREDENTIALS},
    {"json-400-expired-token.json", 400, OF_CREDENTIALS},
    {"json-400-access-denied-coral.json", 400, DENIED},
    {"json-400-subscription-required.json", 400, NOBODYS_FAULT},
    {"json-400-serialization.json", 400, QUERYS_FAULT},
    {"json-400-serialization-bare.json", 400, NOBODYS_FAULT},
    {"json-400-unknown-operation.json", 400, NOBODYS_FAULT},
    {"json-404-unknown-operation.xml", 404, NOBODYS_FAULT},
    {"start-400-too-many-requests.json", 400, SAME(OUTCOME_QUOTA)},
    {"start-400-too-many-requests-bare.json", 400, SAME(OUTCOME_QUOTA)},
    {"json-400-throttling.json", 400, SAME(OUTCOME_RATE)},
    {"start-400-metadata-rate.json", 400, SAME(OUTCOME_RATE)},
    {"start-500-internal.json", 500, SAME(OUTCOME_AMBIGUOUS)},
    {"any-503.html", 503, SAME(OUTCOME_AMBIGUOUS)},
};

static void check_start(const struct start_row *row) {
    const struct {
        const struct query *query;
        enum outcome want;
    } cases[] = {
        {&chose_nothing, row->nothing},
        {&chose_context, row->context},
        {&chose_work_group, row->work_group},
        {&chose_location, row->location},
    };
    size_t n;
    char *body = read_answer(row->file, &n);
    struct aws_error e = {0};
    if (row->status != 200)
        aws_error_read(body, n, &e);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct outcome_input in = {
            .answered = true,
            .status = row->status,
            .code = e.code,
            .athena_code = e.athena_code,
            .message = e.message,
            .id = strstr(body, "\"QueryExecutionId\"") != NULL ? "id" : NULL,
            .query = cases[i].query,
        };
        enum outcome got = outcome_of_start(&in);
        if (got != cases[i].want)
            fail_msg("%s, choice %zu: %s, not %s", row->file, i, outcome_name(got),
                     outcome_name(cases[i].want));
    }
    free(body);
}

static void test_starts(void **state) {
    (void)state;
    need_answers();
    for (size_t i = 0; i < COUNT(starts); i++)
        check_start(&starts[i]);
}

/* After a call that perhaps started the query only its own text is a reason to give it up. */
static void test_starts_that_are_asked_again(void **state) {
    (void)state;
    need_answers();
    for (size_t i = 0; i < COUNT(starts); i++) {
        if (starts[i].work_group != OUTCOME_REJECTED)
            continue;
        size_t n;
        char *body = read_answer(starts[i].file, &n);
        struct aws_error e;
        aws_error_read(body, n, &e);
        struct outcome_input in = {
            .answered = true,
            .status = starts[i].status,
            .code = e.code,
            .athena_code = e.athena_code,
            .message = e.message,
            .query = &chose_work_group,
            .perhaps_started = true,
        };
        bool is_malformed = strcmp(e.athena_code, "MALFORMED_QUERY") == 0 ||
                            strstr(e.message, "validation error") != NULL;
        enum outcome want = is_malformed ? OUTCOME_REJECTED : OUTCOME_AMBIGUOUS;
        if (outcome_of_start(&in) != want)
            fail_msg("%s: %s", starts[i].file, outcome_name(outcome_of_start(&in)));
        free(body);
    }
}

/* The catalog of start-400-catalog-in-sql.json, where the executor's configuration names it. */
static void test_the_default_catalog(void **state) {
    (void)state;
    need_answers();
    size_t n;
    char *body = read_answer("start-400-catalog-in-sql.json", &n);
    struct aws_error e;
    aws_error_read(body, n, &e);
    struct outcome_input in = {
        .answered = true,
        .status = 400,
        .code = e.code,
        .athena_code = e.athena_code,
        .message = e.message,
        .query = &chose_nothing,
        .default_catalog = "nosuch",
    };
    assert_int_equal(outcome_of_start(&in), OUTCOME_CONFIGURATION);
    in.default_catalog = "another";
    assert_int_equal(outcome_of_start(&in), OUTCOME_REJECTED);
    free(body);
}

/* start-400-token-short.json must never be seen. */
static void test_token_is_long_enough(void **state) {
    (void)state;
    char token[65];
    query_token("", "", "", token);
    assert_int_equal(strlen(token), 64);
}

/* --- BatchGetQueryExecution ------------------------------------------------------------------- */

static const char first[] = "0b8e807f-0000-4000-8000-000000000001";
static const char second[] = "29cbc515-0000-4000-8000-000000000002";

static const struct poll_row {
    const char *file;
    struct {
        const char *id;
        enum status_state state; /* STATUS_QUEUED and STATUS_NONE: it goes on */
        const char *reason;      /* its beginning; NULL: none */
        const char *location;    /* its end; NULL: none */
    } executions[2];
    const char *unprocessed;
} polls[] = {
    {"batchget-200-two.json",
     {{second, STATUS_SUCCEEDED, NULL, "/29cbc515-0000-4000-8000-000000000002.csv"},
      {first, STATUS_SUCCEEDED, NULL, "/0b8e807f-0000-4000-8000-000000000001.csv"}},
     ""},
    {"batchget-200-queued.json", {{first, STATUS_QUEUED, NULL, ".csv"}, {0}}, ""},
    {"batchget-200-running.json", {{first, STATUS_NONE, NULL, ".csv"}, {0}}, ""},
    {"batchget-200-planned.json", {{first, STATUS_SUCCEEDED, NULL, ".csv"}, {0}}, ""},
    {"batchget-200-failed-table.json",
     {{first, STATUS_FAILED, "TABLE_NOT_FOUND: line 1:15: ", ".csv"}, {0}},
     ""},
    {"batchget-200-failed-rights.json",
     {{first, STATUS_FAILED, "You are not authorized to perform: athena:GetDataCatalog", ".csv"},
      {0}},
     ""},
    {"batchget-200-cancelled.json",
     {{first, STATUS_CANCELLED, "Query cancelled by user", ".csv"}, {0}},
     ""},
    {"batchget-200-reused.json",
     {{first, STATUS_SUCCEEDED, NULL, "/7d1f5a6e-0000-4000-8000-000000000003.csv"}, {0}},
     ""},
    {"batchget-200-ctas.json",
     {{first, STATUS_SUCCEEDED, NULL, "/tables/0b8e807f-0000-4000-8000-000000000001"}, {0}},
     ""},
    {"batchget-200-unprocessed.json", {{first, STATUS_SUCCEEDED, NULL, ".csv"}, {0}}, "try again"},
    {"batchget-200-managed.json", {{first, STATUS_SUCCEEDED, NULL, NULL}, {0}}, ""},
};

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static void check_poll(const struct poll_row *row) {
    struct poll_answer a;
    struct poll_execution e;
    size_t n;
    char *body = read_answer(row->file, &n);
    assert_true(poll_answer_open(&a, body, n));
    assert_string_equal(a.unprocessed, row->unprocessed);
    for (size_t i = 0; i < 2 && row->executions[i].id != NULL; i++) {
        assert_true(poll_answer_next(&a, &e));
        assert_string_equal(e.id, row->executions[i].id);
        assert_int_equal(e.state, row->executions[i].state);
        const char *reason = row->executions[i].reason, *location = row->executions[i].location;
        assert_true(reason != NULL ? strncmp(e.reason, reason, strlen(reason)) == 0
                                   : e.reason[0] == '\0');
        assert_true(location != NULL ? ends_with(e.output_location, location)
                                     : e.output_location[0] == '\0');
        assert_true(e.submitted > 1.7e9 && e.submitted < 1.8e9);
        assert_int_equal(e.completed > 0, status_is_final(e.state));
    }
    assert_false(poll_answer_next(&a, &e));
    poll_answer_close(&a);
    free(body);
}

static void test_polls(void **state) {
    (void)state;
    need_answers();
    for (size_t i = 0; i < COUNT(polls); i++)
        check_poll(&polls[i]);
}

/* --- others ------------------------------------------------------------------------------------
 */

static const struct {
    const char *file, *code, *athena_code;
} errors[] = {
    {"get-400-not-found.json", "InvalidRequestException", "QUERY_EXECUTION_NOT_FOUND"},
    {"stop-200.json", "", ""},
    {"cloudwatch-404-error.json", "DashboardNotFoundError", ""},
    {"cloudwatch-400-invalid-parameter.xml", "", ""}, /* no JSON: the status is what counts */
    {"eks-400-no-token.txt", "", ""},
    {"sts-403-error.json", "", ""},
};

static void test_errors(void **state) {
    (void)state;
    need_answers();
    for (size_t i = 0; i < COUNT(errors); i++) {
        size_t n;
        char *body = read_answer(errors[i].file, &n);
        struct aws_error e;
        aws_error_read(body, n, &e);
        assert_string_equal(e.code, errors[i].code);
        assert_string_equal(e.athena_code, errors[i].athena_code);
        free(body);
    }
}

static const struct {
    const char *file, *code;
} sts_errors[] = {
    {"sts-403-access-denied.xml", "AccessDenied"},
    {"sts-403-expired.xml", "ExpiredToken"},
    {"sts-403-invalid-client.xml", "InvalidClientTokenId"},
    {"sts-403-clock.xml", "SignatureDoesNotMatch"},
    {"sts-400-invalid-identity.xml", "InvalidIdentityToken"},
    {"sts-400-expired-web-token.xml", "ExpiredTokenException"},
    {"sts-400-validation.xml", "ValidationError"},
};

static void test_sts_errors(void **state) {
    (void)state;
    need_answers();
    for (size_t i = 0; i < COUNT(sts_errors); i++) {
        size_t n;
        char *body = read_answer(sts_errors[i].file, &n), code[256], message[256];
        sts_answer_error(body, n, code, message, sizeof code);
        assert_string_equal(code, sts_errors[i].code);
        assert_string_not_equal(message, "");
        free(body);
    }
}

static void test_sts_answers(void **state) {
    (void)state;
    need_answers();
    size_t n;
    char detail[256], *body = read_answer("sts-200-web-identity.xml", &n);
    struct credentials c;
    assert_true(sts_read_credentials(body, n, true, &c, detail, sizeof detail));
    assert_string_equal(c.access_key_id, "ASIAEXAMPLE");
    assert_string_equal(c.session_token, "AQoDYXdzEE0aEXAMPLE//token+with/signs==");
    credentials_wipe(&c);
    free(body);
    struct sts_element arn = {"GetCallerIdentityResponse/GetCallerIdentityResult/Arn", NULL};
    body = read_answer("sts-200-caller-identity.xml", &n);
    assert_true(sts_answer_read(body, n, &arn, 1));
    assert_string_equal(arn.text, "arn:aws:iam::111122223333:user/name");
    sts_answer_free(&arn, 1);
    free(body);
}

static const struct {
    const char *file;
    bool works;
} documents[] = {
    {"imds-200-credentials.json", true},
    {"imds-200-unauthorized.json", false},
    {"ecs-200-credentials.json", true},
    {"ecs-200-other-document.json", false},
};

static void test_documents(void **state) {
    (void)state;
    need_answers();
    for (size_t i = 0; i < COUNT(documents); i++) {
        size_t n;
        char detail[256], *body = read_answer(documents[i].file, &n);
        struct credentials c;
        bool works =
            credentials_document_read(DOCUMENT_METADATA, body, n, &c, detail, sizeof detail);
        assert_int_equal(works, documents[i].works);
        if (works)
            credentials_wipe(&c);
        free(body);
    }
}

/* --- all of them -------------------------------------------------------------------------------
 */

#define IS_AMONG(table, name)                                                                      \
    for (size_t i = 0; i < COUNT(table); i++)                                                      \
        if (strcmp((table)[i].file, name) == 0)                                                    \
    return true

static bool is_replayed(const char *name) {
    IS_AMONG(starts, name);
    IS_AMONG(polls, name);
    IS_AMONG(errors, name);
    IS_AMONG(sts_errors, name);
    IS_AMONG(documents, name);
    return strcmp(name, "sts-200-web-identity.xml") == 0 ||
           strcmp(name, "sts-200-caller-identity.xml") == 0;
}

static void test_none_is_left_out(void **state) {
    (void)state;
    need_answers();
    DIR *directory = opendir(answers_directory());
    assert_non_null(directory);
    const struct dirent *d;
    while ((d = readdir(directory)) != NULL)
        if (d->d_name[0] != '.' && strcmp(d->d_name, "README.md") != 0 && !is_replayed(d->d_name))
            fail_msg("%s is not replayed", d->d_name);
    closedir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts),
        cmocka_unit_test(test_starts_that_are_asked_again),
        cmocka_unit_test(test_the_default_catalog),
        cmocka_unit_test(test_token_is_long_enough),
        cmocka_unit_test(test_polls),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_sts_errors),
        cmocka_unit_test(test_sts_answers),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_none_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
