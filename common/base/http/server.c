#include "common/base/http/server.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/http/framing.h"
#include "common/base/http/linger.h"
#include "common/base/http/reply.h"
#include "common/base/http/tcp_info.h"
#include "common/base/log.h"
#include "common/base/memory.h"

/* Before 1.0 its own answer to a missing Host has its head twice; on_head() looks itself. */
#if MHD_VERSION >= 0x01000000
#define STRICT_FOR_CLIENT 1
#else
#define STRICT_FOR_CLIENT 0
#endif

enum {
    POOL_BYTES = 8192,          /* of a connection: its head must fit; bodies come in pieces */
    DISCARD_MAX = 65536,        /* a refused body up to this is read, and the connection kept */
    IDLE_TIMEOUT_MS = 60000,    /* between two requests */
    SENDING_TIMEOUT_MS = 60000, /* an answer that nobody reads */
    LAST_TURNS = 16,
    BODIES_MAX = 256 * 1024 * 1024 /* held at once, whoever sends them */
};

enum phase {
    PHASE_FRESH,     /* connected, nothing came yet */
    PHASE_IDLE,      /* between two requests */
    PHASE_RECEIVING, /* the deadline runs */
    PHASE_ANSWERING, /* the handler's turn */
    PHASE_SENDING
};

struct connection {
    struct http_server *server;
    struct connection *next, *previous;
    struct MHD_Connection *mhd;
    int fd;
    enum phase phase;
    int64_t since_ms;        /* the phase */
    uint64_t received_bytes; /* when the last request was whole */
    bool ended;              /* the last sweep saw that the client sends no more */
    bool over;               /* it was shut down */
    bool linger;             /* it was refused with bytes unread */
    bool vouched, trusted;   /* the client's certificate was looked at, and is good */
};

enum stage {
    STAGE_HEAD,
    STAGE_BODY,
    STAGE_DISCARD, /* the answer is there, the body is in the way */
    STAGE_WAITING, /* suspended until http_answer() */
    STAGE_READY,   /* the answer is there */
    STAGE_SENT
};

struct exchange {
    struct http_request request; /* first: the handler knows only this */
    struct connection *connection;
    char *target;
    enum stage stage;
    struct answer answer;
    int64_t begun_ms;
    size_t body_bytes; /* counted in the server's */
};

struct http_server {
    struct loop *loop;
    struct http_handler handler;
    struct http_server_settings settings;
    struct MHD_Daemon *daemon;
    int epoll_fd;
    struct http_linger *linger;
    struct connection *first;
    size_t connections, requests;
    size_t body_bytes; /* held by all requests */
    struct loop_timer sweep;
    int64_t sweep_ms;
    bool quiesced;
};

static const char too_large[] = "The body is larger than MAX_BODY_BYTES allows.";

static void set_phase(struct connection *c, enum phase phase) {
    c->phase = phase;
    c->since_ms = loop_now(c->server->loop);
    c->ended = false;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void count_answer(struct exchange *x, int status) {
    struct http_server *s = x->connection->server;
    s->handler.answered(s->handler.arg, status, loop_now(s->loop) - x->begun_ms);
}

static enum MHD_Result send_answer(struct exchange *x) {
    struct answer *a = &x->answer;
    struct connection *c = x->connection;
    a->close = a->close || c->server->quiesced;
    struct MHD_Response *response = http_reply(a);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(c->mhd, (unsigned)a->status, response);
    MHD_destroy_response(response);
    if (result == MHD_YES) {
        set_phase(c, PHASE_SENDING);
        x->stage = STAGE_SENT;
        count_answer(x, a->status);
    }
    answer_free(a);
    return result;
}

void http_answer(struct http_request *r, struct answer *answer) {
    struct exchange *x = (struct exchange *)(void *)r;
    x->answer = *answer;
    memset(answer, 0, sizeof *answer);
    x->stage = STAGE_READY;
    MHD_resume_connection(x->connection->mhd);
}

/* --- a request -------------------------------------------------------------------------------- */

struct head {
    struct http_request *request;
    struct framing framing;
    bool expects; /* Expect: 100-continue: the client waits for our word */
    int api_keys, traceparents, tracestates;
};

static void note_once(const char **field, int *seen, const char *value) {
    *field = ++*seen == 1 ? value : NULL;
}

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                 size_t name_len, const char *value, size_t value_len) {
    (void)kind;
    struct head *h = arg;
    value = value != NULL ? value : "";
    framing_header(&h->framing, name, name_len, value, value_len);
    if (strcasecmp(name, "x-api-key") == 0)
        note_once(&h->request->api_key, &h->api_keys, value);
    else if (strcasecmp(name, "traceparent") == 0)
        note_once(&h->request->traceparent, &h->traceparents, value);
    else if (strcasecmp(name, "tracestate") == 0)
        note_once(&h->request->tracestate, &h->tracestates, value);
    else if (strcasecmp(name, "expect") == 0)
        h->expects = true;
    return MHD_YES;
}

static bool is_trusted(struct connection *c) {
    const struct http_tls *tls = c->server->settings.tls;
    if (tls == NULL || tls->client_ca == NULL)
        return true;
    if (!c->vouched) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        c->trusted = info != NULL && http_tls_client_trusted(info->tls_session);
        c->vouched = true;
    }
    return c->trusted;
}

static enum MHD_Result refuse(struct exchange *x, const struct head *h, bool unreadable) {
    bool small = h->framing.encodings == 0 && h->framing.length <= DISCARD_MAX && !h->expects;
    if (!unreadable && (small || !framing_has_body(&h->framing))) {
        x->stage = STAGE_DISCARD;
        return MHD_YES;
    }
    x->answer.close = true;
    x->connection->linger = true;
    return send_answer(x);
}

static enum MHD_Result on_head(struct exchange *x, const char *method, const char *version) {
    struct http_server *s = x->connection->server;
    struct http_request *r = &x->request;
    struct head h = {.request = r};
    framing_begin(&h.framing);
    r->method = method;
    MHD_get_connection_values_n(x->connection->mhd, MHD_HEADER_KIND, on_header, &h);
    r->client_trusted = is_trusted(x->connection);
    x->stage = STAGE_BODY;
    const char *fault = framing_fault(&h.framing, strcmp(version, "HTTP/1.0") == 0);
    if (fault != NULL) {
        answer_problem(&x->answer, 400, fault);
        return refuse(x, &h, true);
    }
    if (!s->handler.head(s->handler.arg, r, &x->answer))
        return refuse(x, &h, false);
    if (h.framing.length > s->settings.body_max) {
        answer_problem(&x->answer, 413, too_large);
        return refuse(x, &h, true);
    }
    buffer_init(&r->body, s->settings.body_max);
    return MHD_YES;
}

/* In the middle of a body, where libmicrohttpd takes no answer. */
static enum MHD_Result break_off(struct exchange *x) {
    http_reply_raw(x->connection->mhd, &x->answer);
    count_answer(x, x->answer.status);
    x->connection->linger = true;
    return MHD_NO;
}

static enum MHD_Result on_piece(struct exchange *x, const char *bytes, size_t *n) {
    struct http_server *s = x->connection->server;
    if (x->stage == STAGE_BODY) {
        buffer_add(&x->request.body, bytes, *n);
        if (x->request.body.failed) { /* only a chunked one comes so far */
            answer_problem(&x->answer, 413, too_large);
            return break_off(x);
        }
        x->body_bytes += *n;
        s->body_bytes += *n;
        if (s->body_bytes > BODIES_MAX) {
            answer_problem(&x->answer, 503, "Too many bodies are being received: post it again.");
            x->answer.retry_after_s = 1;
            return break_off(x);
        }
    }
    *n = 0;
    return MHD_YES;
}

static enum MHD_Result on_whole(struct exchange *x) {
    struct http_server *s = x->connection->server;
    set_phase(x->connection, PHASE_ANSWERING);
    /* Now, because a client may be quicker with its next request than we with this answer. */
    x->connection->received_bytes = tcp_info_received(x->connection->fd);
    if (x->stage == STAGE_DISCARD || s->handler.whole(s->handler.arg, &x->request, &x->answer))
        return send_answer(x);
    x->stage = STAGE_WAITING;
    MHD_suspend_connection(x->connection->mhd);
    return MHD_YES;
}

/* --- libmicrohttpd's callbacks ---------------------------------------------------------------- */

/* As soon as the request line is in: the only place where the target is told undecoded. */
static void *on_target(void *arg, const char *target, struct MHD_Connection *mhd) {
    struct http_server *s = arg;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct exchange *x = mem_zero(sizeof *x);
    x->connection = info->socket_context;
    x->target = mem_string(target);
    x->request.target = x->target;
    x->begun_ms = loop_now(s->loop);
    if (x->connection->phase != PHASE_RECEIVING)
        set_phase(x->connection, PHASE_RECEIVING);
    s->requests++;
    return x;
}

static enum MHD_Result on_call(void *arg, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *data_size, void **context) {
    (void)arg;
    (void)mhd;
    (void)url;
    struct exchange *x = *context;
    switch (x->stage) {
    case STAGE_HEAD:
        return on_head(x, method, version);
    case STAGE_BODY:
    case STAGE_DISCARD:
        return *data_size > 0 ? on_piece(x, data, data_size) : on_whole(x);
    case STAGE_READY:
        return send_answer(x);
    case STAGE_WAITING:
    case STAGE_SENT:
        break;
    }
    return MHD_NO;
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode why) {
    (void)mhd;
    (void)why;
    struct http_server *s = arg;
    struct exchange *x = *context;
    if (x == NULL)
        return;
    set_phase(x->connection, PHASE_IDLE);
    s->body_bytes -= x->body_bytes;
    s->requests--;
    buffer_free(&x->request.body);
    answer_free(&x->answer);
    free(x->target);
    free(x);
    *context = NULL;
}

static void on_connected(struct http_server *s, struct MHD_Connection *mhd, void **context) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *c = mem_zero(sizeof *c);
    c->server = s;
    c->mhd = mhd;
    c->fd = info != NULL ? info->connect_fd : -1;
    c->next = s->first;
    if (s->first != NULL)
        s->first->previous = c;
    s->first = c;
    s->connections++;
    set_phase(c, PHASE_FRESH);
    *context = c;
}

static void on_disconnected(struct http_server *s, struct connection *c) {
    if (c->linger)
        http_linger_add(s->linger, c->fd);
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        s->first = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    s->connections--;
    free(c);
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what) {
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        on_connected(arg, mhd, context);
    else if (*context != NULL)
        on_disconnected(arg, *context);
}

static void __attribute__((format(printf, 2, 0)))
on_log(void *arg, const char *format, va_list args) {
    (void)arg;
    char line[512];
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\r\n")] = '\0';
    log_debug("http: %s", line);
}

/* --- deadlines -------------------------------------------------------------------------------- */

/* libmicrohttpd reads the end and closes. */
static void shut(struct connection *c) {
    c->over = true;
    shutdown(c->fd, SHUT_RDWR);
}

static void time_out(struct connection *c) {
    struct http_server *s = c->server;
    struct answer a = {0};
    answer_problem(&a, 408, "The request was not whole in time.");
    http_reply_raw(c->mhd, &a);
    answer_free(&a);
    s->handler.answered(s->handler.arg, 408, loop_now(s->loop) - c->since_ms);
    shut(c);
}

/* The deadline begins with the first byte, but only the kernel has seen it. */
static bool has_begun(const struct connection *c) {
    return tcp_info_received(c->fd) > c->received_bytes || tcp_info_unread(c->fd);
}

/* Where the end comes with the last bytes, epoll reports both at once, edge-triggered, and
   libmicrohttpd reads only the bytes. Twice in one phase: it has had a turn for what it read. */
static bool has_left(struct connection *c) {
    bool before = c->ended;
    c->ended = c->phase < PHASE_ANSWERING && tcp_info_ended(c->fd);
    return before && c->ended;
}

static void look_at(struct connection *c) {
    struct http_server *s = c->server;
    int64_t timeout_ms = s->settings.request_timeout_ms;
    int64_t lasted_ms = loop_now(s->loop) - c->since_ms;
    if (has_left(c)) {
        shut(c);
        return;
    }
    switch (c->phase) {
    case PHASE_FRESH:
    case PHASE_IDLE:
        if (has_begun(c))
            set_phase(c, PHASE_RECEIVING);
        else if (s->quiesced ||
                 lasted_ms >= (c->phase == PHASE_FRESH ? timeout_ms : IDLE_TIMEOUT_MS))
            shut(c);
        break;
    case PHASE_RECEIVING:
        if (lasted_ms >= timeout_ms)
            time_out(c);
        break;
    case PHASE_SENDING:
        if (lasted_ms >= SENDING_TIMEOUT_MS)
            shut(c);
        break;
    case PHASE_ANSWERING: /* whoever put it off has a deadline of its own */
        break;
    }
}

static void sweep(void *arg) {
    struct http_server *s = arg;
    for (struct connection *c = s->first; c != NULL; c = c->next)
        if (!c->over)
            look_at(c);
    loop_timer_set(s->loop, &s->sweep, s->sweep_ms, sweep, s);
}

/* --- the server ------------------------------------------------------------------------------- */

static void on_ready(void *arg, uint32_t events) {
    (void)arg;
    (void)events; /* served in turn() */
}

static int64_t turn(void *arg) {
    struct http_server *s = arg;
    unsigned long long wait_ms;
    MHD_run(s->daemon);
    return MHD_get_timeout(s->daemon, &wait_ms) == MHD_YES ? (int64_t)wait_ms : -1;
}

static struct MHD_Daemon *start(struct http_server *s) {
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[4] = {{MHD_OPTION_END, 0, NULL}};
    const struct http_tls *files = s->settings.tls;
    if (files != NULL) {
        flags |= MHD_USE_TLS;
        tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, files->cert};
        tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, files->key};
        tls[2] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
        tls[3] = tls[2];
        if (files->client_ca != NULL)
            tls[2] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, files->client_ca};
    }
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_call, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, s->settings.listen_fd, MHD_OPTION_STRICT_FOR_CLIENT,
        STRICT_FOR_CLIENT, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
        MHD_OPTION_CONNECTION_LIMIT, s->settings.connections_max, MHD_OPTION_URI_LOG_CALLBACK,
        on_target, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, s, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, tls,
        MHD_OPTION_END);
}

struct http_server *http_server_open(struct loop *loop, const struct http_server_settings *settings,
                                     const struct http_handler *handler) {
    struct http_server *s = mem_zero(sizeof *s);
    s->loop = loop;
    s->handler = *handler;
    s->settings = *settings;
    int64_t sweep_ms = settings->request_timeout_ms / 8;
    s->sweep_ms = sweep_ms < 5 ? 5 : sweep_ms > 500 ? 500 : sweep_ms;
    s->linger = http_linger_open(loop);
    s->daemon = start(s);
    if (s->daemon == NULL) {
        http_linger_close(s->linger);
        free(s);
        return NULL;
    }
    s->epoll_fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    loop_watch(loop, s->epoll_fd, EPOLLIN, on_ready, s);
    loop_each_turn(loop, turn, s);
    loop_timer_set(loop, &s->sweep, s->sweep_ms, sweep, s);
    return s;
}

void http_server_quiesce(struct http_server *s) {
    if (s->quiesced)
        return;
    MHD_run(s->daemon); /* what the kernel has already accepted for us */
    MHD_socket listen_fd = MHD_quiesce_daemon(s->daemon);
    if (listen_fd != MHD_INVALID_SOCKET)
        close(listen_fd);
    s->quiesced = true;
    sweep(s);
}

size_t http_server_connections(const struct http_server *s) {
    return s->connections;
}

size_t http_server_requests(const struct http_server *s) {
    return s->requests;
}

void http_server_close(struct http_server *s) {
    if (s == NULL)
        return;
    http_server_quiesce(s);
    for (int i = 0; i < LAST_TURNS && s->requests > 0; i++)
        MHD_run(s->daemon); /* answers that were given just now */
    loop_timer_cancel(s->loop, &s->sweep);
    loop_not_each_turn(s->loop, turn, s);
    loop_unwatch(s->loop, s->epoll_fd);
    MHD_stop_daemon(s->daemon);
    http_linger_close(s->linger);
    free(s);
}
