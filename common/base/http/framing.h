/*
 * Where one request ends and the next begins (pure).
 *
 * libmicrohttpd 0.9.75 takes Content-Length together with Transfer-Encoding, and two
 * Content-Lengths, and then serves the second request that hides in the body of the first. So the
 * headers are checked before a byte of the body is read, and what RFC 9112, 6 leaves to the
 * server's choice is refused.
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
    uint64_t length; /* of the body, by its one Content-Length */
};

void framing_begin(struct framing *f);
/* Each header of the request, in any order. Blanks around its name do not hide it. */
void framing_header(struct framing *f, const char *name, size_t name_len, const char *value,
                    size_t value_len);
/* NULL: sound. Else one sentence that says what is wrong: respond 400 and close. */
const char *framing_fault(const struct framing *f, bool http_1_0);
bool framing_has_body(const struct framing *f);

#endif
