/*
 * A request, and the callbacks of whoever serves requests (common/base/http/server.h).
 */
#ifndef COMMON_BASE_HTTP_HANDLER_H
#define COMMON_BASE_HTTP_HANDLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/http/head.h"
#include "common/base/http/response.h"

/* It lives until its response is given, even where its client goes away before. */
struct server_request {
    const char *method;
    const char *target; /* as it was sent */
    /* By the handler's header_names: the value of a header that came exactly once, else NULL. */
    const char *headers[HTTP_HEADERS_MAX];
    bool client_trusted; /* showed a certificate of the client CA, or none is asked for */
    struct buffer body;
    void *state; /* the handler's own: state_size bytes, zeroed when the request begins */
};

/* Called on the loop's thread. `response` is zeroed. */
struct http_handler {
    const char *const *header_names; /* static; HTTP_HEADERS_MAX at most */
    size_t header_count;
    size_t state_size;
    /* The head is in. False: refused with `response`; the body is not wanted. */
    bool (*head)(void *arg, struct server_request *r, struct http_response *response);
    /* All of it is in. True: `response` is given. False: http_respond() will be called, once,
       later. */
    bool (*whole)(void *arg, struct server_request *r, struct http_response *response);
    /* A response is sent, also one that the server gave by itself. */
    void (*responded)(void *arg, int status, int64_t took_ms);
    void *arg;
};

/* The response to a request that `whole` has put off. Takes what `response` owns. */
void http_respond(struct server_request *r, struct http_response *response);

#endif
