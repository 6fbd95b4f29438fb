/*
 * Hexadecimal digits, and percent-encoding, which is made of them (pure).
 */
#ifndef COMMON_BASE_HEX_H
#define COMMON_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/must_check.h"

int hex_digit(char c); /* 0 to 15, of either case; -1: it is none */
/* 2 * n lower-case digits and a NUL. */
void hex_write(const uint8_t *bytes, size_t n, char *out);
/* `text` must be 2 * n digits and no more. Else false, and `out` is not sound. */
MUST_CHECK bool hex_read(const char *text, size_t text_len, uint8_t *out, size_t n);

/*
 * Percent-decodes `n` bytes into `out`, and ends them with a NUL. The length, or -1: an escape is
 * broken, a NUL is among them, or there are more than `max`, for which with the NUL `out` has room.
 */
MUST_CHECK int hex_percent_decode(const char *s, size_t n, char *out, size_t max);

/* Whether a URI may carry it as it is (RFC 3986: unreserved); all else is percent-encoded. */
static inline bool hex_is_unreserved(unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

#endif
