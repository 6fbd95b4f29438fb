/* What the reader tells: members, elements, and what a string decodes to. */
#include "common/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buffer.h"

#define BYTES(literal) (literal), sizeof(literal) - 1

/* From a copy of exactly that size, so that a sanitizer sees a byte read too many. */
static bool read_copy(const char *bytes, size_t n, json_member_fn *fn, void *arg, char *detail,
                      size_t detail_size) {
    char *copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    bool ok = json_read_object(copy, n, JSON_DEPTH_MAX, fn, arg, detail, detail_size);
    free(copy);
    return ok;
}

static bool write_element(void *arg, struct json_value value) {
    buffer_printf(arg, "<%d %.*s>", value.type, (int)value.n, value.at);
    return true;
}

static bool write_member(void *arg, const char *key, size_t key_len, struct json_value value) {
    buffer_printf(arg, "%.*s=%d ", (int)key_len, key, value.type);
    if (value.type == JSON_ARRAY)
        assert_true(json_read_array(value, write_element, arg));
    else
        buffer_printf(arg, "%.*s", (int)value.n, value.at);
    buffer_puts(arg, ";");
    return true;
}

static void test_members(void **state) {
    (void)state;
    static const char text[] =
        " { \"b\" : -1.5e3 ,\"\\u0061\":\"x\\n\\\"}\",\"n\":null,\"t\" :true\n,\"f\":false,"
        "\"o\":{\"i\":[1,{\"b\":2}]} , \"r\" : [ ] ,"
        "\"s\":[1 ,\"],\\\"[\",null, [[],{\"x\":\"]}\"}] ,{}, true,\"\\\\\"\n] } ";
    char detail[100];
    struct buffer b;
    buffer_init(&b, 10000);
    assert_true(read_copy(text, sizeof text - 1, write_member, &b, detail, sizeof detail));
    assert_string_equal(buffer_text(&b),
                        "b=2 -1.5e3;a=3 \"x\\n\\\"}\";n=0 null;t=1 true;f=1 false;"
                        "o=5 {\"i\":[1,{\"b\":2}]};r=4 ;"
                        "s=4 <2 1><3 \"],\\\"[\"><0 null><4 [[],{\"x\":\"]}\"}]><5 {}><1 true>"
                        "<3 \"\\\\\">;");
    buffer_free(&b);
}

static bool stop_at_second(void *arg, const char *key, size_t key_len, struct json_value value) {
    (void)value;
    buffer_add(arg, key, key_len);
    return ((struct buffer *)arg)->len < 2;
}

static bool stop_at_two(void *arg, struct json_value value) {
    buffer_add(arg, value.at, value.n);
    return *value.at != '2';
}

static void test_ended_by_the_caller(void **state) {
    (void)state;
    char detail[100] = "untouched";
    struct buffer b;
    buffer_init(&b, 100);
    assert_false(
        read_copy(BYTES("{\"a\":1,\"b\":2,\"c\":3}"), stop_at_second, &b, detail, sizeof detail));
    assert_string_equal(buffer_text(&b), "ab");
    assert_string_equal(detail, "untouched");
    buffer_clear(&b);
    struct json_value array = {JSON_ARRAY, BYTES("[1,2,3]")};
    assert_false(json_read_array(array, stop_at_two, &b));
    assert_string_equal(buffer_text(&b), "12");
    buffer_free(&b);
}

static void test_nothing_is_told_of_what_is_not_sound(void **state) {
    (void)state;
    char detail[100];
    struct buffer b;
    buffer_init(&b, 100);
    assert_false(read_copy(BYTES("{\"a\":1,\"b\":2} x"), write_member, &b, detail, sizeof detail));
    assert_false(read_copy(BYTES("{\"a\":1,\"a\":2}"), write_member, &b, detail, sizeof detail));
    assert_int_equal(b.len, 0);
    buffer_free(&b);
}

static void test_decode(void **state) {
    (void)state;
    static const struct {
        const char *json;
        size_t n;
        const char *text;
    } cases[] = {
        {BYTES("\"\""), ""},
        {BYTES("\"plain\""), "plain"},
        {BYTES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\\/\b\f\n\r\t"},
        {BYTES("\"a\\u0041b\\u00e9\\u20AC\\ud83d\\uDE00.\""),
         "aAb\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80."},
        {BYTES("\"\\u007f\\u0080\\u07ff\\u0800\\ufffF\""),
         "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"},
        {BYTES("\"\\ud800\\udc00\\uDBFF\\uDFFF\""), "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"},
        {BYTES("\"\\\\u0000\""), "\\u0000"},
        {BYTES("\"\xF0\x9F\x98\x80\\n\xC3\xA9\""), "\xF0\x9F\x98\x80\n\xC3\xA9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n;
        char *text =
            json_decode_string((struct json_value){JSON_STRING, cases[i].json, cases[i].n}, &n);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(n, strlen(cases[i].text));
        free(text);
    }
}

/* What buffer_json_string() writes, the reader takes and decodes to the same. */
static bool decode_member(void *arg, const char *key, size_t key_len, struct json_value value) {
    (void)key;
    (void)key_len;
    size_t n;
    char *text = json_decode_string(value, &n);
    buffer_add(arg, text, n);
    free(text);
    return true;
}

static void test_round_trip(void **state) {
    (void)state;
    char all[127 + 20] = "", detail[100];
    for (int c = 1; c < 128; c++)
        all[c - 1] = (char)c;
    strcat(all, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    struct buffer b, out;
    buffer_init(&b, 10000);
    buffer_init(&out, 10000);
    buffer_puts(&b, "{\"k\":");
    buffer_json_string(&b, all, strlen(all));
    buffer_puts(&b, "}");
    assert_true(read_copy(b.data, b.len, decode_member, &out, detail, sizeof detail));
    assert_string_equal(buffer_text(&out), all);
    buffer_free(&b);
    buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_ended_by_the_caller),
        cmocka_unit_test(test_nothing_is_told_of_what_is_not_sound),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
