#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/memory.h"
#include "common/model/status.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct status_room room;

/* 2026-01-02T03:04:05.678Z */
#define MOMENT_MS INT64_C(1767323045678)

static char *repeat(const char *s, size_t count) {
    size_t n = strlen(s);
    char *out = mem_alloc(n * count + 1);
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * n, s, n);
    out[n * count] = '\0';
    return out;
}

static char *write(const struct status *s, bool with_sha256) {
    struct buffer b;
    buffer_init(&b, STATUS_VALUE_MAX);
    status_write(s, with_sha256, &b);
    assert_false(b.failed);
    return buffer_take(&b);
}

/* --- states ----------------------------------------------------------------------------------- */

static void test_names(void **state) {
    (void)state;
    static const char *const names[] = {"",        "QUEUED",    "THROTTLED", "REJECTED",
                                        "STARTED", "SUCCEEDED", "FAILED",    "CANCELLED"};
    for (int i = STATUS_NONE; i <= STATUS_CANCELLED; i++) {
        assert_string_equal(status_state_name((enum status_state)i), names[i]);
        assert_int_equal(status_state_parse(names[i], strlen(names[i])), i);
        assert_int_equal(status_is_final((enum status_state)i), i >= STATUS_SUCCEEDED);
    }
    assert_int_equal(status_state_parse("queued", 6), STATUS_NONE);
    assert_int_equal(status_state_parse("QUEUED", 5), STATUS_NONE);
    assert_int_equal(status_state_parse("QUEUEDX", 7), STATUS_NONE);
    assert_int_equal(status_state_parse("RUNNING", 7), STATUS_NONE);
}

/*
 * Down: what is known. Across: QUEUED THROTTLED REJECTED STARTED SUCCEEDED FAILED CANCELLED.
 * y: may follow; -: may not; t: where it is not older.
 */
static const char *const same_text[] = {
    [STATUS_NONE] = "yyyyyyy",     [STATUS_QUEUED] = "yyyyyyy",    [STATUS_THROTTLED] = "-yyyyyy",
    [STATUS_REJECTED] = "--yyyyy", [STATUS_STARTED] = "---yyyy",   [STATUS_SUCCEEDED] = "----ttt",
    [STATUS_FAILED] = "----ttt",   [STATUS_CANCELLED] = "----ttt",
};
static const char *const other_text_with_id[] = {
    [STATUS_NONE] = "yyyyyyy",     [STATUS_QUEUED] = "---yyyy",    [STATUS_THROTTLED] = "---yyyy",
    [STATUS_REJECTED] = "--yyyyy", [STATUS_STARTED] = "---yyyy",   [STATUS_SUCCEEDED] = "----ttt",
    [STATUS_FAILED] = "----ttt",   [STATUS_CANCELLED] = "----ttt",
};
static const char *const other_text_without_id[] = {
    [STATUS_NONE] = "yyyyyyy",     [STATUS_QUEUED] = "-------",    [STATUS_THROTTLED] = "-------",
    [STATUS_REJECTED] = "--y----", [STATUS_STARTED] = "-------",   [STATUS_SUCCEEDED] = "-------",
    [STATUS_FAILED] = "-------",   [STATUS_CANCELLED] = "-------",
};

/* Whether each has a SHA-256, and which. */
static const struct {
    char known, next; /* 'a', 'b', or ' ' for none */
    bool same;
} digests[] = {
    {'a', 'a', true}, {' ', ' ', true}, {'a', 'b', false}, {'a', ' ', false}, {' ', 'a', false},
};

static struct status sample(int state, char digest, bool with_id, int64_t updated_at_ms) {
    struct status s = {.user_id = "u",
                       .query_id = "q",
                       .state = (enum status_state)state,
                       .query_execution_id = with_id ? "id" : NULL,
                       .updated_at_ms = updated_at_ms,
                       .has_sha256 = digest != ' '};
    memset(s.sha256, digest, sizeof s.sha256);
    return s;
}

static bool is_wanted(int known, int next, bool same, bool with_id, int age_ms) {
    const char *const *table = same      ? same_text
                               : with_id ? other_text_with_id
                                         : other_text_without_id;
    char c = table[known][next - STATUS_QUEUED];
    return c == 'y' || (c == 't' && age_ms >= 0);
}

static void test_who_may_follow_whom(void **state) {
    (void)state;
    for (int known = STATUS_NONE; known <= STATUS_CANCELLED; known++)
        for (int next = STATUS_QUEUED; next <= STATUS_CANCELLED; next++)
            for (size_t d = 0; d < COUNT(digests); d++)
                for (int ids = 0; ids < 4; ids++)
                    for (int age_ms = -1; age_ms <= 1; age_ms++) {
                        struct status a = sample(known, digests[d].known, ids & 1, MOMENT_MS);
                        struct status b =
                            sample(next, digests[d].next, ids & 2, MOMENT_MS + age_ms);
                        bool wanted = is_wanted(known, next, digests[d].same, ids & 2, age_ms);
                        if (status_may_follow(&a, &b) != wanted)
                            fail_msg("%s after %s, texts %c %c, ids %d, age %d: not %d",
                                     status_state_name(b.state), status_state_name(a.state),
                                     digests[d].known, digests[d].next, ids, age_ms, wanted);
                    }
}

static void test_first_word(void **state) {
    (void)state;
    for (int next = STATUS_NONE; next <= STATUS_CANCELLED; next++) {
        struct status s = sample(next, 'a', false, 0);
        assert_int_equal(status_may_follow(NULL, &s), next != STATUS_NONE);
    }
}

/* --- keys ------------------------------------------------------------------------------------- */

static const struct {
    const char *user_id, *query_id, *key;
} keys[] = {
    {"", "q", "/q"},
    {"u", "q", "u/q"},
    {"a/b", "c/d", "a%2Fb/c%2Fd"},
    {"a%2Fb", "100%", "a%252Fb/100%25"},
    {"\xc3\xa4", " +&?#", "%C3%A4/%20%2B%26%3F%23"},
    {"A-Z.a_z~0", "\x01\x7f", "A-Z.a_z~0/%01%7F"},
};

static void test_keys(void **state) {
    (void)state;
    char key[STATUS_KEY_MAX], user_id[QUERY_ID_MAX + 1], query_id[QUERY_ID_MAX + 1];
    for (size_t i = 0; i < COUNT(keys); i++) {
        status_key(keys[i].user_id, keys[i].query_id, key);
        assert_string_equal(key, keys[i].key);
        assert_true(status_key_read(key, strlen(key), user_id, query_id));
        assert_string_equal(user_id, keys[i].user_id);
        assert_string_equal(query_id, keys[i].query_id);
    }
}

static void test_longest_key(void **state) {
    (void)state;
    char *id = repeat("\xc3\xa4", QUERY_ID_MAX / 2), key[STATUS_KEY_MAX];
    char user_id[QUERY_ID_MAX + 1], query_id[QUERY_ID_MAX + 1];
    status_key(id, id, key);
    assert_int_equal(strlen(key), STATUS_KEY_MAX - 1);
    assert_true(status_key_read(key, strlen(key), user_id, query_id));
    assert_string_equal(user_id, id);
    assert_string_equal(query_id, id);
    free(id);
}

static void test_no_keys(void **state) {
    (void)state;
    static const char *const bad[] = {"",      "q",     "u/",    "/",     "u/q/x", "u/%",
                                      "u/%4",  "u/%4g", "u/%2f", "u/%61", "a b/q", "u/\xc3\xa4",
                                      "u/%00", "u/%FF", "%FF/q", "u/a%C3"};
    char user_id[QUERY_ID_MAX + 1], query_id[QUERY_ID_MAX + 1];
    for (size_t i = 0; i < COUNT(bad); i++) {
        char *exact = mem_alloc(strlen(bad[i])); /* without a NUL behind it */
        memcpy(exact, bad[i], strlen(bad[i]));
        if (status_key_read(exact, strlen(bad[i]), user_id, query_id))
            fail_msg("\"%s\" was read", bad[i]);
        free(exact);
    }
    assert_false(status_key_read(NULL, 0, user_id, query_id));
    char *id = repeat("x", QUERY_ID_MAX + 1), key[512];
    int n = snprintf(key, sizeof key, "u/%s", id);
    assert_false(status_key_read(key, (size_t)n, user_id, query_id));
    assert_true(status_key_read(key, (size_t)n - 1, user_id, query_id));
    n = snprintf(key, sizeof key, "%s/q", id);
    assert_false(status_key_read(key, (size_t)n, user_id, query_id));
    free(id);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void test_written(void **state) {
    (void)state;
    struct status s = {.user_id = "", .query_id = "q\"1", .state = STATUS_QUEUED};
    char *text = write(&s, false);
    assert_string_equal(text, "{\"queryId\":\"q\\\"1\",\"userId\":null,\"state\":\"QUEUED\","
                              "\"queryExecutionId\":null,\"outputLocation\":null,\"attempt\":0,"
                              "\"reason\":null,\"updatedAt\":\"1970-01-01T00:00:00.000Z\"}");
    free(text);
    text = write(&s, true);
    assert_non_null(strstr(text, ",\"sha256\":null}"));
    free(text);
    s = (struct status){.user_id = "u",
                        .query_id = "q",
                        .state = STATUS_FAILED,
                        .query_execution_id = "e-1",
                        .output_location = "s3://b/e-1.csv",
                        .reason = "line 1:\n\"x\"",
                        .attempt = 3,
                        .updated_at_ms = MOMENT_MS,
                        .has_sha256 = true,
                        .sha256 = {0x00, 0xff, 0x0a}};
    text = write(&s, true);
    assert_string_equal(
        text, "{\"queryId\":\"q\",\"userId\":\"u\",\"state\":\"FAILED\",\"queryExecutionId\":"
              "\"e-1\",\"outputLocation\":\"s3://b/e-1.csv\",\"attempt\":3,\"reason\":"
              "\"line 1:\\n\\\"x\\\"\",\"updatedAt\":\"2026-01-02T03:04:05.678Z\",\"sha256\":"
              "\"00ff0a0000000000000000000000000000000000000000000000000000000000\"}");
    free(text);
}

static void test_texts_from_outside_are_made_sound(void **state) {
    (void)state;
    static const struct {
        const char *reason, *wanted;
    } rows[] = {
        {"", ""},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *reason = mem_string(rows[i].reason);
        struct status s = {
            .user_id = "", .query_id = "q", .state = STATUS_FAILED, .reason = reason};
        struct status read;
        char *text = write(&s, true);
        assert_true(status_read(text, strlen(text), &room, &read));
        assert_string_equal(read.reason, rows[i].wanted);
        free(text);
        free(reason);
    }
}

/* Whatever is written can be read again, also the largest. */
static void test_largest(void **state) {
    (void)state;
    static const char *const fillers[] = {"x", "\x01", "\xff", "\xc3\xa4", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < COUNT(fillers); i++) {
        char *text = repeat(fillers[i], 5000), *id = repeat("\x01", QUERY_ID_MAX);
        struct status read, s = {.user_id = id,
                                 .query_id = id,
                                 .state = STATUS_FAILED,
                                 .query_execution_id = text,
                                 .output_location = text,
                                 .reason = text,
                                 .attempt = INT64_C(1) << 31,
                                 .has_sha256 = true};
        char *json = write(&s, true);
        assert_true(status_read(json, strlen(json), &room, &read));
        assert_string_equal(read.user_id, id);
        assert_string_equal(read.query_id, id);
        assert_in_range(strlen(read.reason), STATUS_REASON_MAX - 3, STATUS_REASON_MAX);
        assert_in_range(strlen(read.output_location), STATUS_LOCATION_MAX - 3, STATUS_LOCATION_MAX);
        free(json);
        free(text);
        free(id);
    }
}

/* --- reading ---------------------------------------------------------------------------------- */

static void test_round_trip(void **state) {
    (void)state;
    for (int i = STATUS_QUEUED; i <= STATUS_CANCELLED; i++)
        for (int given = 0; given < 16; given++) {
            struct status read, s = {.user_id = given & 1 ? "us/er" : "",
                                     .query_id = "q\xc3\xa4",
                                     .state = (enum status_state)i,
                                     .query_execution_id = given & 2 ? "e-1" : NULL,
                                     .output_location = given & 4 ? "s3://b/k" : NULL,
                                     .reason = given & 8 ? "because" : NULL,
                                     .attempt = given,
                                     .updated_at_ms = MOMENT_MS + i,
                                     .has_sha256 = given & 1};
            for (size_t j = 0; s.has_sha256 && j < sizeof s.sha256; j++)
                s.sha256[j] = (uint8_t)(j * 37 + 5);
            char *first = write(&s, true);
            assert_true(status_read(first, strlen(first), &room, &read));
            assert_int_equal(read.state, i);
            assert_int_equal(read.attempt, given);
            assert_int_equal(read.updated_at_ms, s.updated_at_ms);
            assert_int_equal(read.has_sha256, s.has_sha256);
            assert_memory_equal(read.sha256, s.sha256, sizeof s.sha256);
            char *second = write(&read, true);
            assert_string_equal(first, second);
            cJSON *other = cJSON_Parse(first); /* as others read it */
            assert_non_null(other);
            assert_string_equal(
                cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(other, "state")),
                status_state_name(s.state));
            cJSON_Delete(other);
            free(first);
            free(second);
        }
}

#define WITH(more)                                                                                 \
    "{\"queryId\":\"q\",\"state\":\"QUEUED\",\"updatedAt\":\"2026-01-02T03:04:05.678Z\"" more "}"
#define AT(moment) "{\"queryId\":\"q\",\"state\":\"QUEUED\",\"updatedAt\":\"" moment "\"}"
#define DIGITS     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static const struct {
    const char *json;
    bool ok;
} values[] = {
    {WITH(""), true},
    {WITH(",\"userId\":null,\"reason\":null,\"sha256\":null"), true},
    {WITH(",\"later\":{\"a\":[1,2]}"), true},
    {WITH(",\"attempt\":9007199254740992"), true},
    {WITH(",\"sha256\":\"" DIGITS "f\""), true},
    {" " WITH("") "\n", true},
    {"", false},
    {"null", false},
    {"[]", false},
    {"{}", false},
    {WITH("") "x", false},
    {WITH(",\"state\":\"QUEUED\""), false},
    {WITH(",\"reason\":\"\\u0000\""), false},
    {WITH(",\"reason\":\"\xff\""), false},
    {WITH(",\"reason\":5"), false},
    {WITH(",\"userId\":5"), false},
    {WITH(",\"attempt\":-1"), false},
    {WITH(",\"attempt\":1.5"), false},
    {WITH(",\"attempt\":1e3"), false},
    {WITH(",\"attempt\":\"1\""), false},
    {WITH(",\"attempt\":null"), false},
    {WITH(",\"attempt\":9007199254740993"), false},
    {WITH(",\"attempt\":99999999999999999999"), false},
    {WITH(",\"sha256\":\"" DIGITS "\""), false},
    {WITH(",\"sha256\":\"" DIGITS "fa\""), false},
    {WITH(",\"sha256\":\"" DIGITS "g\""), false},
    {WITH(",\"sha256\":5"), false},
    {"{\"state\":\"QUEUED\",\"updatedAt\":\"2026-01-02T03:04:05.678Z\"}", false},
    {"{\"queryId\":\"\",\"state\":\"QUEUED\",\"updatedAt\":\"2026-01-02T03:04:05.678Z\"}", false},
    {"{\"queryId\":null,\"state\":\"QUEUED\",\"updatedAt\":\"2026-01-02T03:04:05.678Z\"}", false},
    {"{\"queryId\":\"q\",\"updatedAt\":\"2026-01-02T03:04:05.678Z\"}", false},
    {"{\"queryId\":\"q\",\"state\":\"\",\"updatedAt\":\"2026-01-02T03:04:05.678Z\"}", false},
    {"{\"queryId\":\"q\",\"state\":\"GONE\",\"updatedAt\":\"2026-01-02T03:04:05.678Z\"}", false},
    {"{\"queryId\":\"q\",\"state\":null,\"updatedAt\":\"2026-01-02T03:04:05.678Z\"}", false},
    {"{\"queryId\":\"q\",\"state\":\"QUEUED\"}", false},
    {AT("1970-01-01T00:00:00.000Z"), true},
    {AT("2024-02-29T23:59:59.999Z"), true},
    {AT("9999-12-31T23:59:59.999Z"), true},
    {AT("2026-02-29T00:00:00.000Z"), false},
    {AT("2026-01-02T24:00:00.000Z"), false},
    {AT("2026-01-02T03:04:60.000Z"), false},
    {AT("2026-01-02T03:04:05Z"), false},
    {AT("2026-01-02T03:04:05.678"), false},
    {AT("2026-01-02T03:04:05.67aZ"), false},
    {AT("2026-01-02T03:04:05.+67Z"), false},
    {AT("2026-01-02T03:04:05,678Z"), false},
    {AT("2026-01-02t03:04:05.678z"), false},
    {AT("2026-01-02 03:04:05.678Z"), false},
    {AT("2026-01-02T03:04:05.678+00:00"), false},
    {AT("1969-12-31T23:59:59.999Z"), false},
    {AT(""), false},
};

static void test_values(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        struct status read;
        memset(&read, '#', sizeof read);
        if (status_read(values[i].json, strlen(values[i].json), &room, &read) != values[i].ok)
            fail_msg("%s: not %d", values[i].json, values[i].ok);
        if (values[i].ok)
            assert_string_equal(read.user_id, "");
        else
            assert_null(read.query_id);
    }
    struct status read;
    assert_false(status_read(NULL, 0, &room, &read));
}

/* Each day from the epoch to the year 2410, at another time of the day. */
static void test_moments(void **state) {
    (void)state;
    for (int64_t day = 0; day < 161000; day++) {
        int64_t ms = day * 86400000 + day * 7919 % 86400000;
        struct status read,
            s = {.user_id = "", .query_id = "q", .state = STATUS_QUEUED, .updated_at_ms = ms};
        char *text = write(&s, false);
        assert_true(status_read(text, strlen(text), &room, &read));
        assert_int_equal(read.updated_at_ms, ms);
        free(text);
    }
}

#define ENDED(state, more)                                                                         \
    "{\"queryId\":\"q\",\"state\":\"" state "\"," more                                             \
    "\"updatedAt\":\"2026-01-02T03:04:05.678Z\",\"sha256\":null}"

static const struct {
    const char *json;
    bool ended;
} peeks[] = {
    {ENDED("SUCCEEDED", ""), true},
    {ENDED("FAILED", "\"reason\":\"\\\"updatedAt\\\":\\\"2020-01-02T03:04:05.678Z\\\"\","), true},
    {ENDED("CANCELLED", "\"later\":1,"), true},
    {ENDED("REJECTED", ""), true},
    {ENDED("QUEUED", "\"reason\":\"\\\"state\\\":\\\"FAILED\\\"\","), false},
    {ENDED("THROTTLED", ""), false},
    {ENDED("STARTED", ""), false},
    {ENDED("SUCCEEDED_NOT", ""), false},
    {ENDED("", ""), false},
    {"", false},
    {"{\"state\":\"", false},
    {"{\"state\":\"FAILED", false},
    {"{\"state\":\"FAILED\"}", false},
    {"{\"state\":\"FAILED\",\"updatedAt\":\"2026-01-02T03:04:05.67", false},
    {"{\"state\":\"FAILED\",\"updatedAt\":\"2026-01-02T03:04:61.678Z\"}", false},
};

static void test_peeks(void **state) {
    (void)state;
    int64_t at;
    for (size_t i = 0; i < COUNT(peeks); i++) {
        size_t n = strlen(peeks[i].json);
        char *exact =
            mem_bytes(peeks[i].json, n); /* so that a sanitizer sees what is read behind */
        at = 0;
        if (status_peek_ended(exact, n, &at) != peeks[i].ended)
            fail_msg("%s: not %d", peeks[i].json, peeks[i].ended);
        if (peeks[i].ended)
            assert_int_equal(at, MOMENT_MS);
        free(exact);
    }
    assert_false(status_peek_ended(NULL, 0, &at));
}

/* It agrees with the whole reading on all that is written. */
static void test_peeks_of_what_is_written(void **state) {
    (void)state;
    for (int i = STATUS_QUEUED; i <= STATUS_CANCELLED; i++) {
        struct status s = {.user_id = "\"state\":\"QUEUED\"",
                           .query_id = "\"updatedAt\":\"",
                           .state = (enum status_state)i,
                           .reason = "\"state\":\"FAILED\",\"updatedAt\":\"",
                           .updated_at_ms = MOMENT_MS + i};
        char *text = write(&s, true);
        int64_t at = -1;
        bool ended = status_is_final(s.state) || s.state == STATUS_REJECTED;
        assert_int_equal(status_peek_ended(text, strlen(text), &at), ended);
        assert_int_equal(at, ended ? s.updated_at_ms : -1);
        free(text);
    }
}

static void test_too_long_values(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t max;
    } rows[] = {{"userId", QUERY_ID_MAX},
                {"queryExecutionId", STATUS_EXECUTION_ID_MAX},
                {"outputLocation", STATUS_LOCATION_MAX},
                {"reason", STATUS_REASON_MAX},
                {"unknown", STATUS_VALUE_MAX - (sizeof WITH(",\"unknown\":\"\"") - 1)}};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t n = rows[i].max; n <= rows[i].max + 1; n++) {
            char *text = repeat("x", n);
            struct buffer b;
            buffer_init(&b, 2 * STATUS_VALUE_MAX);
            buffer_printf(&b, WITH(",\"%s\":\"%s\""), rows[i].name, text);
            struct status read;
            bool ok = status_read(b.data, b.len, &room, &read);
            if (ok != (n <= rows[i].max))
                fail_msg("%s of %zu bytes, %zu in all: %d", rows[i].name, n, b.len, ok);
            buffer_free(&b);
            free(text);
        }
}

/* Beside the C library, in steps that come to every day of the year and every hour. */
static void test_moments_beside_the_c_library(void **state) {
    (void)state;
    static const int64_t year_10000_ms = INT64_C(253402300800000);
    struct buffer b;
    buffer_init(&b, 4096);
    for (int64_t ms = 0; ms < year_10000_ms; ms += INT64_C(86399999) * 11) {
        struct status s = {
            .query_id = (char *)(uintptr_t) "q", .state = STATUS_QUEUED, .updated_at_ms = ms};
        time_t seconds = (time_t)(ms / 1000);
        struct tm tm;
        char wanted[64];
        size_t n = strftime(wanted, sizeof wanted, "\"updatedAt\":\"%Y-%m-%dT%H:%M:%S",
                            gmtime_r(&seconds, &tm));
        snprintf(wanted + n, sizeof wanted - n, ".%03dZ\"", (int)(ms % 1000));
        buffer_clear(&b);
        status_write(&s, false, &b);
        if (strstr(buffer_text(&b), wanted) == NULL)
            fail_msg("%s is not in %s", wanted, buffer_text(&b));
    }
    buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_who_may_follow_whom),
        cmocka_unit_test(test_first_word),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_longest_key),
        cmocka_unit_test(test_no_keys),
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_texts_from_outside_are_made_sound),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_peeks),
        cmocka_unit_test(test_peeks_of_what_is_written),
        cmocka_unit_test(test_too_long_values),
        cmocka_unit_test(test_moments_beside_the_c_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
