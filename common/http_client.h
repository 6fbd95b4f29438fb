/*
 * HTTP calls to AWS: libcurl's multi handle on the program's loop.
 *
 * No redirects, no cookies, http and https only, answers bounded. libcurl sends a POST again by
 * itself when a reused connection turns out dead: whoever counts, counts request tokens.
 */
#ifndef COMMON_HTTP_CLIENT_H
#define COMMON_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"

struct http_client;
struct http_call;

struct http_header {
    const char *name;
    const char *value;
};

struct http_request {
    const char *method; /* GET, PUT or POST */
    const char *url;
    const struct http_header *headers;
    size_t header_count;
    const void *body; /* copied */
    size_t body_len;
    int64_t connect_timeout_ms;
    int64_t timeout_ms; /* of the whole call */
    size_t answer_max;  /* bytes; a longer answer is HTTP_LOST */
};

enum http_result {
    HTTP_ANSWERED, /* a whole answer, whatever its status */
    HTTP_UNSENT,   /* no connection was made: the server saw nothing */
    HTTP_LOST,     /* anything else: the server may have acted */
};

struct http_answer {
    enum http_result result;
    int status;
    const char *body; /* NUL-terminated; valid during the call of `fn` */
    size_t body_len;
    int64_t date;      /* the Date header, seconds since the epoch; -1: none */
    const char *error; /* libcurl's words where not answered */
    double seconds;
};

typedef void http_done_fn(void *arg, const struct http_answer *answer);

struct http_client_settings {
    int connections_max; /* kept open to one host */
    const char *ca_file; /* NULL: the system's */
};

struct http_client *http_client_open(struct loop *loop,
                                     const struct http_client_settings *settings);
void http_client_close(struct http_client *c); /* cancels what is under way, without calling back */

/* Never calls `fn` from within. NULL: the request cannot be made (a bad URL). */
struct http_call *http_start(struct http_client *c, const struct http_request *request,
                             http_done_fn *fn, void *arg);
void http_cancel(struct http_call *call); /* `fn` will not be called */

#endif
