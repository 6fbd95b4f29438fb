#include "common/base/http/connection.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/http/linger.h"
#include "common/base/http/reply.h"
#include "common/base/http/tcp_info.h"
#include "common/base/memory.h"

enum {
    SWEEP_MIN_MS = 5,
    SWEEP_MAX_MS = 500
};

TAILQ_HEAD(connection_list, http_connection);

struct http_connections {
    struct loop *loop;
    struct http_connections_settings settings;
    struct connection_list open;
    size_t count;
    struct http_linger *linger;
    struct loop_timer sweep;
    int64_t sweep_ms;
    bool quiesced;
};

void http_connection_enter(struct http_connection *c, enum connection_phase phase) {
    TAILQ_REMOVE(&c->all->open, c, entry);
    TAILQ_INSERT_TAIL(&c->all->open, c, entry);
    c->phase = phase;
    c->since_ms = loop_now(c->all->loop);
    c->ended = false;
}

/*
 * What the kernel has received is asked now, because the client's next request may come before this
 * one's response is sent. Where it was what the requests' own bytes add up to, those of the next
 * one are added without asking: the question costs as much as the hash of a query.
 */
void http_connection_received(struct http_connection *c, uint64_t bytes) {
    uint64_t expected = c->received_bytes + bytes;
    http_connection_enter(c, CONNECTION_RESPONDING);
    if (bytes > 0 && c->count_holds) {
        c->received_bytes = expected;
        return;
    }
    c->received_bytes = tcp_info_received(c->fd);
    c->count_holds = bytes > 0 && c->received_bytes == expected;
}

bool http_connection_trusted(struct http_connection *c, const struct http_tls *tls) {
    if (tls == NULL || tls->client_ca == NULL)
        return true;
    if (!c->verified) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        c->trusted = info != NULL && http_tls_client_trusted(info->tls_session);
        c->verified = true;
    }
    return c->trusted;
}

/* --- the watchdog ----------------------------------------------------------------------------- */

/* libmicrohttpd reads the end and closes. */
static void connection_shut(struct http_connection *c) {
    c->shut = true;
    shutdown(c->fd, SHUT_RDWR);
}

static void connection_time_out(struct http_connection *c, int64_t lasted_ms) {
    const struct http_connections_settings *settings = &c->all->settings;
    struct http_response r = {0};
    http_response_problem(&r, 408, "The request was not whole in time.");
    http_reply_raw(c->mhd, &r);
    http_response_free(&r);
    settings->responded(settings->arg, 408, lasted_ms);
    connection_shut(c);
}

/* The deadline begins with the first byte, which only the kernel has seen so far. */
static bool connection_has_begun(const struct http_connection *c) {
    return (c->phase == CONNECTION_FRESH || c->phase == CONNECTION_IDLE) &&
           (tcp_info_received(c->fd) > c->received_bytes || tcp_info_unread(c->fd));
}

/*
 * Where a client's end comes together with its last bytes, epoll reports both at once,
 * edge-triggered, and libmicrohttpd reads only the bytes. Seen at two sweeps of one phase, because
 * libmicrohttpd runs in between and may still serve what it has read.
 */
static bool connection_has_left(struct http_connection *c) {
    bool before = c->ended;
    c->ended = c->phase < CONNECTION_RESPONDING && tcp_info_ended(c->fd);
    return before && c->ended;
}

static void connection_check(struct http_connection *c) {
    const struct http_connections *all = c->all;
    if (connection_has_left(c)) {
        connection_shut(c);
        return;
    }
    struct deadline_facts facts = {.phase = c->phase,
                                   .lasted_ms = loop_now(all->loop) - c->since_ms,
                                   .has_begun = connection_has_begun(c),
                                   .quiesced = all->quiesced,
                                   .request_timeout_ms = all->settings.request_timeout_ms,
                                   .idle_timeout_ms = all->settings.idle_timeout_ms};
    switch (deadline_judge(&facts)) {
    case DEADLINE_KEEP:
        break;
    case DEADLINE_BEGUN:
        http_connection_enter(c, CONNECTION_RECEIVING);
        break;
    case DEADLINE_LATE:
        connection_time_out(c, facts.lasted_ms);
        break;
    case DEADLINE_SHUT:
        connection_shut(c);
        break;
    }
}

static void connections_sweep(void *arg) {
    struct http_connections *all = arg;
    struct http_connection *c;
    TAILQ_FOREACH(c, &all->open, entry)
    if (!c->shut)
        connection_check(c);
    loop_timer_set(all->loop, &all->sweep, all->sweep_ms, connections_sweep, all);
}

/* libmicrohttpd takes some more than connections_max, so that a new one is seen here at all. */
static void connections_make_room(struct http_connections *all) {
    struct http_connection *c;
    if (all->count <= all->settings.connections_max)
        return;
    TAILQ_FOREACH(c, &all->open, entry)
    if (!c->shut && c->phase < CONNECTION_RESPONDING) {
        connection_shut(c);
        return;
    }
}

/* --- all of them ------------------------------------------------------------------------------ */

struct http_connection *http_connection_open(struct http_connections *all,
                                             struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_connection *c = mem_zero(sizeof *c);
    c->all = all;
    c->mhd = mhd;
    c->fd = info != NULL ? info->connect_fd : -1;
    all->count++;
    connections_make_room(all);
    TAILQ_INSERT_TAIL(&all->open, c, entry);
    http_connection_enter(c, CONNECTION_FRESH);
    return c;
}

void http_connection_close(struct http_connection *c) {
    if (c->linger)
        http_linger_add(c->all->linger, c->fd);
    TAILQ_REMOVE(&c->all->open, c, entry);
    c->all->count--;
    free(c);
}

struct http_connections *http_connections_open(struct loop *loop,
                                               const struct http_connections_settings *settings) {
    struct http_connections *all = mem_zero(sizeof *all);
    int64_t sweep_ms = settings->request_timeout_ms / 8;
    all->loop = loop;
    all->settings = *settings;
    all->sweep_ms = sweep_ms < SWEEP_MIN_MS   ? SWEEP_MIN_MS
                    : sweep_ms > SWEEP_MAX_MS ? SWEEP_MAX_MS
                                              : sweep_ms;
    all->linger = http_linger_open(loop);
    TAILQ_INIT(&all->open);
    loop_timer_set(loop, &all->sweep, all->sweep_ms, connections_sweep, all);
    return all;
}

void http_connections_quiesce(struct http_connections *all) {
    all->quiesced = true;
    connections_sweep(all);
}

bool http_connections_quiesced(const struct http_connections *all) {
    return all->quiesced;
}

size_t http_connections_count(const struct http_connections *all) {
    return all->count;
}

void http_connections_close(struct http_connections *all) {
    loop_timer_cancel(all->loop, &all->sweep);
    http_linger_close(all->linger);
    free(all);
}
