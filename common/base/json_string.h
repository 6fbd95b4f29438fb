/*
 * The strings of JSON, and the UTF-8 in them (pure): what may stand in them, and what it means.
 */
#ifndef COMMON_BASE_JSON_STRING_H
#define COMMON_BASE_JSON_STRING_H

#include <stdbool.h>
#include <stddef.h>

enum json_string_fault {
    JSON_STRING_SOUND,
    JSON_STRING_OPEN,        /* the text ends before the string */
    JSON_STRING_NUL,         /* raw */
    JSON_STRING_ESCAPED_NUL, /* \u0000 */
    JSON_STRING_CONTROL,     /* an unescaped character below U+0020 */
    JSON_STRING_NOT_UTF8,
    JSON_STRING_ESCAPE,    /* a backslash before something else than "\/bfnrtu */
    JSON_STRING_HEX,       /* \u without four hex digits */
    JSON_STRING_SURROGATE, /* a lone one */
};

/*
 * Checks the string whose opening quote is at `p`. Returns behind its closing quote, or where the
 * fault begins. Never reads at or behind `end`.
 */
const char *json_string_check(const char *p, const char *end, bool *has_escapes,
                              enum json_string_fault *fault);

/*
 * Decodes what stands between the quotes of a sound string into `to`, which has room for `n`
 * bytes. Returns how many it used: never more than n.
 */
size_t json_string_decode(const char *s, size_t n, char *to);

/*
 * The length, 1 to 4, of the UTF-8 sequence that `s` (of `n` bytes) begins with; 0 where there is
 * none: overlong, a surrogate, beyond U+10FFFF, cut off, or n = 0.
 */
size_t json_utf8_sequence(const char *s, size_t n);

#endif
