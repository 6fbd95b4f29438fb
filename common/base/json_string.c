#include "common/base/json_string.h"

#include <stdint.h>
#include <string.h>

#include "common/base/hex.h"

static bool is_continuation(char c) {
    return ((unsigned char)c & 0xC0) == 0x80;
}

size_t json_utf8_sequence(const char *s, size_t n) {
    if (n == 0)
        return 0;
    unsigned char lead = (unsigned char)s[0];
    if (lead < 0x80)
        return 1;
    unsigned char second = n > 1 ? (unsigned char)s[1] : 0;
    if (lead >= 0xC2 && lead <= 0xDF)
        return n > 1 && is_continuation(s[1]) ? 2 : 0;
    /* The second byte's range is what excludes overlong forms, surrogates and > U+10FFFF. */
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (second < low || second > high)
        return 0;
    if (lead >= 0xE0 && lead <= 0xEF)
        return n > 2 && is_continuation(s[2]) ? 3 : 0;
    if (lead >= 0xF0 && lead <= 0xF4)
        return n > 3 && is_continuation(s[2]) && is_continuation(s[3]) ? 4 : 0;
    return 0;
}

/* The code unit of four hex digits; -1 where they are not. */
static int hex_unit(const char *s, const char *end) {
    if (end - s < 4)
        return -1;
    int unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(s[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high_surrogate(int unit) {
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(int unit) {
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Any byte below 0x20, above 0x7F, a quote or a backslash? It may return true wrongly, never false.
 */
static bool word_is_special(uint64_t w) {
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t quote = w ^ (ones * '"'), backslash = w ^ (ones * '\\');
    return ((w | (w - ones * 0x20) | (quote - ones) | (backslash - ones)) & tops) != 0;
}

static const char *skip_plain(const char *p, const char *end) {
    uint64_t w;
    while (end - p >= (ptrdiff_t)sizeof w) {
        memcpy(&w, p, sizeof w);
        if (word_is_special(w))
            break;
        p += sizeof w;
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' &&
           *p != '\\')
        p++;
    return p;
}

/* At the backslash of \uXXXX. Returns behind the escape, or behind both of a surrogate pair. */
static const char *check_unicode_escape(const char *p, const char *end,
                                        enum json_string_fault *fault) {
    int unit = hex_unit(p + 2, end);
    if (unit < 0)
        *fault = JSON_STRING_HEX;
    else if (unit == 0)
        *fault = JSON_STRING_ESCAPED_NUL;
    else if (is_low_surrogate(unit))
        *fault = JSON_STRING_SURROGATE;
    else if (!is_high_surrogate(unit))
        return p + 6;
    else if (end - p < 12 || p[6] != '\\' || p[7] != 'u' || !is_low_surrogate(hex_unit(p + 8, end)))
        *fault = JSON_STRING_SURROGATE;
    else
        return p + 12;
    return p;
}

static const char *check_escape(const char *p, const char *end, enum json_string_fault *fault) {
    if (end - p < 2)
        *fault = JSON_STRING_OPEN;
    else if (p[1] == 'u')
        return check_unicode_escape(p, end, fault);
    else if (memchr("\"\\/bfnrt", p[1], 8) != NULL)
        return p + 2;
    else
        *fault = JSON_STRING_ESCAPE;
    return p;
}

/* Neither plain nor a quote nor a backslash stands at `p`. */
static const char *check_other(const char *p, const char *end, enum json_string_fault *fault) {
    size_t n = json_utf8_sequence(p, (size_t)(end - p));
    if (n > 1)
        return p + n;
    *fault = p == end     ? JSON_STRING_OPEN
             : *p == '\0' ? JSON_STRING_NUL
             : n == 1     ? JSON_STRING_CONTROL
                          : JSON_STRING_NOT_UTF8;
    return p;
}

const char *json_string_check(const char *p, const char *end, bool *has_escapes,
                              enum json_string_fault *fault) {
    *has_escapes = false;
    *fault = JSON_STRING_SOUND;
    p++;
    while (*fault == JSON_STRING_SOUND) {
        p = skip_plain(p, end);
        if (p < end && *p == '"')
            return p + 1;
        if (p < end && *p == '\\') {
            *has_escapes = true;
            p = check_escape(p, end, fault);
        } else {
            p = check_other(p, end, fault);
        }
    }
    return p;
}

static size_t encode_utf8(unsigned code, char *to) {
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xC0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xE0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3F));
        to[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3F));
    to[2] = (char)(0x80 | (code >> 6 & 0x3F));
    to[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* One escape that was checked, from behind its backslash; returns behind it. */
static const char *decode_escape(const char *s, const char *end, char **to) {
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    if (*s != 'u') {
        const char *letter = strchr(letters, *s);
        *(*to)++ = letter != NULL ? meant[letter - letters] : *s;
        return s + 1;
    }
    unsigned code = (unsigned)hex_unit(s + 1, end);
    s += 5;
    if (is_high_surrogate((int)code)) {
        unsigned low = (unsigned)hex_unit(s + 2, end);
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        s += 6;
    }
    *to += encode_utf8(code, *to);
    return s;
}

size_t json_string_decode(const char *s, size_t n, char *to) {
    char *start = to;
    const char *end = s + n;
    while (s < end) {
        const char *backslash = memchr(s, '\\', (size_t)(end - s));
        size_t plain = (size_t)((backslash != NULL ? backslash : end) - s);
        memcpy(to, s, plain);
        to += plain;
        s += plain;
        if (backslash != NULL)
            s = decode_escape(s + 1, end, &to);
    }
    return (size_t)(to - start);
}
