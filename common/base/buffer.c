#include "common/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hex.h"
#include "common/base/memory.h"

void buffer_init(struct buffer *b, size_t max) {
    *b = (struct buffer){.max = max};
}

void buffer_free(struct buffer *b) {
    free(b->data);
    *b = (struct buffer){.max = b->max};
}

void buffer_clear(struct buffer *b) {
    b->len = 0;
    b->failed = false;
    if (b->data != NULL)
        b->data[0] = '\0';
}

/* Room for n more bytes and the NUL. */
static bool reserve(struct buffer *b, size_t n) {
    if (b->failed || n > b->max - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + n + 1;
    if (need > b->room) {
        size_t room = b->room > 0 ? b->room : 64;
        while (room < need)
            room *= 2;
        b->data = mem_resize(b->data, room, 1);
        b->room = room;
    }
    return true;
}

void buffer_add(struct buffer *b, const void *bytes, size_t n) {
    if (!reserve(b, n))
        return;
    if (n > 0)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buffer_puts(struct buffer *b, const char *s) {
    buffer_add(b, s, strlen(s));
}

void buffer_putc(struct buffer *b, char c) {
    buffer_add(b, &c, 1);
}

void buffer_printf(struct buffer *b, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    /* Into the room that is left: mostly it is enough, and formatting twice is slow. */
    size_t room = b->failed || b->data == NULL ? 0 : b->room - b->len;
    int n = vsnprintf(room > 0 ? b->data + b->len : NULL, room, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < room && (size_t)n <= b->max - b->len) {
        b->len += (size_t)n;
    } else {
        if (room > 0)
            b->data[b->len] = '\0'; /* drops what was only begun */
        if (n < 0) {
            b->failed = true;
        } else if (reserve(b, (size_t)n)) {
            vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
            b->len += (size_t)n;
        }
    }
    va_end(again);
}

void buffer_number(struct buffer *b, int64_t number) {
    char digits[20], *end = digits + sizeof digits, *at = end;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (number < 0)
        *--at = '-';
    buffer_add(b, at, (size_t)(end - at));
}

void buffer_json_string(struct buffer *b, const char *s, size_t n) {
    static const char short_escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    buffer_putc(b, '"');
    size_t plain = 0; /* where the bytes that need no escape began */
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        buffer_add(b, s + plain, i - plain);
        plain = i + 1;
        const char *e = short_escapes;
        while (*e != '\0' && *e != (char)c)
            e += 2;
        if (*e != '\0')
            buffer_printf(b, "\\%c", e[1]);
        else
            buffer_printf(b, "\\u%04x", c);
    }
    buffer_add(b, s + plain, n - plain);
    buffer_putc(b, '"');
}

void buffer_percent_encode(struct buffer *b, const char *s, size_t n) {
    size_t plain = 0; /* where the bytes that stay as they are began */
    for (size_t i = 0; i < n; i++) {
        if (hex_is_unreserved((unsigned char)s[i]))
            continue;
        buffer_add(b, s + plain, i - plain);
        plain = i + 1;
        buffer_printf(b, "%%%02X", (unsigned char)s[i]);
    }
    buffer_add(b, s + plain, n - plain);
}

const char *buffer_text(const struct buffer *b) {
    return b->data != NULL ? b->data : "";
}

char *buffer_take(struct buffer *b) {
    char *text = b->data != NULL ? b->data : mem_string("");
    *b = (struct buffer){.max = b->max};
    return text;
}
