#include "common/base/http/head.h"

#include <string.h>
#include <strings.h>

static bool head_name_is(const char *name, size_t n, const char *wanted) {
    return strlen(wanted) == n && strncasecmp(name, wanted, n) == 0;
}

void http_head_begin(struct http_head *h, const char *const *names, size_t count) {
    *h = (struct http_head){.names = names, .count = count};
    framing_begin(&h->framing);
}

void http_head_header(struct http_head *h, const char *name, size_t name_len, const char *value,
                      size_t value_len, const char **values) {
    framing_header(&h->framing, name, name_len, value, value_len);
    for (size_t i = 0; i < h->count; i++)
        if (head_name_is(name, name_len, h->names[i])) {
            values[i] = ++h->seen[i] == 1 ? value : NULL;
            return;
        }
    if (head_name_is(name, name_len, "expect"))
        h->expects = true;
}
