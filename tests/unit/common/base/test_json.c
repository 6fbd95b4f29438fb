#include "common/base/json.h"
#include "common/base/json_string.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buffer.h"

#define BYTES(literal) (literal), sizeof(literal) - 1

struct read_case {
    const char *bytes;
    size_t n;
    const char *fault; /* behind "not strict JSON: "; NULL: taken */
};

static bool ignore_member(void *arg, const char *key, size_t key_len, struct json_value value) {
    (void)arg;
    (void)key;
    (void)key_len;
    (void)value;
    return true;
}

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

static void check(const struct read_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char detail[200] = "untouched", wanted[200];
        bool ok = read_copy(cases[i].bytes, cases[i].n, ignore_member, NULL, detail, sizeof detail);
        if (cases[i].fault == NULL) {
            if (!ok)
                fail_msg("%s: refused: %s", cases[i].bytes, detail);
            assert_string_equal(detail, "untouched");
            continue;
        }
        if (ok)
            fail_msg("%s: taken", cases[i].bytes);
        snprintf(wanted, sizeof wanted, "not strict JSON: %s", cases[i].fault);
        assert_string_equal(detail, wanted);
    }
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof *(cases))

static void test_structure(void **state) {
    (void)state;
    static const struct read_case cases[] = {
        {BYTES("{}"), NULL},
        {BYTES(" \t\r\n{ \t\r\n} \t\r\n"), NULL},
        {BYTES("{\"a\":1}"), NULL},
        {BYTES(" { \"a\" : [ 1 , { \"b\" : [ ] } , \"c\" ] , \"d\" : { } } "), NULL},
        {BYTES("{\"a\":true,\"b\":false,\"c\":null}"), NULL},
        {BYTES("{\"\":1}"), NULL},
        {BYTES(""), "it ends at byte 0, where an object was expected"},
        {BYTES(" "), "it ends at byte 1, where an object was expected"},
        {BYTES("[]"), "expected an object at byte 0"},
        {BYTES("\"a\""), "expected an object at byte 0"},
        {BYTES("null"), "expected an object at byte 0"},
        {BYTES("}"), "expected an object at byte 0"},
        {BYTES("\v{}"), "expected an object at byte 0"},
        {BYTES("\xEF\xBB\xBF{}"), "it begins with a byte order mark, at byte 0"},
        {BYTES("\xEF\xBB\xBF"), "it begins with a byte order mark, at byte 0"},
        {BYTES("\xEF\xBB"), "expected an object at byte 0"},
        {BYTES(" \xEF\xBB\xBF{}"), "expected an object at byte 1"},
        {BYTES("{"), "it ends at byte 1, where a key in double quotes was expected"},
        {BYTES("{]"), "expected a key in double quotes at byte 1"},
        {BYTES("{,}"), "expected a key in double quotes at byte 1"},
        {BYTES("{a:1}"), "expected a key in double quotes at byte 1"},
        {BYTES("{'a':1}"), "expected a key in double quotes at byte 1"},
        {BYTES("{1:1}"), "expected a key in double quotes at byte 1"},
        {BYTES("{\"a\"}"), "expected a colon at byte 4"},
        {BYTES("{\"a\""), "it ends at byte 4, where a colon was expected"},
        {BYTES("{\"a\":}"), "expected a value at byte 5"},
        {BYTES("{\"a\":"), "it ends at byte 5, where a value was expected"},
        {BYTES("{\"a\"::1}"), "expected a value at byte 5"},
        {BYTES("{\"a\":1"), "it ends at byte 6, where a comma or } was expected"},
        {BYTES("{\"a\":1]"), "expected a comma or } at byte 6"},
        {BYTES("{\"a\":1 \"b\":2}"), "expected a comma or } at byte 7"},
        {BYTES("{\"a\":1,}"), "expected a key in double quotes at byte 7"},
        {BYTES("{\"a\":1,,\"b\":2}"), "expected a key in double quotes at byte 7"},
        {BYTES("{\"a\":[1,]}"), "expected a value at byte 8"},
        {BYTES("{\"a\":[,1]}"), "expected a value at byte 6"},
        {BYTES("{\"a\":[1 2]}"), "expected a comma or ] at byte 8"},
        {BYTES("{\"a\":[1}"), "expected a comma or ] at byte 7"},
        {BYTES("{\"a\":["), "it ends at byte 6, where a value was expected"},
        {BYTES("{}{}"), "something follows the object, at byte 2"},
        {BYTES("{} x"), "something follows the object, at byte 3"},
        {BYTES("{}}"), "something follows the object, at byte 2"},
        {BYTES("{}\0"), "something follows the object, at byte 2"},
        {BYTES("{}\f"), "something follows the object, at byte 2"},
        {BYTES("{}//"), "something follows the object, at byte 2"},
        {BYTES("{/**/}"), "expected a key in double quotes at byte 1"},
        {BYTES("{\0}"), "NUL at byte 1"},
        {BYTES("{\"a\":\xC3\xA9}"), "expected a value at byte 5"},
        {BYTES("{\"a\":1\xC2\xA0}"), "expected a comma or } at byte 6"},
        {BYTES("{\"a\":tru}"), "expected a value at byte 5"},
        {BYTES("{\"a\":True}"), "expected a value at byte 5"},
        {BYTES("{\"a\":truex}"), "expected a comma or } at byte 9"},
        {BYTES("{\"a\":true"), "it ends at byte 9, where a comma or } was expected"},
        {BYTES("{\"a\":nul"), "expected a value at byte 5"},
        {BYTES("{\"a\":NaN}"), "expected a value at byte 5"},
        {BYTES("{\"a\":Infinity}"), "expected a value at byte 5"},
    };
    CHECK(cases);
}

static void test_numbers(void **state) {
    (void)state;
    static const struct read_case cases[] = {
        {BYTES("{\"a\":0}"), NULL},
        {BYTES("{\"a\":9}"), NULL},
        {BYTES("{\"a\":-0}"), NULL},
        {BYTES("{\"a\":10.01}"), NULL},
        {BYTES("{\"a\":-1.5e+07}"), NULL},
        {BYTES("{\"a\":0e0,\"b\":0E-0,\"c\":1e999999999}"), NULL},
        {BYTES("{\"a\":123456789012345678901234567890123456789012345678901234567890}"), NULL},
        {BYTES("{\"a\":01}"), "expected a comma or } at byte 6"},
        {BYTES("{\"a\":-01}"), "expected a comma or } at byte 7"},
        {BYTES("{\"a\":+1}"), "expected a value at byte 5"},
        {BYTES("{\"a\":.5}"), "expected a value at byte 5"},
        {BYTES("{\"a\":-}"), "expected a digit at byte 6"},
        {BYTES("{\"a\":-.5}"), "expected a digit at byte 6"},
        {BYTES("{\"a\":1.}"), "expected a digit at byte 7"},
        {BYTES("{\"a\":1.e1}"), "expected a digit at byte 7"},
        {BYTES("{\"a\":1e}"), "expected a digit at byte 7"},
        {BYTES("{\"a\":1e+}"), "expected a digit at byte 8"},
        {BYTES("{\"a\":1e+-1}"), "expected a digit at byte 8"},
        {BYTES("{\"a\":1e1.5}"), "expected a comma or } at byte 8"},
        {BYTES("{\"a\":0x1}"), "expected a comma or } at byte 6"},
        {BYTES("{\"a\":1_0}"), "expected a comma or } at byte 6"},
        {BYTES("{\"a\":-Infinity}"), "expected a digit at byte 6"},
        {BYTES("{\"a\":1"), "it ends at byte 6, where a comma or } was expected"},
        {BYTES("{\"a\":1e"), "it ends at byte 7, where a digit was expected"},
    };
    CHECK(cases);
}

static void test_strings(void **state) {
    (void)state;
    static const char escape[] =
        "a backslash without one of \" \\ / b f n r t u behind it at byte 6";
    static const struct read_case cases[] = {
        {BYTES("{\"a\":\"\"}"), NULL},
        {BYTES("{\"a\":\"\x20\x7F ~\"}"), NULL},
        {BYTES("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u00E9\"}"), NULL},
        {BYTES("{\"a\":\"\\\\u0000\"}"), NULL}, /* an escaped backslash, and u0000 */
        {BYTES("{\"a\":\"\\u0001\\u0010\\u0100\\u1000\"}"), NULL},
        {BYTES("{\"a\":\"\\uD83D\\uDe00\"}"), NULL},
        {BYTES("{\"a\":\"\\uD7FF\\uE000\\uFFFE\\uFFFF\\uDBFF\\uDFFF\"}"), NULL},
        {BYTES("{\"a\":\"\\u0000\"}"), "NUL, written \\u0000, at byte 6"},
        {BYTES("{\"a\":\"\\\\\\u0000\"}"), "NUL, written \\u0000, at byte 8"},
        {BYTES("{\"a\":\"b\0\"}"), "NUL at byte 7"},
        {BYTES("{\"a\":\"bcdefghijkl\0mnopq\"}"), "NUL at byte 17"},
        {BYTES("{\"\\u0000\":1}"), "NUL, written \\u0000, at byte 2"},
        {BYTES("{\"\0\":1}"), "NUL at byte 2"},
        {BYTES("{\"a\":\"\n\"}"), "an unescaped control character in a string at byte 6"},
        {BYTES("{\"a\":\"\t\"}"), "an unescaped control character in a string at byte 6"},
        {BYTES("{\"a\":\"\x01\"}"), "an unescaped control character in a string at byte 6"},
        {BYTES("{\"a\":\"0123456789ab\x1F\"}"),
         "an unescaped control character in a string at byte 18"},
        {BYTES("{\"a\":\"\\x41\"}"), escape},
        {BYTES("{\"a\":\"\\'\"}"), escape},
        {BYTES("{\"a\":\"\\0\"}"), escape},
        {BYTES("{\"a\":\"\\\0\"}"), escape},
        {BYTES("{\"a\":\"\\\n\"}"), escape},
        {BYTES("{\"a\":\"\\U0041\"}"), escape},
        {BYTES("{\"a\":\"\\\xC3\xA9\"}"), escape},
        {BYTES("{\"a\":\"\\u004\"}"), "\\u without four hex digits behind it at byte 6"},
        {BYTES("{\"a\":\"\\u00g0\"}"), "\\u without four hex digits behind it at byte 6"},
        {BYTES("{\"a\":\"\\u-001\"}"), "\\u without four hex digits behind it at byte 6"},
        {BYTES("{\"a\":\"\\u00"), "\\u without four hex digits behind it at byte 6"},
        {BYTES("{\"a\":\"\\uD800\"}"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uDBFF\\n\"}"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uD800\\u0041\"}"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uD800\\uD800\\uDC00\"}"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uD800x\\uDC00\"}"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uD83D\\uDE0\"}"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uD83D\\uDE0"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uD83D"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uD83D\\"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uD83D\\u"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uD83DxuDE00\"}"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uD83D\\nDE00\"}"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uD83D\\uDE00"), "it ends within a string"},
        {BYTES("{\"a\":\"\\uDC00\"}"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"\\uDE00\\uD83D\"}"), "a lone surrogate at byte 6"},
        {BYTES("{\"a\":\"b"), "it ends within a string"},
        {BYTES("{\"a\":\"\\"), "it ends within a string"},
        {BYTES("{\"a\":\"\\\""), "it ends within a string"},
        {BYTES("{\""), "it ends within a string"},
    };
    CHECK(cases);
}

static void test_utf8(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n, sequence;
    } cases[] = {
        {BYTES("\x7F"), 1},
        {BYTES("\xC2\x80"), 2},
        {BYTES("\xDF\xBF"), 2},
        {BYTES("\xE0\xA0\x80"), 3},
        {BYTES("\xED\x9F\xBF"), 3},
        {BYTES("\xEE\x80\x80"), 3},
        {BYTES("\xEF\xBF\xBF"), 3},
        {BYTES("\xF0\x90\x80\x80"), 4},
        {BYTES("\xF4\x8F\xBF\xBF"), 4},
        {BYTES("\x80"), 0},
        {BYTES("\xBF"), 0},
        {BYTES("\xC0\x80"), 0},
        {BYTES("\xC1\xBF"), 0},
        {BYTES("\xC2"), 0},
        {BYTES("\xC2\x7F"), 0},
        {BYTES("\xC2\xC0"), 0},
        {BYTES("\xE0\x9F\xBF"), 0},
        {BYTES("\xED\xA0\x80"), 0},
        {BYTES("\xED\xBF\xBF"), 0},
        {BYTES("\xE1\x80"), 0},
        {BYTES("\xE1\x80\x7F"), 0},
        {BYTES("\xF0\x8F\xBF\xBF"), 0},
        {BYTES("\xF4\x90\x80\x80"), 0},
        {BYTES("\xF5\x80\x80\x80"), 0},
        {BYTES("\xF1\x80\x80"), 0},
        {BYTES("\xF1\x80\x80\xC0"), 0},
        {BYTES("\xF1\x80\x7F\x80"), 0},
        {BYTES("\xF8\x88\x80\x80"), 0},
        {BYTES("\xFE"), 0},
        {BYTES("\xFF"), 0},
    };
    assert_int_equal(json_utf8_sequence("", 0), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64] = "{\"a\":\"0123", detail[100], wanted[100];
        size_t n = strlen(text);
        memcpy(text + n, cases[i].bytes, cases[i].n);
        memcpy(text + n + cases[i].n, "\"}", 2);
        char *copy = malloc(cases[i].n); /* of that size, for the sanitizers */
        assert_non_null(copy);
        memcpy(copy, cases[i].bytes, cases[i].n);
        assert_int_equal(json_utf8_sequence(copy, cases[i].n), cases[i].sequence);
        free(copy);
        bool ok = read_copy(text, n + cases[i].n + 2, ignore_member, NULL, detail, sizeof detail);
        assert_int_equal(ok, cases[i].sequence > 0);
        snprintf(wanted, sizeof wanted, "not strict JSON: not UTF-8 at byte %zu", n);
        if (!ok)
            assert_string_equal(detail, wanted);
    }
}

/*
 * Every byte at every place of a word, among low and high neighbours: what is skipped eight at a
 * time must miss none.
 */
static void check_byte(int byte, size_t at, char filler) {
    enum {
        LENGTH = 24
    };
    char text[6 + LENGTH + 3] = "{\"a\":\"", detail[100];
    memset(text + 6, filler, LENGTH);
    strcpy(text + 6 + LENGTH, "\"}");
    text[6 + at] = (char)byte;
    bool wanted = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
    if (byte == '\\') /* what stands behind it makes it an escape or not */
        wanted = at + 1 < LENGTH && strchr("/bfnrt", filler) != NULL;
    bool ok = read_copy(text, sizeof text - 1, ignore_member, NULL, detail, sizeof detail);
    if (ok != wanted)
        fail_msg("byte %d at %zu among '%c': %s", byte, at, filler, ok ? "taken" : detail);
}

static void test_every_byte_at_every_place(void **state) {
    (void)state;
    static const char fillers[] = " !0@A[b~\x7F#]";
    for (size_t f = 0; f < sizeof fillers - 1; f++)
        for (int byte = 0; byte < 256; byte++)
            for (size_t at = 0; at < 24; at++)
                check_byte(byte, at, fillers[f]);
}

static void test_repeated_keys(void **state) {
    (void)state;
    static const struct read_case cases[] = {
        {BYTES("{\"a\":1,\"b\":1,\"A\":1,\"\":1,\"ab\":1}"), NULL},
        {BYTES("{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}}"), NULL},
        {BYTES("{\"a\":[{\"a\":1},{\"a\":1}]}"), NULL},
        {BYTES("{\"\\\\u0061\":1,\"a\":1}"), NULL},
        {BYTES("{\"\xC3\xA9\":1,\"e\xCC\x81\":1}"), NULL}, /* not normalised */
        {BYTES("{\"a\":1,\"a\":1}"), "the key \"a\" comes a second time in its object, at byte 7"},
        {BYTES("{\"a\":1,\"b\":2,\"a\":1,\"b\":1,\"a\":0}"),
         "the key \"a\" comes a second time in its object, at byte 13"},
        {BYTES("{\"\":1,\"\":1}"), "a key comes a second time in its object, at byte 6"},
        {BYTES("{\"query\":1,\"\\u0071uery\":2}"),
         "the key \"query\" comes a second time in its object, at byte 11"},
        {BYTES("{\"\\u0061\\u0062\":1,\"\\u0061b\":2}"),
         "the key \"ab\" comes a second time in its object, at byte 18"},
        {BYTES("{\"\\/\":1,\"/\":2}"), "a key comes a second time in its object, at byte 8"},
        {BYTES("{\"\xF0\x9F\x98\x80\":1,\"\\ud83d\\ude00\":2}"),
         "a key comes a second time in its object, at byte 10"},
        {BYTES("{\"SELECT 1\":1,\"SELECT 1\":2}"),
         "a key comes a second time in its object, at byte 14"},
        {BYTES("{\"z\":[0,[{\"a\":{\"b\":1,\"c\":2,\"b\":3}}]]}"),
         "the key \"b\" comes a second time in its object, at byte 27"},
        {BYTES("{\"z\":{\"\\u0062\":1},\"y\":{\"\\u0063\":2,\"c\":3}}"),
         "the key \"c\" comes a second time in its object, at byte 34"},
        {BYTES("{\"a\":{\"b\":1},\"a\":1}"),
         "the key \"a\" comes a second time in its object, at byte 13"},
    };
    CHECK(cases);
}

struct many {
    size_t told;
    bool in_order;
};

static bool count_member(void *arg, const char *key, size_t key_len, struct json_value value) {
    struct many *many = arg;
    char wanted[32];
    int n = snprintf(wanted, sizeof wanted, "k%zu", many->told);
    if ((size_t)n != key_len || memcmp(key, wanted, key_len) != 0 || value.type != JSON_NUMBER)
        many->in_order = false;
    many->told++;
    return true;
}

/* {"k0":0,"k1":0,…}; every third key escaped, so that raw and decoded ones meet. */
static void add_many(struct buffer *b, size_t count, size_t repeated) {
    buffer_putc(b, '{');
    for (size_t i = 0; i < count; i++)
        buffer_printf(b, "%s\"%s%zu\":0", i > 0 ? "," : "", i % 3 == 0 ? "\\u006B" : "k",
                      i == count - 1 && repeated < count ? repeated : i);
    buffer_putc(b, '}');
}

static void test_many_keys(void **state) {
    (void)state;
    static const size_t counts[] = {15, 16, 17, 18, 32, 33, 1000, 20000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char detail[200], wanted[200];
        struct buffer b;
        buffer_init(&b, 1 << 20);
        add_many(&b, counts[i], SIZE_MAX);
        struct many many = {0, true};
        assert_true(read_copy(b.data, b.len, count_member, &many, detail, sizeof detail));
        assert_int_equal(many.told, counts[i]);
        assert_true(many.in_order);

        buffer_clear(&b);
        buffer_puts(&b, "{\"inner\":");
        add_many(&b, counts[i], counts[i] / 2);
        buffer_puts(&b, "}");
        assert_false(b.failed);
        assert_false(read_copy(b.data, b.len, ignore_member, NULL, detail, sizeof detail));
        snprintf(wanted, sizeof wanted, "the key \"k%zu\" comes a second time", counts[i] / 2);
        assert_non_null(strstr(detail, wanted));
        buffer_free(&b);
    }
}

static void test_first_of_many_repeated_is_told(void **state) {
    (void)state;
    struct buffer b;
    char detail[200], wanted[200];
    buffer_init(&b, 10000);
    buffer_putc(&b, '{');
    for (int i = 0; i < 40; i++)
        buffer_printf(&b, "\"k%d\":0,", i);
    size_t at = b.len;
    buffer_puts(&b, "\"k9\":0,\"k3\":0,\"k9\":0,\"k0\":0}");
    assert_false(read_copy(b.data, b.len, ignore_member, NULL, detail, sizeof detail));
    snprintf(wanted, sizeof wanted,
             "not strict JSON: the key \"k9\" comes a second time in its object, at byte %zu", at);
    assert_string_equal(detail, wanted);
    buffer_free(&b);
}

static void add_nested(struct buffer *b, int depth, const char *open, const char *close) {
    buffer_clear(b);
    buffer_puts(b, "{\"k\":"); /* the first level */
    for (int i = 1; i < depth; i++)
        buffer_puts(b, open);
    buffer_puts(b, "0");
    for (int i = 1; i < depth; i++)
        buffer_puts(b, close);
    buffer_puts(b, "}");
}

static void test_depth(void **state) {
    (void)state;
    struct buffer b;
    char detail[100];
    buffer_init(&b, 1 << 20);
    static const char *const brackets[][2] = {{"[", "]"}, {"{\"k\":", "}"}};
    for (int i = 0; i < 2; i++) {
        add_nested(&b, 64, brackets[i][0], brackets[i][1]);
        assert_true(read_copy(b.data, b.len, ignore_member, NULL, detail, sizeof detail));
        add_nested(&b, 65, brackets[i][0], brackets[i][1]);
        assert_false(read_copy(b.data, b.len, ignore_member, NULL, detail, sizeof detail));
        assert_non_null(strstr(detail, "nested deeper than 64 at byte "));
        add_nested(&b, 100000, brackets[i][0], brackets[i][1]);
        assert_false(read_copy(b.data, b.len, ignore_member, NULL, detail, sizeof detail));
    }
    add_nested(&b, 2, "[", "]");
    assert_true(json_read_object(b.data, b.len, 2, ignore_member, NULL, detail, sizeof detail));
    assert_false(json_read_object(b.data, b.len, 1, ignore_member, NULL, detail, sizeof detail));
    assert_string_equal(detail, "not strict JSON: nested deeper than 1 at byte 5");
    assert_false(json_read_object("{}", 2, 0, ignore_member, NULL, detail, sizeof detail));
    add_nested(&b, 65, "[", "]"); /* more than the reader's own limit is not to be had */
    assert_false(json_read_object(b.data, b.len, 1000, ignore_member, NULL, detail, sizeof detail));
    /* Siblings do not add up. */
    assert_true(json_read_object(BYTES("{\"a\":[],\"b\":[[],[]],\"c\":{}}"), 3, ignore_member, NULL,
                                 detail, sizeof detail));
    buffer_free(&b);
}

/* A key is quoted up to forty characters. */
static void test_long_names_are_not_quoted(void **state) {
    (void)state;
    static const char name[] = "a123456789b123456789c123456789d123456789e";
    for (int length = 40; length <= 41; length++) {
        char text[200], detail[200];
        snprintf(text, sizeof text, "{\"%.*s\":1,\"%.*s\":2}", length, name, length, name);
        assert_false(read_copy(text, strlen(text), ignore_member, NULL, detail, sizeof detail));
        assert_int_equal(strstr(detail, "a123") != NULL, length == 40);
    }
}

static void test_small_detail(void **state) {
    (void)state;
    char detail[8] = "1234567";
    assert_false(json_read_object("[", 1, 64, ignore_member, NULL, detail, 4));
    assert_string_equal(detail, "not");
    assert_string_equal(detail + 4, "567");
    char *fits = malloc(25); /* of that size, for the sanitizers */
    assert_non_null(fits);
    assert_false(json_read_object("[", 1, 64, ignore_member, NULL, fits, 25));
    assert_string_equal(fits, "not strict JSON: expecte");
    free(fits);
    assert_false(json_read_object("[", 1, 64, ignore_member, NULL, NULL, 0));
    assert_false(json_read_object(NULL, 0, 64, ignore_member, NULL, detail, sizeof detail));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_every_byte_at_every_place),
        cmocka_unit_test(test_repeated_keys),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_first_of_many_repeated_is_told),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_long_names_are_not_quoted),
        cmocka_unit_test(test_small_detail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
