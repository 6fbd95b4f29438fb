/*
 * A libmicrohttpd daemon on the program's event loop: when it runs, and in which order it stops.
 *
 * libmicrohttpd has no thread of its own here. It runs at the end of a loop iteration: when its
 * epoll descriptor is ready, when its own time-out is over, or after http_daemon_wake().
 *
 * To stop: http_daemon_quiesce(), resume every suspended connection, http_daemon_run() until their
 * responses are sent, http_daemon_close(). MHD_stop_daemon() aborts the process where a connection
 * is still suspended.
 */
#ifndef COMMON_BASE_HTTP_DAEMON_H
#define COMMON_BASE_HTTP_DAEMON_H

#include <microhttpd.h>
#include <stddef.h>

#include "common/base/loop.h"

struct http_daemon;

struct http_daemon_settings {
    int listen_fd;            /* the daemon's from now on */
    unsigned connections_max; /* further ones wait in the socket's backlog */
    size_t pool_bytes;        /* a connection's memory: the head must fit into it */
    unsigned flags;           /* MHD_USE_TLS and MHD_ALLOW_SUSPEND_RESUME, where wanted */
    MHD_AccessHandlerCallback on_call;
    void *arg; /* of on_call */
    /* Further options, the last MHD_OPTION_END; a callback is the item's value, its argument the
       item's ptr_value. */
    const struct MHD_OptionItem *options;
};

/* NULL: libmicrohttpd cannot be started; errno may say why. */
struct http_daemon *http_daemon_open(struct loop *loop,
                                     const struct http_daemon_settings *settings);
/* Runs in this iteration of the loop. Call after MHD_resume_connection(). */
void http_daemon_wake(struct http_daemon *d);
/* Runs now; not from within a callback of libmicrohttpd. */
void http_daemon_run(struct http_daemon *d);
/* Stops accepting; what the kernel has accepted already is served. */
void http_daemon_quiesce(struct http_daemon *d);
/* Breaks off what is under way. No connection may be suspended. Takes NULL. */
void http_daemon_close(struct http_daemon *d);

#endif
