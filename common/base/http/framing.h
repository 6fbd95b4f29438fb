/*
 * Where one request ends and the next begins: what must not be ambiguous (pure).
 *
 * libmicrohttpd takes Content-Length together with Transfer-Encoding, and two Content-Lengths, and
 * then answers the second request that hides in the body of the first. So the head is judged
 * before a byte of the body is read; what RFC 9112, 6 leaves open is refused.
 */
#ifndef COMMON_BASE_HTTP_FRAMING_H
#define COMMON_BASE_HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct framing {
    int hosts, lengths, encodings;
    bool encoding_is_chunked; /* the last Transfer-Encoding seen is just `chunked` */
    bool length_sound;
    bool name_sound; /* no header has a name with blanks or control characters in it */
    uint64_t length; /* of the body, where one Content-Length tells it */
};

void framing_begin(struct framing *f);
/* Each header of the request, in any order. Blanks around its name do not hide it. */
void framing_header(struct framing *f, const char *name, size_t name_len, const char *value,
                    size_t value_len);
/* NULL: sound. Else a sentence that says what is wrong: answer 400 and close. */
const char *framing_fault(const struct framing *f, bool http_1_0);
bool framing_has_body(const struct framing *f);

#endif
