/*
 * A string that grows up to a maximum that must be given.
 *
 * Append freely and check `failed` once at the end: a buffer that would outgrow its maximum keeps
 * what it had, sets `failed`, and ignores all that follows. `data` is NUL-terminated once anything
 * was appended and NULL before that; use buffer_text() to read it. A zeroed buffer may be freed.
 */
#ifndef COMMON_BASE_BUFFER_H
#define COMMON_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/must_check.h"

struct buffer {
    char *data; /* owned */
    size_t len; /* bytes, without the NUL */
    size_t room;
    size_t max; /* most bytes that `len` may reach */
    bool failed;
};

void buffer_init(struct buffer *b, size_t max);
void buffer_free(struct buffer *b);
void buffer_clear(struct buffer *b); /* empty again, not failed, memory kept */
void buffer_add(struct buffer *b, const void *bytes, size_t n);
void buffer_puts(struct buffer *b, const char *s);
void buffer_putc(struct buffer *b, char c);
void buffer_printf(struct buffer *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buffer_number(struct buffer *b, int64_t number);                  /* in decimal */
void buffer_json_string(struct buffer *b, const char *s, size_t n);    /* quoted and escaped */
void buffer_percent_encode(struct buffer *b, const char *s, size_t n); /* all but A-Za-z0-9-._~ */
const char *buffer_text(const struct buffer *b);                       /* never NULL */
MUST_CHECK char *
buffer_take(struct buffer *b); /* the caller frees; the buffer is empty afterwards */

#endif
