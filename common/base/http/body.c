#include "common/base/http/body.h"

enum body_verdict http_body_add(struct http_bodies *all, struct buffer *body, size_t *counted,
                                const void *piece, size_t n) {
    buffer_add(body, piece, n);
    if (body->failed)
        return BODY_TOO_LARGE;
    *counted += n;
    all->held += n;
    return all->held <= all->max ? BODY_TAKEN : BODY_NO_ROOM;
}

void http_body_release(struct http_bodies *all, size_t *counted) {
    all->held -= *counted;
    *counted = 0;
}
