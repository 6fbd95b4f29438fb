/*
 * libmicrohttpd at the edge: sockets and HTTP here, what is asked and answered in a http_handler.
 *
 * In the program's loop and thread. It holds what libmicrohttpd leaves open: framing that can be
 * read in two ways is refused (common/base/http/framing.h), bodies are bounded, a request must be
 * whole within a deadline that no trickle of bytes extends, and a refused client gets to read why
 * before its connection goes.
 */
#ifndef COMMON_BASE_HTTP_SERVER_H
#define COMMON_BASE_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/http/tls.h"
#include "common/base/loop.h"
#include "receiver/api/answers.h"

struct http_server;

/* One request; it lives until it is answered, even when its client goes away before. */
struct http_request {
    const char *method;
    const char *target; /* as it was sent */
    /* Headers that came exactly once, else NULL. */
    const char *api_key, *traceparent, *tracestate;
    bool client_trusted; /* showed a certificate of the client CA, or none is asked for */
    struct buffer body;
};

struct http_handler {
    /* The head is in. False: refused, the answer is in `answer`; the body is not wanted. */
    bool (*head)(void *arg, struct http_request *r, struct answer *answer);
    /* All of it is in. True: answered. False: http_answer() will be called, once, later. */
    bool (*whole)(void *arg, struct http_request *r, struct answer *answer);
    /* An answer goes out, also one that the server gave by itself. */
    void (*answered)(void *arg, int status, int64_t took_ms);
    void *arg;
};

struct http_server_settings {
    int listen_fd; /* the server's from now on */
    unsigned connections_max;
    size_t body_max;
    int64_t request_timeout_ms;
    const struct http_tls *tls; /* NULL: plain HTTP; must stay */
};

struct http_server *http_server_open(struct loop *loop, const struct http_server_settings *settings,
                                     const struct http_handler *handler);

/* The answer to a request that `whole` has put off. Takes what `answer` owns. */
void http_answer(struct http_request *r, struct answer *answer);

/*
 * Stops accepting. Connections end with their next answer, idle ones at once.
 */
void http_server_quiesce(struct http_server *s);
size_t http_server_connections(const struct http_server *s);
size_t http_server_requests(const struct http_server *s); /* begun and not yet answered */
/* What was put off must have been answered. */
void http_server_close(struct http_server *s);

#endif
