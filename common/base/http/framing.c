#include "common/base/http/framing.h"

#include <string.h>
#include <strings.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static void trim(const char **s, size_t *n) {
    while (*n > 0 && is_blank(**s))
        (*s)++, (*n)--;
    while (*n > 0 && is_blank((*s)[*n - 1]))
        (*n)--;
}

static bool is(const char *s, size_t n, const char *word) {
    return n == strlen(word) && strncasecmp(s, word, n) == 0;
}

/* RFC 9110, 5.6.2. */
static bool is_token(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] >= 0x7f ||
            strchr("\"(),/:;<=>?@[\\]{}", s[i]) != NULL)
            return false;
    return n > 0;
}

/* At most 18 digits: no body is longer, and it cannot overflow. */
static bool read_length(const char *s, size_t n, uint64_t *length) {
    *length = 0;
    if (n == 0 || n > 18)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        *length = *length * 10 + (uint64_t)(s[i] - '0');
    }
    return true;
}

void framing_begin(struct framing *f) {
    *f = (struct framing){.name_sound = true, .length_sound = true};
}

void framing_header(struct framing *f, const char *name, size_t name_len, const char *value,
                    size_t value_len) {
    if (!is_token(name, name_len))
        f->name_sound = false;
    trim(&name, &name_len);
    trim(&value, &value_len);
    if (is(name, name_len, "host")) {
        f->hosts++;
    } else if (is(name, name_len, "content-length")) {
        f->lengths++;
        f->length_sound = f->length_sound && read_length(value, value_len, &f->length);
    } else if (is(name, name_len, "transfer-encoding")) {
        f->encodings++;
        f->encoding_is_chunked = is(value, value_len, "chunked");
    }
}

const char *framing_fault(const struct framing *f, bool http_1_0) {
    if (!f->name_sound)
        return "A header's name must be a token, without blanks.";
    if (f->encodings > 0 && f->lengths > 0)
        return "Transfer-Encoding and Content-Length must not be given together.";
    if (f->encodings > 0 && http_1_0)
        return "HTTP/1.0 has no Transfer-Encoding.";
    if (f->encodings > 1 || (f->encodings == 1 && !f->encoding_is_chunked))
        return "The only Transfer-Encoding taken is one `chunked`.";
    if (f->lengths > 1)
        return "Content-Length must not be given more than once.";
    if (!f->length_sound)
        return "Content-Length must be a whole number.";
    if (f->hosts > 1 || (f->hosts == 0 && !http_1_0))
        return "There must be one Host header.";
    return NULL;
}

bool framing_has_body(const struct framing *f) {
    return f->encodings > 0 || f->length > 0;
}
