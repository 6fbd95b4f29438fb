/*
 * Bounds of the request bodies that a server holds: of each one, and of all together (pure).
 */
#ifndef COMMON_BASE_HTTP_BODY_H
#define COMMON_BASE_HTTP_BODY_H

#include <stddef.h>

#include "common/base/buffer.h"

/* All bodies of a server. */
struct http_bodies {
    size_t held; /* bytes of those that are counted now */
    size_t max;  /* most that may be held */
};

enum body_verdict {
    BODY_TAKEN,
    BODY_TOO_LARGE, /* this body exceeds its own maximum */
    BODY_NO_ROOM,   /* all bodies together exceed theirs */
};

/*
 * Adds a piece to `body`, which has its maximum from buffer_init(). `counted` is what `all` holds
 * for this body, zero at first.
 */
enum body_verdict http_body_add(struct http_bodies *all, struct buffer *body, size_t *counted,
                                const void *piece, size_t n);
/* The body is gone: `all` holds nothing for it any more. */
void http_body_release(struct http_bodies *all, size_t *counted);

#endif
