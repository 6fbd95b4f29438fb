/*
 * A public HTTP server on libmicrohttpd, on the program's loop and thread; what it serves is in a
 * struct http_handler (common/base/http/handler.h).
 *
 * It holds what libmicrohttpd leaves open: framing that can be read in two ways is refused
 * (framing.h), bodies are bounded (body.h), a request must be whole within a deadline that no
 * trickle of bytes extends (deadline.h), room for the response is sure before the handler is
 * called, and a refused client gets to read why before its connection is closed (linger.h).
 */
#ifndef COMMON_BASE_HTTP_SERVER_H
#define COMMON_BASE_HTTP_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/http/handler.h"
#include "common/base/http/tls.h"
#include "common/base/loop.h"
#include "common/base/must_check.h"

struct http_server;

struct http_server_settings {
    int listen_fd; /* the server's from now on */
    unsigned connections_max;
    size_t body_max;
    int64_t request_timeout_ms;
    int64_t idle_timeout_ms;    /* between two requests of a connection */
    const struct http_tls *tls; /* NULL: plain HTTP; must stay */
};

/* `handler` is copied. NULL: libmicrohttpd cannot be started. */
MUST_CHECK struct http_server *http_server_open(struct loop *loop,
                                                const struct http_server_settings *settings,
                                                const struct http_handler *handler);

/* Stops accepting. Connections end with their next response, idle ones at once. */
void http_server_quiesce(struct http_server *s);
size_t http_server_connections(const struct http_server *s);
size_t http_server_requests(const struct http_server *s); /* begun and not yet over */
/* Every request that `whole` has put off must have its response. Takes NULL. */
void http_server_close(struct http_server *s);

#endif
