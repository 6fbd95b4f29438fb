/* The body of StartQueryExecution byte for byte, and what a request may choose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "executor/query/start_request.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TOKEN        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct start_defaults usual = {.database = "default", .work_group = "primary"};
static const struct start_defaults all_set = {
    .database = "d0",
    .catalog = "c0",
    .work_group = "w0",
    .output_location = "s3://bucket0/o0/",
};

/* --- the JSON --------------------------------------------------------------------------------- */

struct body_case {
    const char *what;
    const struct start_defaults *defaults;
    const char *text;
    struct query chosen;
    const char *want;
};

#define START(text) "{\"QueryString\":\"" text "\",\"ClientRequestToken\":\"" TOKEN "\","

static const struct body_case bodies[] = {
    {"the defaults of the programs",
     &usual,
     "SELECT 1",
     {0},
     START("SELECT 1") "\"WorkGroup\":\"primary\","
                       "\"QueryExecutionContext\":{\"Database\":\"default\"}}"},
    {"all defaults",
     &all_set,
     "SELECT 1",
     {0},
     START("SELECT 1") "\"WorkGroup\":\"w0\","
                       "\"QueryExecutionContext\":{\"Database\":\"d0\",\"Catalog\":\"c0\"},"
                       "\"ResultConfiguration\":{\"OutputLocation\":\"s3://bucket0/o0/\"}}"},
    {"all chosen",
     &all_set,
     "SELECT ?, ?",
     {.database = "d1",
      .catalog = "c1",
      .work_group = "w1",
      .output_location = "s3://bucket1/o1",
      .parameters = (char *[]){"1", "'two'"},
      .parameter_count = 2},
     START("SELECT ?, ?") "\"WorkGroup\":\"w1\","
                          "\"QueryExecutionContext\":{\"Database\":\"d1\",\"Catalog\":\"c1\"},"
                          "\"ResultConfiguration\":{\"OutputLocation\":\"s3://bucket1/o1\"},"
                          "\"ExecutionParameters\":[\"1\",\"'two'\"]}"},
    {"all chosen, few defaults",
     &usual,
     "SELECT 1",
     {.database = "d1",
      .catalog = "c1",
      .work_group = "w1",
      .output_location = "s3://bucket1/o1",
      .parameters = (char *[]){"1"},
      .parameter_count = 1},
     START("SELECT 1") "\"WorkGroup\":\"w1\","
                       "\"QueryExecutionContext\":{\"Database\":\"d1\",\"Catalog\":\"c1\"},"
                       "\"ResultConfiguration\":{\"OutputLocation\":\"s3://bucket1/o1\"},"
                       "\"ExecutionParameters\":[\"1\"]}"},
    {"a database alone",
     &all_set,
     "SELECT 1",
     {.database = "d1"},
     START("SELECT 1") "\"WorkGroup\":\"w0\","
                       "\"QueryExecutionContext\":{\"Database\":\"d1\",\"Catalog\":\"c0\"},"
                       "\"ResultConfiguration\":{\"OutputLocation\":\"s3://bucket0/o0/\"}}"},
    {"a result that may be reused, with parameters behind it",
     &all_set,
     "SELECT ?",
     {.reuses_result = true,
      .reuse_max_age_minutes = 10080,
      .parameters = (char *[]){"1"},
      .parameter_count = 1},
     START("SELECT ?") "\"WorkGroup\":\"w0\","
                       "\"QueryExecutionContext\":{\"Database\":\"d0\",\"Catalog\":\"c0\"},"
                       "\"ResultConfiguration\":{\"OutputLocation\":\"s3://bucket0/o0/\"},"
                       "\"ResultReuseConfiguration\":{\"ResultReuseByAgeConfiguration\":{"
                       "\"Enabled\":true,\"MaxAgeInMinutes\":10080}},"
                       "\"ExecutionParameters\":[\"1\"]}"},
    {"an age of 0 is asked for, too",
     &(const struct start_defaults){0},
     "SELECT 1",
     {.reuses_result = true},
     START("SELECT 1") "\"QueryExecutionContext\":{},"
                       "\"ResultReuseConfiguration\":{\"ResultReuseByAgeConfiguration\":{"
                       "\"Enabled\":true,\"MaxAgeInMinutes\":0}}}"},
    {"the names of the query are not sent",
     &usual,
     "SELECT 1",
     {.query_id = "q", .user_id = "u"},
     START("SELECT 1") "\"WorkGroup\":\"primary\","
                       "\"QueryExecutionContext\":{\"Database\":\"default\"}}"},
    {"no defaults",
     &(const struct start_defaults){0},
     "SELECT 1",
     {0},
     START("SELECT 1") "\"QueryExecutionContext\":{}}"},
    {"a catalog without a database",
     &(const struct start_defaults){0},
     "SELECT 1",
     {.catalog = "c1"},
     START("SELECT 1") "\"QueryExecutionContext\":{\"Catalog\":\"c1\"}}"},
    {"what JSON escapes",
     &(const struct start_defaults){0},
     "SELECT \"a\\b\"\n\t'\x01\xC3\xA9{' -- {",
     {.database = "a\"b{", .parameters = (char *[]){"\"", "\\", "{"}, .parameter_count = 3},
     START("SELECT \\\"a\\\\b\\\"\\n\\t'\\u0001\xC3\xA9{' -- {") "\"QueryExecutionContext\":{"
                                                                 "\"Database\":\"a\\\"b{\"},"
                                                                 "\"ExecutionParameters\":["
                                                                 "\"\\\"\",\"\\\\\",\"{\"]}"},
};

static void write(const struct body_case *row, struct buffer *out) {
    struct query q = row->chosen;
    q.text_len = strlen(row->text);
    q.text = mem_string(row->text);
    start_request_write(row->defaults, &q, TOKEN, out);
    free(q.text);
}

static void test_bodies(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct buffer out;
        buffer_init(&out, 4096);
        write(&bodies[i], &out);
        assert_false(out.failed);
        if (strcmp(buffer_text(&out), bodies[i].want) != 0)
            fail_msg("%s:\n%s\nnot\n%s", bodies[i].what, buffer_text(&out), bodies[i].want);
        cJSON *root = cJSON_ParseWithOpts(buffer_text(&out), NULL, true);
        assert_non_null(root);
        assert_string_equal(
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "QueryString")),
            bodies[i].text);
        cJSON_Delete(root);
        buffer_free(&out);
    }
}

/* It is appended to what is there, and what does not fit fails the buffer. */
static void test_buffer(void **state) {
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    buffer_puts(&out, "before ");
    write(&bodies[0], &out);
    assert_memory_equal(buffer_text(&out), "before ", 7);
    assert_string_equal(buffer_text(&out) + 7, bodies[0].want);
    buffer_free(&out);
    for (size_t max = 1; max < strlen(bodies[2].want); max++) {
        buffer_init(&out, max);
        write(&bodies[2], &out);
        assert_true(out.failed);
        buffer_free(&out);
    }
}

/* The longest query, every byte of it escaped, fits the 4 MiB that the executor gives it. */
static void test_longest(void **state) {
    (void)state;
    char *text = mem_alloc(QUERY_TEXT_MAX + 1);
    memset(text, 1, QUERY_TEXT_MAX);
    text[QUERY_TEXT_MAX] = '\0';
    struct query q = {.text = text, .text_len = QUERY_TEXT_MAX};
    struct buffer out;
    buffer_init(&out, 4 << 20);
    start_request_write(&usual, &q, TOKEN, &out);
    assert_false(out.failed);
    assert_true(out.len > (size_t)6 * QUERY_TEXT_MAX);
    buffer_free(&out);
    free(text);
}

/* --- what is allowed -------------------------------------------------------------------------- */

struct allowed_case {
    const char *list, *value;
    bool want;
};

static const struct allowed_case workgroups[] = {
    {NULL, NULL, true},         {NULL, "primary", true}, /* the default */
    {NULL, "other", false},     {NULL, "Primary", false},  {NULL, "primar", false},
    {NULL, "primary2", false},  {"", "other", false},      {"", "", false},
    {",", "", false},           {"other", NULL, true},     {"other", "primary", true},
    {"other", "other", true},   {"other", "Other", false}, {"other", "othe", false},
    {"other", "other2", false}, {"other", "ther", false},  {"a,b,c", "a", true},
    {"a,b,c", "b", true},       {"a,b,c", "c", true},      {"a,b,c", "d", false},
    {"a,b,c", "a,b", false},    {"a,b,c", ",", false},     {"a,b,c", "", false},
    {"a, b , c", "b", true},    {"a, b , c", "c", true},   {"a, b , c", " b", false},
    {" a,,b,", "b", true},      {" a,,b,", "a", true},     {" a,,b,", "", false},
};

static const struct allowed_case locations[] = {
    {NULL, NULL, true},
    {NULL, "s3://home/results/", true}, /* the default */
    {NULL, "s3://home/results/mine/", false},
    {NULL, "s3://home/", false},
    {NULL, "s3://other/", false},
    {"", "s3://other/", false},
    {",", "s3://other/", false},
    {"s3://bucket", NULL, true},
    {"s3://bucket", "s3://home/results/", true},
    {"s3://bucket", "s3://bucket", true},
    {"s3://bucket", "s3://bucket/", true},
    {"s3://bucket", "s3://bucket/a/b", true},
    {"s3://bucket", "s3://bucket-evil", false},
    {"s3://bucket", "s3://bucket-evil/", false},
    {"s3://bucket", "s3://bucket.evil/a", false},
    {"s3://bucket", "s3://bucke", false},
    {"s3://bucket", "s3://", false},
    {"s3://bucket", "", false},
    {"s3://bucket", "s3://evil/s3://bucket/", false},
    {"s3://bucket", "s3://Bucket/", false},
    {"s3://bucket/", "s3://bucket", true},
    {"s3://bucket/", "s3://bucket/", true},
    {"s3://bucket/", "s3://bucket/a", true},
    {"s3://bucket/", "s3://bucket-evil/a", false},
    {"s3://bucket//", "s3://bucket/a", true},
    {"s3://bucket/team", "s3://bucket/team", true},
    {"s3://bucket/team", "s3://bucket/team/", true},
    {"s3://bucket/team", "s3://bucket/team/a/b/", true},
    {"s3://bucket/team", "s3://bucket/team-b/", false},
    {"s3://bucket/team", "s3://bucket/teams", false},
    {"s3://bucket/team", "s3://bucket/tea", false},
    {"s3://bucket/team", "s3://bucket/", false},
    {"s3://bucket/team", "s3://bucket", false},
    {"s3://bucket/team/", "s3://bucket/team", true},
    {"s3://bucket/team/", "s3://bucket/team/a", true},
    {"s3://bucket/team/", "s3://bucket/team-b/", false},
    {"s3://bucket/team", "s3://bucket/team/../other", false},
    {"s3://bucket/team", "s3://bucket/team/a/../../other/", false},
    {"s3://bucket/team", "s3://bucket/team/..", false},
    {"s3://bucket/team", "s3://bucket/team/../", false},
    {"s3://bucket/team", "s3://bucket/team/..a", true},
    {"s3://bucket/team", "s3://bucket/team/a..", true},
    {"s3://bucket/team", "s3://bucket/team/.../a", true},
    {"s3://a/b,s3://c", "s3://a/b/x", true},
    {"s3://a/b,s3://c", "s3://c/x", true},
    {"s3://a/b,s3://c", "s3://a/x", false},
    {"s3://a/b,s3://c", "s3://a/b,s3://c", false},
    {"s3://a/b, s3://c", "s3://c/x", true},
    {" s3://a/b/ , s3://c/ ,", "s3://a/b", true},
    {" s3://a/b/ , s3://c/ ,", "s3://c", true},
    {"/", "s3://bucket/", false},
};

static void test_workgroups(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(workgroups); i++) {
        char why[256] = "";
        struct start_defaults d = {.work_group = "primary",
                                   .output_location = "s3://home/results/",
                                   .allowed_workgroups = workgroups[i].list,
                                   .allowed_output_locations = "other,a,b,c,s3://home"};
        struct query q = {.work_group = (char *)workgroups[i].value};
        if (start_allowed(&d, &q, why, sizeof why) != workgroups[i].want)
            fail_msg("\"%s\" in \"%s\"", workgroups[i].value, workgroups[i].list);
        assert_int_equal(strstr(why, "ALLOWED_WORKGROUPS") == NULL, workgroups[i].want);
    }
}

static void test_locations(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(locations); i++) {
        char why[256] = "";
        struct start_defaults d = {.work_group = "primary",
                                   .output_location = "s3://home/results/",
                                   .allowed_workgroups = "s3://other/,s3://bucket-evil/",
                                   .allowed_output_locations = locations[i].list};
        struct query q = {.output_location = (char *)locations[i].value};
        if (start_allowed(&d, &q, why, sizeof why) != locations[i].want)
            fail_msg("\"%s\" in \"%s\"", locations[i].value, locations[i].list);
        assert_int_equal(strstr(why, "ALLOWED_OUTPUT_LOCATIONS") == NULL, locations[i].want);
    }
}

/* Both are looked at; a database and a catalog are anybody's; no default allows nothing. */
static void test_all_together(void **state) {
    (void)state;
    char why[256];
    struct start_defaults d = {.allowed_workgroups = "w", .allowed_output_locations = "s3://b"};
    struct query q = {.database = "d", .catalog = "c"};
    assert_true(start_allowed(&d, &q, why, sizeof why));
    q.work_group = "w";
    q.output_location = "s3://b/x";
    assert_true(start_allowed(&d, &q, why, sizeof why));
    q.work_group = "v";
    assert_false(start_allowed(&d, &q, why, sizeof why));
    assert_non_null(strstr(why, "workGroup v "));
    q.work_group = "w";
    q.output_location = "s3://c/x";
    assert_false(start_allowed(&d, &q, why, sizeof why));
    assert_non_null(strstr(why, "outputLocation s3://c/x "));
    assert_false(start_allowed(&d, &q, why, 5));
    assert_int_equal(strlen(why), 4);
}

static void test_lists(void **state) {
    (void)state;
    static const struct {
        const char *field, *list;
        bool want;
    } cases[] = {
        {"workGroup", NULL, true},
        {"workGroup", "", true},
        {"workGroup", " a, b-2 ,c.d_,", true},
        {"workGroup", "a;b", false},
        {"workGroup", "a,s3://bucket", false},
        {"workGroup", "a,\"", false},
        {"outputLocation", NULL, true},
        {"outputLocation", "s3://bucket", true},
        {"outputLocation", "s3://bucket/, s3://other/a/b", true},
        {"outputLocation", "s3://", false},
        {"outputLocation", "s3:///", false},
        {"outputLocation", "s3:/", false},
        {"outputLocation", "bucket/a", false},
        {"outputLocation", "s3://bucket,/a", false},
        {"outputLocation", "https://bucket", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (start_list_is_valid(cases[i].list, cases[i].field) != cases[i].want)
            fail_msg("%s: \"%s\"", cases[i].field, cases[i].list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),       cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_longest),      cmocka_unit_test(test_workgroups),
        cmocka_unit_test(test_lists),        cmocka_unit_test(test_locations),
        cmocka_unit_test(test_all_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
