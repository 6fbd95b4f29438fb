/*
 * One request and its response, from the request line to the last byte sent.
 *
 * Between libmicrohttpd's callbacks (server.c) and the handler: it refuses framing that can be read
 * in two ways, bounds bodies, and sees to it that a refused client gets to read why.
 */
#ifndef COMMON_BASE_HTTP_EXCHANGE_H
#define COMMON_BASE_HTTP_EXCHANGE_H

#include <microhttpd.h>
#include <stddef.h>

#include "common/base/http/body.h"
#include "common/base/http/connection.h"
#include "common/base/http/daemon.h"
#include "common/base/http/handler.h"
#include "common/base/pool.h"

struct http_exchange;

/* What the exchanges of a server share. */
struct http_exchanges {
    struct loop *loop;
    struct http_daemon *daemon;
    struct http_handler handler;
    const struct http_tls *tls; /* NULL: plain HTTP */
    size_t body_max;
    struct http_bodies bodies;
    size_t count;     /* of the exchanges that have begun and not ended */
    struct pool kept; /* exchanges that have ended */
};

/* The parts that the caller has filled in are kept; the others must be zeroed. */
void http_exchanges_open(struct http_exchanges *all);
void http_exchanges_close(struct http_exchanges *all);

/* The request line is in; `target` as it was sent. */
struct http_exchange *http_exchange_begin(struct http_exchanges *all, struct http_connection *c,
                                          const char *target);
/* The head is in (first call), a piece of the body (*size > 0), or all of it (*size is 0): as in
   MHD_AccessHandlerCallback. */
enum MHD_Result http_exchange_call(struct http_exchange *x, const char *method, const char *version,
                                   const char *data, size_t *size);
/* It is over, however it went: frees `x`. */
void http_exchange_end(struct http_exchange *x);

#endif
