#include "common/base/http/head.h"

#include <string.h>
#include <strings.h>

static bool head_name_is(const char *name, size_t n, const char *wanted) {
    return strlen(wanted) == n && strncasecmp(name, wanted, n) == 0;
}

enum {
    LINE_END = 2, /* CR and LF */
    SEPARATOR = 2 /* a colon and a blank */
};

void http_head_begin(struct http_head *h, const char *const *names, size_t count,
                     size_t line_bytes) {
    *h = (struct http_head){.names = names, .count = count, .bytes = line_bytes + 2 * LINE_END};
    framing_begin(&h->framing);
}

void http_head_header(struct http_head *h, const char *name, size_t name_len, const char *value,
                      size_t value_len, const char **values) {
    h->lines++;
    h->bytes += name_len + SEPARATOR + value_len + LINE_END;
    framing_header(&h->framing, name, name_len, value, value_len);
    for (size_t i = 0; i < h->count; i++)
        if (head_name_is(name, name_len, h->names[i])) {
            values[i] = ++h->seen[i] == 1 ? value : NULL;
            return;
        }
    if (head_name_is(name, name_len, "expect"))
        h->expects = true;
}

bool http_head_fits(const struct http_head *h) {
    return h->bytes <= HTTP_HEAD_MAX &&
           h->bytes + h->lines * HTTP_HEAD_ENTRY <= HTTP_HEAD_MEMORY_MAX;
}
