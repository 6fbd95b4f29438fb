/*
 * Method and request target → the endpoint and its parameters (pure).
 *
 * The target is read as it was sent and decoded here, so that a %2F in a queryId is no slash of the
 * path. Decoding is strict: a broken escape, a NUL or what is not UTF-8 makes the request
 * malformed.
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
    ROUTE_WRONG_METHOD, /* `allow` names those that the path takes */
    ROUTE_MALFORMED,    /* `detail` says why */
    ROUTE_KINDS
};

struct route {
    enum route_kind kind;
    bool staged;        /* the path was under /STAGE */
    const char *allow;  /* static */
    const char *detail; /* static */
    /* ROUTE_LOOK_UP: */
    char query_id[QUERY_ID_MAX + 1];
    char user_id[QUERY_ID_MAX + 1]; /* "": none */
};

/* `target` is in origin form (/path?query) or absolute form; `stage` may be "". */
void route_find(const char *method, const char *target, const char *stage, struct route *out);

#endif
