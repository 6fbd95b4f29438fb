#include "common/base/http/server.h"

#include <microhttpd.h>
#include <stdlib.h>

#include "common/base/http/connection.h"
#include "common/base/http/daemon.h"
#include "common/base/http/exchange.h"
#include "common/base/memory.h"

/* Before 1.0 libmicrohttpd's own 400 for a missing Host has its head twice; framing.c refuses it
   instead. */
#if MHD_VERSION >= 0x01000000
#define STRICT_FOR_CLIENT 1
#else
#define STRICT_FOR_CLIENT 0
#endif

enum {
    /* What is kept of a head, and 4 KB for the response's head and for what libmicrohttpd rounds
       up. It clears the pool at each request, and gets a larger one by mmap. */
    POOL_BYTES = HTTP_HEAD_MEMORY_MAX + 4096,
    CONNECTIONS_SPARE = 16, /* more than connections_max, until the longest idle ones are shut */
    BODIES_MAX = 256 * 1024 * 1024, /* of all requests together */
    LAST_RUNS = 16,                 /* for the responses that were given just now */
    OPTIONS_MAX = 9
};

struct http_server {
    struct http_daemon *daemon;
    struct http_connections *connections;
    struct http_exchanges exchanges;
    bool quiesced;
};

/* --- libmicrohttpd's callbacks ---------------------------------------------------------------- */

static void server_on_connection(void *arg, struct MHD_Connection *mhd, void **context,
                                 enum MHD_ConnectionNotificationCode what) {
    struct http_server *s = arg;
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        *context = http_connection_open(s->connections, mhd);
    else if (*context != NULL)
        http_connection_close(*context);
}

/* As soon as the request line is in: only here libmicrohttpd gives the target undecoded. */
static void *server_on_target(void *arg, const char *target, struct MHD_Connection *mhd) {
    struct http_server *s = arg;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return http_exchange_begin(&s->exchanges, info->socket_context, target);
}

static enum MHD_Result server_on_call(void *arg, struct MHD_Connection *mhd, const char *url,
                                      const char *method, const char *version, const char *data,
                                      size_t *data_size, void **context) {
    (void)arg;
    (void)mhd;
    (void)url;
    return http_exchange_call(*context, method, version, data, data_size);
}

static void server_on_completed(void *arg, struct MHD_Connection *mhd, void **context,
                                enum MHD_RequestTerminationCode why) {
    (void)arg;
    (void)mhd;
    (void)why;
    if (*context != NULL)
        http_exchange_end(*context);
    *context = NULL;
}

/* --- opening and stopping --------------------------------------------------------------------- */

static struct http_daemon *server_start(struct http_server *s, struct loop *loop,
                                        const struct http_server_settings *settings) {
    const struct http_tls *tls = settings->tls;
    struct MHD_OptionItem options[OPTIONS_MAX] = {
        {MHD_OPTION_STRICT_FOR_CLIENT, STRICT_FOR_CLIENT, NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)server_on_target, s},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)server_on_completed, s},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)server_on_connection, s},
    };
    size_t n = 4;
    if (tls != NULL) {
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, tls->cert};
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key};
        if (tls->client_ca != NULL)
            options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, tls->client_ca};
    }
    options[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    struct http_daemon_settings daemon = {
        .listen_fd = settings->listen_fd,
        .connections_max = settings->connections_max + CONNECTIONS_SPARE,
        .pool_bytes = POOL_BYTES,
        .flags = MHD_ALLOW_SUSPEND_RESUME | (tls != NULL ? (unsigned)MHD_USE_TLS : 0u),
        .on_call = server_on_call,
        .arg = s,
        .options = options};
    return http_daemon_open(loop, &daemon);
}

struct http_server *http_server_open(struct loop *loop, const struct http_server_settings *settings,
                                     const struct http_handler *handler) {
    struct http_server *s = mem_zero(sizeof *s);
    struct http_connections_settings connections = {.request_timeout_ms =
                                                        settings->request_timeout_ms,
                                                    .idle_timeout_ms = settings->idle_timeout_ms,
                                                    .connections_max = settings->connections_max,
                                                    .responded = handler->responded,
                                                    .arg = handler->arg};
    s->connections = http_connections_open(loop, &connections);
    s->exchanges = (struct http_exchanges){.loop = loop,
                                           .handler = *handler,
                                           .tls = settings->tls,
                                           .body_max = settings->body_max,
                                           .bodies = {.max = BODIES_MAX}};
    http_exchanges_open(&s->exchanges);
    s->daemon = server_start(s, loop, settings);
    if (s->daemon == NULL) {
        http_connections_close(s->connections);
        free(s);
        return NULL;
    }
    s->exchanges.daemon = s->daemon;
    return s;
}

void http_server_quiesce(struct http_server *s) {
    if (s->quiesced)
        return;
    s->quiesced = true;
    http_daemon_quiesce(s->daemon);
    http_connections_quiesce(s->connections);
}

size_t http_server_connections(const struct http_server *s) {
    return http_connections_count(s->connections);
}

size_t http_server_requests(const struct http_server *s) {
    return s->exchanges.count;
}

void http_server_close(struct http_server *s) {
    if (s == NULL)
        return;
    http_server_quiesce(s);
    for (int i = 0; i < LAST_RUNS && s->exchanges.count > 0; i++)
        http_daemon_run(s->daemon);
    http_daemon_close(s->daemon);
    http_connections_close(s->connections);
    http_exchanges_close(&s->exchanges);
    free(s);
}
