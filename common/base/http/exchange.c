#include "common/base/http/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/http/head.h"
#include "common/base/http/reply.h"
#include "common/base/memory.h"

enum {
    DISCARD_MAX = 65536, /* a refused body up to this is read, and the connection kept */
    TARGET_ROOM = 256,   /* a longer target has memory of its own */
    EXCHANGES_KEPT = 1024
};

enum exchange_stage {
    EXCHANGE_HEAD,
    EXCHANGE_BODY,
    EXCHANGE_DISCARD, /* the response is there, the body is read and forgotten */
    EXCHANGE_WAITING, /* suspended until http_respond() */
    EXCHANGE_READY,   /* the response is there */
    EXCHANGE_SENT
};

struct http_exchange {
    struct server_request request; /* first: the handler knows only this */
    struct http_exchanges *all;
    struct http_connection *connection;
    enum exchange_stage stage;
    struct http_response response;
    int64_t begun_ms;
    size_t body_counted; /* in all->bodies */
    uint64_t bytes;      /* of the request, head and body; 0: not known */
    char *long_target;   /* owned; NULL: it is in `target` */
    char target[TARGET_ROOM];
    _Alignas(max_align_t) unsigned char state[]; /* the handler's */
};

static const char too_large[] = "The body is larger than MAX_BODY_BYTES allows.";
static const char head_too_large[] =
    "The head of the request is larger than 16 KB, or has too many headers.";

/* --- responses -------------------------------------------------------------------------------- */

static void exchange_count_response(struct http_exchange *x, int status) {
    const struct http_handler *handler = &x->all->handler;
    handler->responded(handler->arg, status, loop_now(x->all->loop) - x->begun_ms);
}

static enum MHD_Result exchange_send(struct http_exchange *x) {
    struct http_response *r = &x->response;
    struct http_connection *c = x->connection;
    r->close = r->close || http_connections_quiesced(c->all);
    struct MHD_Response *reply = http_reply(r);
    if (reply == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(c->mhd, (unsigned)r->status, reply);
    MHD_destroy_response(reply);
    if (result == MHD_YES) {
        http_connection_enter(c, CONNECTION_SENDING);
        x->stage = EXCHANGE_SENT;
        exchange_count_response(x, r->status);
    }
    http_response_free(r);
    return result;
}

/* Where libmicrohttpd takes no response, as in the middle of a body. */
static enum MHD_Result exchange_break_off(struct http_exchange *x) {
    http_reply_raw(x->connection->mhd, &x->response);
    exchange_count_response(x, x->response.status);
    x->connection->linger = true;
    return MHD_NO;
}

void http_respond(struct server_request *request, struct http_response *response) {
    struct http_exchange *x = (struct http_exchange *)(void *)request;
    x->response = *response;
    memset(response, 0, sizeof *response);
    x->stage = EXCHANGE_READY;
    MHD_resume_connection(x->connection->mhd);
    http_daemon_wake(x->all->daemon);
}

/* --- the head --------------------------------------------------------------------------------- */

struct exchange_head {
    struct http_head head;
    struct http_exchange *exchange;
};

static enum MHD_Result exchange_on_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                          size_t name_len, const char *value, size_t value_len) {
    (void)kind;
    struct exchange_head *h = arg;
    http_head_header(&h->head, name, name_len, value != NULL ? value : "", value_len,
                     h->exchange->request.headers);
    return MHD_YES;
}

static enum MHD_Result exchange_refuse(struct http_exchange *x, const struct http_head *h,
                                       bool unreadable) {
    const struct framing *f = &h->framing;
    bool small = f->encodings == 0 && f->length <= DISCARD_MAX && !h->expects;
    if (!unreadable && (small || !framing_has_body(f))) {
        x->stage = EXCHANGE_DISCARD;
        return MHD_YES;
    }
    x->response.close = true;
    x->connection->linger = true;
    return exchange_send(x);
}

/*
 * libmicrohttpd puts the response's head into the memory that the request's head is in, and closes
 * without a word where it finds no room. So this refusal goes to the socket.
 */
static enum MHD_Result exchange_refuse_head(struct http_exchange *x) {
    http_response_problem(&x->response, 431, head_too_large);
    return exchange_break_off(x);
}

static size_t exchange_line_bytes(const struct http_exchange *x, const char *version) {
    return strlen(x->request.method) + 1 + strlen(x->request.target) + 1 + strlen(version);
}

/* 0: not known, as the client's chunks and TLS records have bytes of their own. */
static uint64_t exchange_bytes(const struct http_exchange *x, const struct framing *f) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (info == NULL || x->all->tls != NULL || f->encodings > 0)
        return 0;
    return info->header_size + f->length;
}

static enum MHD_Result exchange_on_head(struct http_exchange *x, const char *method,
                                        const char *version) {
    const struct http_handler *handler = &x->all->handler;
    struct server_request *r = &x->request;
    struct exchange_head h = {.exchange = x};
    r->method = method;
    http_head_begin(&h.head, handler->header_names, handler->header_count,
                    exchange_line_bytes(x, version));
    MHD_get_connection_values_n(x->connection->mhd, MHD_HEADER_KIND, exchange_on_header, &h);
    if (!http_head_fits(&h.head))
        return exchange_refuse_head(x);
    r->client_trusted = http_connection_trusted(x->connection, x->all->tls);
    x->bytes = exchange_bytes(x, &h.head.framing);
    x->stage = EXCHANGE_BODY;
    const char *fault = framing_fault(&h.head.framing, strcmp(version, "HTTP/1.0") == 0);
    if (fault != NULL) {
        http_response_problem(&x->response, 400, fault);
        return exchange_refuse(x, &h.head, true);
    }
    if (!handler->head(handler->arg, r, &x->response))
        return exchange_refuse(x, &h.head, false);
    if (h.head.framing.length > x->all->body_max) {
        http_response_problem(&x->response, 413, too_large);
        return exchange_refuse(x, &h.head, true);
    }
    buffer_init(&r->body, x->all->body_max);
    return MHD_YES;
}

/* --- the body --------------------------------------------------------------------------------- */

static enum MHD_Result exchange_on_piece(struct http_exchange *x, const char *bytes, size_t *n) {
    if (x->stage == EXCHANGE_BODY)
        switch (http_body_add(&x->all->bodies, &x->request.body, &x->body_counted, bytes, *n)) {
        case BODY_TAKEN:
            break;
        case BODY_TOO_LARGE: /* a chunked one: no Content-Length was there to refuse it by */
            http_response_problem(&x->response, 413, too_large);
            return exchange_break_off(x);
        case BODY_NO_ROOM:
            http_response_problem(&x->response, 503,
                                  "Too many bodies are being received: post it again.");
            x->response.retry_after_s = 1;
            return exchange_break_off(x);
        }
    *n = 0;
    return MHD_YES;
}

static enum MHD_Result exchange_on_whole(struct http_exchange *x) {
    const struct http_handler *handler = &x->all->handler;
    http_connection_received(x->connection, x->bytes);
    if (x->stage == EXCHANGE_DISCARD || handler->whole(handler->arg, &x->request, &x->response))
        return exchange_send(x);
    x->stage = EXCHANGE_WAITING;
    MHD_suspend_connection(x->connection->mhd);
    return MHD_YES;
}

/* --- from the request line to the end --------------------------------------------------------- */

struct http_exchange *http_exchange_begin(struct http_exchanges *all, struct http_connection *c,
                                          const char *target) {
    size_t target_size = strlen(target) + 1;
    struct http_exchange *x = pool_take(&all->kept);
    x->all = all;
    x->connection = c;
    x->request.state = x->state;
    if (target_size > sizeof x->target)
        x->long_target = mem_alloc(target_size);
    x->request.target =
        memcpy(x->long_target != NULL ? x->long_target : x->target, target, target_size);
    x->begun_ms = loop_now(all->loop);
    if (c->phase != CONNECTION_RECEIVING)
        http_connection_enter(c, CONNECTION_RECEIVING);
    all->count++;
    return x;
}

enum MHD_Result http_exchange_call(struct http_exchange *x, const char *method, const char *version,
                                   const char *data, size_t *size) {
    switch (x->stage) {
    case EXCHANGE_HEAD:
        return exchange_on_head(x, method, version);
    case EXCHANGE_BODY:
    case EXCHANGE_DISCARD:
        return *size > 0 ? exchange_on_piece(x, data, size) : exchange_on_whole(x);
    case EXCHANGE_READY:
        return exchange_send(x);
    case EXCHANGE_WAITING:
    case EXCHANGE_SENT:
        break;
    }
    return MHD_NO;
}

void http_exchange_end(struct http_exchange *x) {
    http_connection_enter(x->connection, CONNECTION_IDLE);
    http_body_release(&x->all->bodies, &x->body_counted);
    x->all->count--;
    buffer_free(&x->request.body);
    http_response_free(&x->response);
    free(x->long_target);
    pool_return(&x->all->kept, x);
}

void http_exchanges_open(struct http_exchanges *all) {
    all->kept = (struct pool){.size = sizeof(struct http_exchange) + all->handler.state_size,
                              .kept_max = EXCHANGES_KEPT};
}

void http_exchanges_close(struct http_exchanges *all) {
    pool_free(&all->kept);
}
