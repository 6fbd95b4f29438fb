/*
 * HTTP calls to AWS: libcurl's multi handle on the program's loop.
 *
 * HTTP/1.1 over http and https, no redirects, no cookies, answers bounded. Of the environment
 * libcurl takes the proxies (HTTPS_PROXY, NO_PROXY and ALL_PROXY in either case, http_proxy in
 * lower case only). It sends a request again by itself when a reused connection ends before the
 * first byte of an answer: so count request tokens, not requests.
 *
 * All of it on the loop's thread.
 */
#ifndef COMMON_BASE_HTTP_CLIENT_H
#define COMMON_BASE_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"

struct http_client;
struct http_call;

struct http_header {
    const char *name;
    const char *value;
};

struct http_request {
    const char *method;                /* GET, PUT or POST; a GET has no body */
    const char *url;                   /* sent as it is: path and query are encoded already */
    const struct http_header *headers; /* Host too, where it is not to be the URL's */
    size_t header_count;
    const void *body; /* copied, as all of this is */
    size_t body_len;
    int64_t connect_timeout_ms; /* with name look-up and TLS; 1 at least */
    int64_t timeout_ms;         /* of the whole call; 1 at least */
    size_t answer_max;          /* bytes; a longer answer is HTTP_LOST, and `too_long` */
    bool is_secret;             /* the answer: wiped when it is freed */
    bool is_private;            /* to this machine's own link: past every proxy, and secret */
};

enum http_result {
    HTTP_ANSWERED, /* a whole answer, whatever its status */
    HTTP_UNSENT,   /* not one byte of the request was sent: the server saw nothing of it */
    HTTP_LOST,     /* anything else: the server may have acted */
};

struct http_answer {
    enum http_result result;
    int status;
    const char *body; /* NUL-terminated; valid during the call of `fn` */
    size_t body_len;
    int64_t date;      /* the Date header, seconds since the epoch; -1: none */
    const char *error; /* what went wrong where not answered; else "" */
    bool too_long;     /* HTTP_LOST because it is longer than `answer_max` */
    double seconds;    /* from the start of the call to now */
    void *handle;      /* for http_answer_header(); NULL: no headers */
};

typedef void http_done_fn(void *arg, const struct http_answer *answer);

struct http_client_settings {
    int connections_max; /* kept open between calls; calls beyond it open more, and close them */
    const char *ca_file; /* PEM; NULL: the system's */
};

/* NULL: libcurl cannot be set up. Call before other threads are started. */
struct http_client *http_client_open(struct loop *loop,
                                     const struct http_client_settings *settings);
/* Cancels what is under way, without calling back. Not from within an http_done_fn. Takes NULL. */
void http_client_close(struct http_client *c);

/*
 * Never calls `fn` from within, and once from the loop unless cancelled; the call is gone when `fn`
 * returns. `fn` may start and cancel calls. NULL: the request cannot be made (a URL that is none or
 * holds a password, a control character in a header).
 */
struct http_call *http_start(struct http_client *c, const struct http_request *request,
                             http_done_fn *fn, void *arg);
void http_cancel(struct http_call *call); /* `fn` will not be called */

/* A header of the answer, by its name in any case; NULL: none. Valid during the call of `fn`. */
const char *http_answer_header(const struct http_answer *answer, const char *name);

#endif
