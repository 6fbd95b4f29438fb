/*
 * The head of a request, header by header (pure): framing, and the headers that the handler reads.
 */
#ifndef COMMON_BASE_HTTP_HEAD_H
#define COMMON_BASE_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/http/framing.h"

enum {
    HTTP_HEADERS_MAX = 8,      /* most that a handler reads */
    HTTP_HEAD_MAX = 16 * 1024, /* bytes of a head, from the request line to the empty line */
    /* What libmicrohttpd keeps of it may take: the head and an entry for each header. */
    HTTP_HEAD_MEMORY_MAX = 28 * 1024,
    HTTP_HEAD_ENTRY = 64
};

struct http_head {
    struct framing framing;
    size_t bytes; /* of all that has come, line ends included */
    size_t lines; /* headers */
    bool expects; /* Expect: 100-continue: the client waits before it sends the body */
    const char *const *names;
    size_t count;                    /* of names */
    unsigned seen[HTTP_HEADERS_MAX]; /* how often the header of this place came */
};

/*
 * `names` are those of the headers that are read, `count` of them, HTTP_HEADERS_MAX at most.
 * `line_bytes`: of the request line, without its end.
 */
void http_head_begin(struct http_head *h, const char *const *names, size_t count,
                     size_t line_bytes);
/*
 * Each header in its order. `values` has a place for each name and is zeroed at the beginning. It
 * gets the value of a header that came exactly once, borrowed; NULL for one that came again.
 */
void http_head_header(struct http_head *h, const char *name, size_t name_len, const char *value,
                      size_t value_len, const char **values);

/* The head is small enough; else it is refused with 431. */
bool http_head_fits(const struct http_head *h);

#endif
