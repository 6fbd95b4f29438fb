/*
 * The head of a request, header by header (pure): framing, and the headers that the handler reads.
 */
#ifndef COMMON_BASE_HTTP_HEAD_H
#define COMMON_BASE_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/http/framing.h"

enum {
    HTTP_HEADERS_MAX = 8 /* most that a handler reads */
};

struct http_head {
    struct framing framing;
    bool expects; /* Expect: 100-continue: the client waits before it sends the body */
    const char *const *names;
    size_t count;                    /* of names */
    unsigned seen[HTTP_HEADERS_MAX]; /* how often the header of this place came */
};

/* `names` are those of the headers that are read, `count` of them, HTTP_HEADERS_MAX at most. */
void http_head_begin(struct http_head *h, const char *const *names, size_t count);
/*
 * Each header in its order. `values` has a place for each name and is zeroed at the beginning. It
 * gets the value of a header that came exactly once, borrowed; NULL for one that came again.
 */
void http_head_header(struct http_head *h, const char *name, size_t name_len, const char *value,
                      size_t value_len, const char **values);

#endif
