#include "common/base/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_digits(void **state) {
    (void)state;
    static const char digits[] = "0123456789abcdef", upper[] = "ABCDEF";
    int found = 0;
    for (int i = 0; i < 16; i++)
        assert_int_equal(hex_digit(digits[i]), i);
    for (int i = 0; i < 6; i++)
        assert_int_equal(hex_digit(upper[i]), 10 + i);
    for (int c = -128; c < 128; c++)
        found += hex_digit((char)c) >= 0;
    assert_int_equal(found, 22);
}

static void test_bytes(void **state) {
    (void)state;
    static const uint8_t bytes[] = {0x00, 0x1f, 0xa0, 0xff};
    static const struct {
        const char *text;
        bool sound;
    } cases[] = {
        {"001fa0ff", true}, {"001FA0FF", true},  {"001fa0f", false},  {"001fa0ff0", false},
        {"", false},        {"001fa0fg", false}, {"001fa0 f", false}, {"0x1fa0ff", false},
    };
    char text[9];
    hex_write(bytes, sizeof bytes, text);
    assert_string_equal(text, "001fa0ff");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[sizeof bytes];
        bool sound = hex_read(cases[i].text, strlen(cases[i].text), out, sizeof out);
        if (sound != cases[i].sound || (sound && memcmp(out, bytes, sizeof out) != 0))
            fail_msg("%s: %d", cases[i].text, sound);
    }
}

static void test_percent(void **state) {
    (void)state;
    static const struct {
        const char *text, *decoded; /* NULL: it cannot be */
    } cases[] = {
        {"", ""},        {"abc", "abc"},    {"%61b%63", "abc"}, {"%c3%A9", "\xC3\xA9"},
        {"%25", "%"},    {"a+b", "a+b"},    {"%2561", "%61"},   {"abcd", "abcd"},
        {"abcde", NULL}, {"abcd%65", NULL}, {"%", NULL},        {"%6", NULL},
        {"a%g1", NULL},  {"%1g", NULL},     {"%00", NULL},      {"%%61", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[4 + 1];
        int len = hex_percent_decode(cases[i].text, strlen(cases[i].text), out, 4);
        if (cases[i].decoded == NULL
                ? len != -1
                : len != (int)strlen(cases[i].decoded) || strcmp(out, cases[i].decoded) != 0)
            fail_msg("%s: %d", cases[i].text, len);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_percent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
