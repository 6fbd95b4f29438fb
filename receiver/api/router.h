/*
 * Method and request target → what is asked for (pure).
 *
 * The target is taken as it was sent, before anybody decoded it, so that a %2F in an id is no
 * slash. Decoding is strict: a broken escape, a NUL or what is not UTF-8 is a fault of the request.
 */
#ifndef RECEIVER_API_ROUTER_H
#define RECEIVER_API_ROUTER_H

#include <stdbool.h>

#include "common/model/query.h"

enum route_kind {
    ROUTE_POST_QUERY,
    ROUTE_LOOK_UP,
    ROUTE_OPENAPI,
    ROUTE_NOT_FOUND,
    ROUTE_WRONG_METHOD, /* `allow` says which there are */
    ROUTE_MALFORMED,    /* `detail` says why */
    ROUTE_KINDS
};

struct route {
    enum route_kind kind;
    bool staged;        /* asked for under /STAGE */
    const char *allow;  /* static */
    const char *detail; /* static */
    /* ROUTE_LOOK_UP: */
    char query_id[QUERY_ID_MAX + 1];
    char user_id[QUERY_ID_MAX + 1]; /* "": none */
};

/* `target` is in origin form (/path?query) or absolute form; `stage` may be "". */
void route_find(const char *method, const char *target, const char *stage, struct route *out);

#endif
