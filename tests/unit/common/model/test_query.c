#include "common/model/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buffer.h"

/* Its fields follow from the table of the request; unnamed ones are NULL. */
struct query_case {
    const char *json;
    struct query wanted;
};

static bool same(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_query(const struct query *a, const struct query *b) {
    bool all = same(a->text, b->text) && same(a->query_id, b->query_id) &&
               same(a->user_id, b->user_id) && same(a->database, b->database) &&
               same(a->catalog, b->catalog) && same(a->work_group, b->work_group) &&
               same(a->output_location, b->output_location) &&
               a->parameter_count == b->parameter_count && a->reuses_result == b->reuses_result &&
               a->reuse_max_age_minutes == b->reuse_max_age_minutes;
    for (size_t i = 0; all && i < a->parameter_count; i++)
        all = same(a->parameters[i], b->parameters[i]);
    return all;
}

static bool read_text(const char *json, struct query *q, char *detail, size_t detail_size) {
    memset(q, 0xAA, sizeof *q); /* query_read() must not look at what was there */
    return query_read(json, strlen(json), q, detail, detail_size);
}

static void test_taken(void **state) {
    (void)state;
    static char *parameters[] = {"1", "\xC3\xA9\n"};
    static const struct query_case cases[] = {
        {"{\"query\":\"SELECT 1\"}", {.text = "SELECT 1"}},
        {" {\n\"query\" : \"SELECT 1\" }\r\n", {.text = "SELECT 1"}},
        {"{\"\\u0071uery\":\"SELECT 1\"}", {.text = "SELECT 1"}},
        {"{\"query\":\"SELECT \\u00e9 \\\\u0000\\n\"}", {.text = "SELECT \xC3\xA9 \\u0000\n"}},
        {"{\"query\":\" \\t\"}", {.text = " \t"}},
        {"{\"query\":\"q\",\"queryId\":null,\"userId\":null,\"database\":null,\"catalog\":null,"
         "\"workGroup\":null,\"outputLocation\":null,\"executionParameters\":null,"
         "\"resultReuseMaxAgeMinutes\":null}",
         {.text = "q"}},
        {"{\"query\":\"q\",\"queryId\":\"\",\"userId\":\"\"}", {.text = "q"}},
        {"{\"userId\":\"u\",\"queryId\":\"i\",\"query\":\"q\"}",
         {.text = "q", .query_id = "i", .user_id = "u"}},
        {"{\"query\":\"q\",\"queryId\":\"a/b \\u0001\\ud83d\\ude00\",\"userId\":\" \"}",
         {.text = "q", .query_id = "a/b \x01\xF0\x9F\x98\x80", .user_id = " "}},
        {"{\"query\":\"q\",\"database\":\"d\",\"catalog\":\"c\\t\",\"workGroup\":\"W.g_1-\","
         "\"outputLocation\":\"s3://bucket/a b\",\"executionParameters\":[\"1\",\"\\u00e9\\n\"]}",
         {.text = "q",
          .database = "d",
          .catalog = "c\t",
          .work_group = "W.g_1-",
          .output_location = "s3://bucket/a b",
          .parameters = parameters,
          .parameter_count = 2}},
        {"{\"query\":\"q\",\"resultReuseMaxAgeMinutes\":0}", {.text = "q", .reuses_result = true}},
        {"{\"query\":\"q\",\"resultReuseMaxAgeMinutes\": 7 }",
         {.text = "q", .reuses_result = true, .reuse_max_age_minutes = 7}},
        {"{\"resultReuseMaxAgeMinutes\":10080,\"query\":\"q\"}",
         {.text = "q", .reuses_result = true, .reuse_max_age_minutes = 10080}},
        {"{\"query\":\"q\",\"resultreusemaxageminutes\":-1,\"resultReuseMaxAgeMinutes2\":\"x\"}",
         {.text = "q"}},
        {"{\"query\":\"q\",\"Query\":1,\"queryid\":2,\"userId \":[],\"x\":{\"query\":[1e999]}}",
         {.text = "q"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct query q;
        char detail[300] = "untouched";
        if (!read_text(cases[i].json, &q, detail, sizeof detail))
            fail_msg("%s: refused: %s", cases[i].json, detail);
        if (!same_query(&q, &cases[i].wanted))
            fail_msg("%s: misread", cases[i].json);
        assert_int_equal(q.text_len, strlen(q.text));
        assert_string_equal(detail, "untouched");
        query_free(&q);
    }
}

#define TEXT_WANTED     "a string of 1 to 262144 bytes"
#define ID_WANTED       "a string of at most 128 bytes or null"
#define DATABASE_WANTED "a string of 1 to 255 characters or null"
#define CATALOG_WANTED  "a string of 1 to 256 characters, none of them a control character, or null"
#define GROUP_WANTED    "a string of 1 to 128 of the characters a-z A-Z 0-9 . _ - or null"
#define LOCATION_WANTED                                                                            \
    "a string like s3://bucket/prefix/ with a valid bucket name, of at most 1024 bytes and "       \
    "without control characters, or null"
#define PARAMETERS_WANTED "an array of at least one string, each of 1 to 1024 characters, or null"

#define REUSE_WANTED "a whole number from 0 to 10080, without fraction or exponent, or null"
#define REUSE_REFUSED(value)                                                                       \
    {                                                                                              \
        "{\"query\":\"q\",\"resultReuseMaxAgeMinutes\":" value "}",                                \
            "\"resultReuseMaxAgeMinutes\" must be " REUSE_WANTED, NULL, NULL                       \
    }

struct refused_case {
    const char *json, *detail, *user_id, *query_id;
};

static void check_refused(const struct refused_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct query q;
        char detail[300];
        if (read_text(cases[i].json, &q, detail, sizeof detail))
            fail_msg("%s: taken", cases[i].json);
        if (strcmp(detail, cases[i].detail) != 0)
            fail_msg("%s: %s", cases[i].json, detail);
        struct query wanted = {.user_id = (char *)cases[i].user_id,
                               .query_id = (char *)cases[i].query_id};
        if (!same_query(&q, &wanted))
            fail_msg("%s: other ids stay", cases[i].json);
        query_free(&q);
    }
}

static void test_refused_types(void **state) {
    (void)state;
    static const struct refused_case cases[] = {
        {"{}", "\"query\" is missing; it must be " TEXT_WANTED, NULL, NULL},
        {"{\"Query\":\"q\"}", "\"query\" is missing; it must be " TEXT_WANTED, NULL, NULL},
        {"{\"x\":{\"query\":\"q\"}}", "\"query\" is missing; it must be " TEXT_WANTED, NULL, NULL},
        {"{\"query\":\"\"}", "\"query\" is empty; it must be " TEXT_WANTED, NULL, NULL},
        {"{\"query\":null}", "\"query\" must be " TEXT_WANTED, NULL, NULL},
        {"{\"query\":1}", "\"query\" must be " TEXT_WANTED, NULL, NULL},
        {"{\"query\":[\"q\"]}", "\"query\" must be " TEXT_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"queryId\":1}", "\"queryId\" must be " ID_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"queryId\":false}", "\"queryId\" must be " ID_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"userId\":{}}", "\"userId\" must be " ID_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"database\":0}", "\"database\" must be " DATABASE_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"database\":\"\"}",
         "\"database\" is empty; it must be " DATABASE_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"catalog\":[]}", "\"catalog\" must be " CATALOG_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"catalog\":\"\"}", "\"catalog\" is empty; it must be " CATALOG_WANTED,
         NULL, NULL},
        {"{\"query\":\"q\",\"workGroup\":true}", "\"workGroup\" must be " GROUP_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"workGroup\":\"\"}", "\"workGroup\" is empty; it must be " GROUP_WANTED,
         NULL, NULL},
        {"{\"query\":\"q\",\"outputLocation\":3}", "\"outputLocation\" must be " LOCATION_WANTED,
         NULL, NULL},
        {"{\"query\":\"q\",\"outputLocation\":\"\"}",
         "\"outputLocation\" is empty; it must be " LOCATION_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"executionParameters\":\"1\"}",
         "\"executionParameters\" must be " PARAMETERS_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"executionParameters\":{}}",
         "\"executionParameters\" must be " PARAMETERS_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"executionParameters\":[]}",
         "\"executionParameters\" must be " PARAMETERS_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"executionParameters\":[\"1\",2]}",
         "\"executionParameters\" must be " PARAMETERS_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"executionParameters\":[null]}",
         "\"executionParameters\" must be " PARAMETERS_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"executionParameters\":[[\"1\"]]}",
         "\"executionParameters\" must be " PARAMETERS_WANTED, NULL, NULL},
        {"{\"query\":\"q\",\"executionParameters\":[\"1\",\"\",\"2\"]}",
         "\"executionParameters\" must be " PARAMETERS_WANTED, NULL, NULL},
        REUSE_REFUSED("10081"),
        REUSE_REFUSED("-1"),
        REUSE_REFUSED("-0"),
        REUSE_REFUSED("1.5"),
        REUSE_REFUSED("60.0"),
        REUSE_REFUSED("6e1"),
        REUSE_REFUSED("4294967296"),
        REUSE_REFUSED("18446744073709551676"),
        REUSE_REFUSED("99999999999999999999999999999999999999999999999999"),
        REUSE_REFUSED("\"60\""),
        REUSE_REFUSED("\"\""),
        REUSE_REFUSED("true"),
        REUSE_REFUSED("[60]"),
        REUSE_REFUSED("{\"x\":60}"),
        /* Of several faults the first. */
        {"{\"query\":\"\",\"database\":0}", "\"query\" is empty; it must be " TEXT_WANTED, NULL,
         NULL},
        {"{\"database\":0,\"query\":\"\"}", "\"database\" must be " DATABASE_WANTED, NULL, NULL},
    };
    check_refused(cases, sizeof cases / sizeof *cases);
}

#define IDS_IN "\"userId\":\"u\",\"queryId\":\"i\""

static void test_ids_that_stay(void **state) {
    (void)state;
    static const struct refused_case cases[] = {
        {"{" IDS_IN "}", "\"query\" is missing; it must be " TEXT_WANTED, "u", "i"},
        {"{\"query\":1," IDS_IN "}", "\"query\" must be " TEXT_WANTED, "u", "i"},
        {"{\"query\":\"q\",\"catalog\":1," IDS_IN "}", "\"catalog\" must be " CATALOG_WANTED, "u",
         "i"},
        {"{\"queryId\":\"i\"}", "\"query\" is missing; it must be " TEXT_WANTED, NULL, "i"},
        {"{\"userId\":null,\"queryId\":\"i\"}", "\"query\" is missing; it must be " TEXT_WANTED,
         NULL, "i"},
        {"{\"userId\":\"u\",\"queryId\":\"\"}", "\"query\" is missing; it must be " TEXT_WANTED,
         "u", NULL},
        {"{\"query\":\"q\",\"userId\":\"u\",\"queryId\":0}", "\"queryId\" must be " ID_WANTED, "u",
         NULL},
        /* ("", "i") would be another query. */
        {"{\"query\":\"q\",\"userId\":0,\"queryId\":\"i\"}", "\"userId\" must be " ID_WANTED, NULL,
         NULL},
        {"{\"query\":0,\"queryId\":\"i\",\"userId\":0}", "\"query\" must be " TEXT_WANTED, NULL,
         NULL},
        /* JSON that is not sound names nobody, wherever the fault is. */
        {"{\"query\":\"q\"," IDS_IN ",\"x\":01}",
         "not strict JSON: expected a comma or } at byte 45", NULL, NULL},
        {"{\"query\":\"q\"," IDS_IN "} ]",
         "not strict JSON: something follows the object, at byte 41", NULL, NULL},
        {"{\"query\":\"q\"," IDS_IN ",\"x\":{\"y\":1,\"y\":2}}",
         "not strict JSON: the key \"y\" comes a second time in its object, at byte 51", NULL,
         NULL},
        {"{\"query\":\"q\",\"queryId\":\"i\",\"queryId\":\"j\"}",
         "not strict JSON: the key \"queryId\" comes a second time in its object, at byte 27", NULL,
         NULL},
        {"{\"query\":\"a\",\"\\u0071uery\":\"b\"}",
         "not strict JSON: the key \"query\" comes a second time in its object, at byte 13", NULL,
         NULL},
        {"{\"query\":\"SELECT 1 WHERE \\u0000\"}",
         "not strict JSON: NUL, written \\u0000, at byte 25", NULL, NULL},
        {"[{\"query\":\"q\"}]", "not strict JSON: expected an object at byte 0", NULL, NULL},
        {"\"q\"", "not strict JSON: expected an object at byte 0", NULL, NULL},
        {"", "not strict JSON: it ends at byte 0, where an object was expected", NULL, NULL},
    };
    check_refused(cases, sizeof cases / sizeof *cases);
}

/* ---- limits: the longest that is taken, and one more ---- */

struct limit_case {
    const char *field;
    const char *before; /* of the repeated part, in the value */
    const char *unit;
    size_t most;
};

static bool read_repeated(const struct limit_case *c, size_t count, struct query *q) {
    struct buffer b;
    char detail[300];
    buffer_init(&b, 4 << 20);
    bool is_array = strcmp(c->field, "executionParameters") == 0;
    buffer_printf(&b, "{%s\"%s\":%s\"%s", strcmp(c->field, "query") == 0 ? "" : "\"query\":\"q\",",
                  c->field, is_array ? "[\"x\"," : "", c->before);
    for (size_t i = 0; i < count; i++)
        buffer_puts(&b, c->unit);
    buffer_puts(&b, is_array ? "\"]}" : "\"}");
    assert_false(b.failed);
    bool ok = query_read(b.data, b.len, q, detail, sizeof detail);
    if (!ok && (detail[0] != '"' || strncmp(detail + 1, c->field, strlen(c->field)) != 0))
        fail_msg("%s: %s", c->field, detail);
    buffer_free(&b);
    return ok;
}

static void test_limits(void **state) {
    (void)state;
    static const struct limit_case cases[] = {
        {"query", "", "x", 262144},
        {"query", "", "\xC3\xA9", 131072},
        {"query", "x", "\xC3\xA9", 131071},
        {"query", "", "\\u0041", 262144},
        {"query", "", "\\n", 262144},
        {"queryId", "", "x", 128},
        {"queryId", "", "\xE2\x82\xAC", 42},
        {"queryId", "", "\\ud83d\\ude00", 32},
        {"userId", "", "x", 128},
        {"userId", "", "\xC3\xA9", 64},
        {"database", "", "d", 255},
        {"database", "", "\xC3\xA9", 255},
        {"database", "", "\xF0\x9F\x98\x80", 255},
        {"database", "", "\\ud83d\\ude00", 255},
        {"catalog", "", "c", 256},
        {"catalog", "", "\xE2\x82\xAC", 256},
        {"workGroup", "", "w", 128},
        {"outputLocation", "s3://", "b", 255},
        {"outputLocation", "s3://bucket/", "k", 1012},
        {"outputLocation", "s3://bucket/", "\xC3\xA9", 506},
        {"executionParameters", "", "p", 1024},
        {"executionParameters", "", "\xF0\x9F\x98\x80", 1024},
        {"executionParameters", "", "\\\"", 1024},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct query q;
        if (!read_repeated(&cases[i], cases[i].most, &q))
            fail_msg("%s: %zu times '%s' refused", cases[i].field, cases[i].most, cases[i].unit);
        query_free(&q);
        if (read_repeated(&cases[i], cases[i].most + 1, &q))
            fail_msg("%s: %zu times '%s' taken", cases[i].field, cases[i].most + 1, cases[i].unit);
        query_free(&q);
    }
}

static void test_depth_counts_the_outer_object(void **state) {
    (void)state;
    for (int brackets = 63; brackets <= 64; brackets++) {
        char json[200] = "{\"query\":\"q\",\"x\":", detail[300];
        size_t n = strlen(json);
        memset(json + n, '[', (size_t)brackets);
        memset(json + n + brackets, ']', (size_t)brackets);
        strcat(json, "}");
        struct query q;
        assert_int_equal(read_text(json, &q, detail, sizeof detail), brackets == 63);
        query_free(&q);
    }
}

/* ---- names, with their neighbours ---- */

struct name_case {
    const char *field;
    const char *value; /* as it stands in JSON */
    bool taken;
};

static void test_names(void **state) {
    (void)state;
    static const struct name_case cases[] = {
        {"catalog", "a b", true},
        {"catalog", "\\t", true},
        {"catalog", "\\n", false},
        {"catalog", "a\\u0001", false},
        {"catalog", "\\u001f", false},
        {"catalog", "\\u0020", true},
        {"catalog", "\\u007f", true},
        {"catalog", "\\uFFFD", true},
        {"catalog", "\\uFFFE", false},
        {"catalog", "a\xEF\xBF\xBF", false},
        {"catalog", "\\ud83d\\ude00", true},
        {"database", "a-b c", true},
        {"database", "\\u0001", true},
        {"workGroup", "primary", true},
        {"workGroup", "..", true},
        {"workGroup", "azAZ09", true},
        {"workGroup", "aAzZ`", false},
        {"workGroup", "{", false},
        {"workGroup", "@", false},
        {"workGroup", "[", false},
        {"workGroup", " a", false},
        {"workGroup", "a b", false},
        {"workGroup", "a/b", false},
        {"workGroup", "a\\n", false},
        {"workGroup", "caf\xC3\xA9", false},
        {"workGroup", "a:b", false},
        {"outputLocation", "s3://buc", true},
        {"outputLocation", "s3://bucket", true},
        {"outputLocation", "s3://bucket/", true},
        {"outputLocation", "s3://my-bucket.2/a/b/", true},
        {"outputLocation", "s3://Old_Bucket/x", true},
        {"outputLocation", "s3:\\/\\/bucket\\/x", true},
        {"outputLocation", "s3://bucket//", true},
        {"outputLocation", "s3://bucket/a?b#c%d \xC3\xA9", true},
        {"outputLocation", "s3://bu", false},
        {"outputLocation", "s3://", false},
        {"outputLocation", "s3:///x", false},
        {"outputLocation", "s3:/bucket", false},
        {"outputLocation", "S3://bucket", false},
        {"outputLocation", " s3://bucket", false},
        {"outputLocation", "http://bucket/x", false},
        {"outputLocation", "bucket/x", false},
        {"outputLocation", "s3", false},
        {"outputLocation", "s3://-bucket", false},
        {"outputLocation", "s3://bucket-/x", false},
        {"outputLocation", "s3://.bucket", false},
        {"outputLocation", "s3://buc ket/x", false},
        {"outputLocation", "s3://bucket:80/x", false},
        {"outputLocation",
         "s3://b\xC3\xBC"
         "cket/x",
         false},
        {"outputLocation", "s3://bucket/\\n", false},
        {"outputLocation", "s3://bucket/\\t", false},
        {"outputLocation", "s3://bucket/\x7F", false},
        {"outputLocation", "s3://bucket/\\u0080", false},
        {"outputLocation", "s3://bucket/\xC2\x9F", false},
        {"outputLocation", "s3://bucket/\xC2\xA0", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[200], detail[300];
        snprintf(json, sizeof json, "{\"query\":\"q\",\"%s\":\"%s\"}", cases[i].field,
                 cases[i].value);
        struct query q;
        bool ok = read_text(json, &q, detail, sizeof detail);
        if (ok != cases[i].taken)
            fail_msg("%s: %s", json, ok ? "taken" : detail);
        if (!ok && strstr(detail, " must be ") == NULL)
            fail_msg("%s: %s", json, detail);
        query_free(&q);
    }
}

static void test_details_quote_no_value(void **state) {
    (void)state;
    static const char *const cases[] = {
        "{\"query\":\"SECRET\",\"database\":1}",
        "{\"query\":\"SECRET\" \"SECRET\"}",
        "{\"query\":\"SECRET\\u0000\"}",
        "{\"query\":\"SECRET\xFF\"}",
        "{\"query\":SECRET}",
        "{\"SECRET FROM\":1,\"SECRET FROM\":1}",
        "{\"query\":\"q\",\"userId\":[\"SECRET\"]}",
        "{\"query\":\"q\",\"workGroup\":\"SECRET!\"}",
        "{\"query\":\"SECRET\"}SECRET",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct query q;
        char detail[300];
        assert_false(read_text(cases[i], &q, detail, sizeof detail));
        assert_null(strstr(detail, "SECRET"));
        query_free(&q);
    }
}

static void test_nothing_at_all(void **state) {
    (void)state;
    struct query q;
    char detail[300];
    assert_false(query_read(NULL, 0, &q, detail, sizeof detail)); /* a tombstone */
    query_free(&q);
    query_free(&q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused_types),
        cmocka_unit_test(test_ids_that_stay),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_depth_counts_the_outer_object),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_details_quote_no_value),
        cmocka_unit_test(test_nothing_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
