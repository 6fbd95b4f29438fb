/*
 * The open connections of a server, and the watchdog that ends those past their deadline.
 *
 * MHD_OPTION_CONNECTION_TIMEOUT begins anew with each byte, so a client that sends a byte a second
 * stays for ever. Here a request has one deadline, from its first byte to its last
 * (common/base/http/deadline.h).
 */
#ifndef COMMON_BASE_HTTP_CONNECTION_H
#define COMMON_BASE_HTTP_CONNECTION_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/http/deadline.h"
#include "common/base/http/tls.h"
#include "common/base/loop.h"

struct http_connections;

struct http_connection {
    struct http_connections *all;
    TAILQ_ENTRY(http_connection) entry; /* the one that entered its phase first is the first */
    struct MHD_Connection *mhd;
    int fd;                      /* libmicrohttpd's */
    enum connection_phase phase; /* set by http_connection_enter() only */
    int64_t since_ms;            /* the phase */
    uint64_t received_bytes;     /* by the kernel when the last request was whole */
    bool count_holds;            /* the last one had as many bytes as its head said */
    bool ended;                  /* at the last sweep the client had sent its end */
    bool shut;                   /* libmicrohttpd will close it */
    bool linger;                 /* it was refused with bytes unread: see linger.h */
    bool verified, trusted;      /* the client's certificate was looked at, and is good */
};

struct http_connections_settings {
    int64_t request_timeout_ms;
    int64_t idle_timeout_ms;
    /*
     * With one more, the connection that has waited longest for its client is shut, so that clients
     * that only hold connections do not keep others out. One whose request is whole is not shut.
     */
    size_t connections_max;
    /* The watchdog has sent a response by itself. */
    void (*responded)(void *arg, int status, int64_t took_ms);
    void *arg;
};

struct http_connections *http_connections_open(struct loop *loop,
                                               const struct http_connections_settings *settings);
/* Once libmicrohttpd has closed every connection. */
void http_connections_close(struct http_connections *all);
size_t http_connections_count(const struct http_connections *all);
/* Idle connections end at once, each other one after its response. */
void http_connections_quiesce(struct http_connections *all);
bool http_connections_quiesced(const struct http_connections *all);

/* libmicrohttpd has accepted `mhd`, respectively is about to close it. */
struct http_connection *http_connection_open(struct http_connections *all,
                                             struct MHD_Connection *mhd);
void http_connection_close(struct http_connection *c);

void http_connection_enter(struct http_connection *c, enum connection_phase phase);
/* The request is whole: CONNECTION_RESPONDING. `bytes`: of it, head and body; 0: not known. */
void http_connection_received(struct http_connection *c, uint64_t bytes);
/* The client showed a certificate of the client CA in `tls`, or none is asked for. */
bool http_connection_trusted(struct http_connection *c, const struct http_tls *tls);

#endif
