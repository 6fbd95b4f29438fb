#include "common/base/http/daemon.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"

struct http_daemon {
    struct loop *loop;
    struct MHD_Daemon *mhd;
    int epoll_fd;   /* libmicrohttpd's own */
    bool woken;     /* it must run in this iteration */
    int64_t due_ms; /* when it must run without an event; -1: not */
};

static void __attribute__((format(printf, 2, 0)))
daemon_log(void *arg, const char *format, va_list args) {
    (void)arg;
    char line[512];
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\r\n")] = '\0';
    log_debug("http: %s", line);
}

static unsigned daemon_connections(const struct http_daemon *d) {
    return MHD_get_daemon_info(d->mhd, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
}

/*
 * At its limit of connections, or without descriptors, libmicrohttpd takes the listening socket out
 * of its epoll set, and it puts it back only at the beginning of a run. So a run that has closed
 * connections is followed by another one: nothing else may wake a daemon that has none left.
 */
void http_daemon_run(struct http_daemon *d) {
    unsigned before = daemon_connections(d);
    MHD_run(d->mhd);
    if (daemon_connections(d) < before)
        MHD_run(d->mhd);
    unsigned long long wait_ms;
    bool waits = MHD_get_timeout(d->mhd, &wait_ms) == MHD_YES;
    d->due_ms = waits ? loop_now(d->loop) + (int64_t)wait_ms : -1;
}

static void daemon_on_ready(void *arg, uint32_t events) {
    (void)events;
    http_daemon_wake(arg);
}

static int64_t daemon_on_iteration(void *arg) {
    struct http_daemon *d = arg;
    int64_t now_ms = loop_now(d->loop);
    if (d->woken || (d->due_ms >= 0 && d->due_ms <= now_ms)) {
        d->woken = false;
        http_daemon_run(d);
    }
    return d->due_ms < 0 ? -1 : d->due_ms - now_ms;
}

void http_daemon_wake(struct http_daemon *d) {
    d->woken = true;
}

static struct MHD_Daemon *daemon_start(const struct http_daemon_settings *s) {
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_ERROR_LOG | s->flags, 0, NULL, NULL, s->on_call, s->arg,
        MHD_OPTION_EXTERNAL_LOGGER, daemon_log, NULL, MHD_OPTION_LISTEN_SOCKET, s->listen_fd,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->pool_bytes, MHD_OPTION_CONNECTION_LIMIT,
        s->connections_max, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, s->options,
        MHD_OPTION_END);
}

static bool daemon_join_loop(struct http_daemon *d) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(d->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL || !loop_watch(d->loop, info->epoll_fd, EPOLLIN, daemon_on_ready, d))
        return false;
    d->epoll_fd = info->epoll_fd;
    loop_prepare_add(d->loop, daemon_on_iteration, d);
    return true;
}

struct http_daemon *http_daemon_open(struct loop *loop,
                                     const struct http_daemon_settings *settings) {
    struct http_daemon *d = mem_zero(sizeof *d);
    *d = (struct http_daemon){.loop = loop, .epoll_fd = -1, .due_ms = -1};
    d->mhd = daemon_start(settings);
    if (d->mhd == NULL || !daemon_join_loop(d)) {
        http_daemon_close(d);
        return NULL;
    }
    return d;
}

void http_daemon_quiesce(struct http_daemon *d) {
    http_daemon_run(d);
    MHD_socket listen_fd = MHD_quiesce_daemon(d->mhd);
    if (listen_fd != MHD_INVALID_SOCKET)
        close(listen_fd);
}

void http_daemon_close(struct http_daemon *d) {
    if (d == NULL)
        return;
    loop_prepare_remove(d->loop, daemon_on_iteration, d);
    loop_unwatch(d->loop, d->epoll_fd);
    if (d->mhd != NULL)
        MHD_stop_daemon(d->mhd);
    free(d);
}
