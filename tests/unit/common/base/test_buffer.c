#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void check(const struct buffer *b, const char *text, bool failed) {
    assert_string_equal(buffer_text(b), text);
    assert_int_equal(b->len, strlen(text));
    assert_int_equal(b->failed, failed);
}

static void test_zeroed(void **state) {
    (void)state;
    struct buffer b = {0};
    check(&b, "", false);
    assert_null(b.data);
    buffer_add(&b, NULL, 0);
    check(&b, "", false);
    buffer_putc(&b, 'x');
    check(&b, "", true);
    buffer_free(&b);
    buffer_free(&b);
}

static void test_appends(void **state) {
    (void)state;
    struct buffer b;
    buffer_init(&b, 100);
    check(&b, "", false);
    buffer_puts(&b, "one");
    buffer_putc(&b, ' ');
    buffer_add(&b, "twofold", 3);
    buffer_printf(&b, " %s-%d", "three", 3);
    buffer_add(&b, "ignored", 0);
    buffer_puts(&b, "");
    buffer_printf(&b, "%s", "");
    check(&b, "one two three-3", false);
    buffer_add(&b, "a\0b", 3);
    assert_int_equal(b.len, 18);
    assert_memory_equal(b.data + 15, "a\0b\0", 4);
    buffer_free(&b);
    assert_int_equal(b.max, 100);
    check(&b, "", false);
}

/* Each append that does not fit leaves all as it was, and so does every one after it. */
static void test_maximum(void **state) {
    (void)state;
    static const struct {
        size_t max;
        const char *wanted;
        bool failed;
    } rows[] = {{0, "", true},
                {2, "", true},
                {3, "abc", true},
                {5, "abc", true},
                {6, "abcdef", true},
                {7, "abcdefg", true},
                {9, "abcdefg", true},
                {10, "abcdefg123", false},
                {1000, "abcdefg123", false}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buffer b;
        buffer_init(&b, rows[i].max);
        buffer_puts(&b, "abc");
        buffer_add(&b, "def", 3);
        buffer_putc(&b, 'g');
        buffer_printf(&b, "%d", 123);
        check(&b, rows[i].wanted, rows[i].failed);
        if (rows[i].failed) {
            buffer_add(&b, "", 0);
            check(&b, rows[i].wanted, true);
        }
        buffer_free(&b);
    }
    struct buffer b;
    buffer_init(&b, 3);
    buffer_puts(&b, "long");
    buffer_puts(&b, "s"); /* would fit, but something before it is missing */
    check(&b, "", true);
    buffer_clear(&b);
    buffer_puts(&b, "s");
    check(&b, "s", false);
    buffer_add(&b, "x", SIZE_MAX);
    check(&b, "s", true);
    buffer_free(&b);
}

static void test_grows(void **state) {
    (void)state;
    struct buffer b;
    buffer_init(&b, 100000);
    for (int i = 0; i < 100000; i++)
        buffer_putc(&b, (char)('a' + i % 26));
    assert_int_equal(b.len, 100000);
    assert_false(b.failed);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], 'a' + i % 26);
    const char *kept = b.data;
    buffer_clear(&b);
    check(&b, "", false);
    for (int i = 0; i < 100000; i++)
        buffer_putc(&b, 'x');
    assert_ptr_equal(b.data, kept);
    buffer_free(&b);
}

static void test_take(void **state) {
    (void)state;
    struct buffer b;
    buffer_init(&b, 10);
    char *taken = buffer_take(&b);
    assert_string_equal(taken, "");
    free(taken);
    buffer_puts(&b, "abc");
    taken = buffer_take(&b);
    assert_string_equal(taken, "abc");
    check(&b, "", false);
    buffer_puts(&b, "0123456789");
    check(&b, "0123456789", false);
    assert_string_equal(taken, "abc");
    free(taken);
    buffer_free(&b);
}

static const struct {
    const char *text;
    size_t n;
    const char *json;
} strings[] = {
    {"", 0, "\"\""},
    {"plain", 5, "\"plain\""},
    {"\"\\\b\f\n\r\t/", 8, "\"\\\"\\\\\\b\\f\\n\\r\\t/\""},
    {"\x01\x1f\x7f", 3, "\"\\u0001\\u001f\\u007f\""},
    {"a\0b", 3, "\"a\\u0000b\""},
    {"gr\xc3\xbc\xc3\x9f", 6, "\"gr\xc3\xbc\xc3\x9f\""},
    {"a\"", 2, "\"a\\\"\""},
    {"cut", 2, "\"cu\""},
};

static void test_json_strings(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(strings); i++) {
        struct buffer b;
        buffer_init(&b, 100);
        buffer_json_string(&b, strings[i].text, strings[i].n);
        check(&b, strings[i].json, false);
        buffer_free(&b);
    }
}

/* Whatever byte: another reader reads the same. */
static void test_json_is_read_again(void **state) {
    (void)state;
    char text[256];
    size_t n = 0;
    for (int c = 1; c < 128; c++)
        text[n++] = (char)c;
    text[n] = '\0';
    struct buffer b;
    buffer_init(&b, 2000);
    buffer_json_string(&b, text, n);
    cJSON *read = cJSON_Parse(buffer_text(&b));
    assert_string_equal(cJSON_GetStringValue(read), text);
    cJSON_Delete(read);
    buffer_free(&b);
}

static void test_numbers(void **state) {
    (void)state;
    static const struct {
        int64_t number;
        const char *text;
    } rows[] = {
        {0, "0"},
        {7, "7"},
        {-1, "-1"},
        {1234567890, "1234567890"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buffer b;
        buffer_init(&b, 100);
        buffer_number(&b, rows[i].number);
        check(&b, rows[i].text, false);
        buffer_free(&b);
    }
}

static void test_percent_encoding(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *encoded;
    } rows[] = {
        {"", 0, ""},
        {"AZaz09-._~", 10, "AZaz09-._~"},
        {"/ +%", 4, "%2F%20%2B%25"},
        {"\0\x7f\xff", 3, "%00%7F%FF"},
        {"\xc3\xa4@[`{", 6, "%C3%A4%40%5B%60%7B"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buffer b;
        buffer_init(&b, 100);
        buffer_percent_encode(&b, rows[i].text, rows[i].n);
        check(&b, rows[i].encoded, false);
        buffer_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zeroed),
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_json_is_read_again),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_percent_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
