#include "common/base/http/admin.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/http/daemon.h"
#include "common/base/http/listen.h"
#include "common/base/log.h"
#include "common/base/memory.h"

enum {
    CONNECTIONS_MAX = 64,
    POOL_BYTES = 8192,
    IDLE_TIMEOUT_S = 5,
    METRICS_MAX_BYTES = 1 << 20,
    REASONS_MAX_BYTES = 4096
};

struct admin {
    struct http_daemon *daemon;
    struct admin_source source;
    char bound[LISTEN_ADDRESS_MAX];
};

/* --- responses -------------------------------------------------------------------------------- */

static enum MHD_Result admin_send(struct MHD_Connection *connection, unsigned status,
                                  const char *content_type, const struct buffer *body) {
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body->len, (void *)(uintptr_t)buffer_text(body), MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result admin_send_text(struct MHD_Connection *connection, unsigned status,
                                       const char *text) {
    struct buffer body;
    buffer_init(&body, REASONS_MAX_BYTES);
    buffer_puts(&body, text);
    enum MHD_Result queued = admin_send(connection, status, "text/plain; charset=utf-8", &body);
    buffer_free(&body);
    return queued;
}

static enum MHD_Result admin_send_health(struct admin *a, struct MHD_Connection *connection) {
    (void)a;
    return admin_send_text(connection, MHD_HTTP_OK, "ok\n");
}

static enum MHD_Result admin_send_ready(struct admin *a, struct MHD_Connection *connection) {
    struct buffer why;
    buffer_init(&why, REASONS_MAX_BYTES);
    bool ready = a->source.ready(a->source.arg, &why);
    enum MHD_Result queued =
        ready ? admin_send_text(connection, MHD_HTTP_OK, "ready\n")
              : admin_send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, buffer_text(&why));
    buffer_free(&why);
    return queued;
}

static enum MHD_Result admin_send_metrics(struct admin *a, struct MHD_Connection *connection) {
    struct buffer body;
    buffer_init(&body, METRICS_MAX_BYTES);
    a->source.metrics(a->source.arg, &body);
    enum MHD_Result queued =
        body.failed
            ? admin_send_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "too many metrics\n")
            : admin_send(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                         &body);
    buffer_free(&body);
    return queued;
}

static const struct {
    const char *path;
    enum MHD_Result (*send)(struct admin *a, struct MHD_Connection *connection);
} paths[] = {
    {"/healthz", admin_send_health},
    {"/readyz", admin_send_ready},
    {"/metrics", admin_send_metrics},
};

/* Without /STAGE before it. */
static const char *admin_strip_stage(const struct admin *a, const char *url) {
    size_t n = a->source.stage != NULL ? strlen(a->source.stage) : 0;
    if (n > 0 && url[0] == '/' && strncmp(url + 1, a->source.stage, n) == 0 && url[1 + n] == '/')
        return url + 1 + n;
    return url;
}

static enum MHD_Result admin_on_call(void *arg, struct MHD_Connection *connection, const char *url,
                                     const char *method, const char *version,
                                     const char *upload_data, size_t *upload_data_size,
                                     void **state) {
    (void)version;
    (void)upload_data;
    static const char seen;
    struct admin *a = arg;
    bool allowed =
        strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    /* A body that comes all the same is read and forgotten; of other methods it is not read. */
    if (allowed && (*state == NULL || *upload_data_size > 0)) {
        *state = (void *)(uintptr_t)&seen;
        *upload_data_size = 0;
        return MHD_YES;
    }
    url = admin_strip_stage(a, url);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (strcmp(url, paths[i].path) != 0)
            continue;
        if (!allowed)
            return admin_send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
        return paths[i].send(a, connection);
    }
    return admin_send_text(connection, MHD_HTTP_NOT_FOUND, "/healthz, /readyz and /metrics only\n");
}

/* --- opening and closing ---------------------------------------------------------------------- */

static struct http_daemon *admin_start(struct admin *a, struct loop *loop, int listen_fd) {
    static const struct MHD_OptionItem options[] = {
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    struct http_daemon_settings settings = {.listen_fd = listen_fd,
                                            .connections_max = CONNECTIONS_MAX,
                                            .pool_bytes = POOL_BYTES,
                                            .on_call = admin_on_call,
                                            .arg = a,
                                            .options = options};
    return http_daemon_open(loop, &settings);
}

struct admin *admin_open(struct loop *loop, const char *listen, const struct admin_source *source,
                         char *error, size_t error_size) {
    struct admin *a = mem_zero(sizeof *a);
    a->source = *source;
    int fd = http_listen(listen, a->bound, sizeof a->bound, error, error_size);
    if (fd < 0) {
        free(a);
        return NULL;
    }
    a->daemon = admin_start(a, loop, fd);
    if (a->daemon == NULL) {
        snprintf(error, error_size, "cannot serve on %s: %s", listen, strerror(errno));
        admin_close(a);
        return NULL;
    }
    log_info("admin on %s", a->bound);
    return a;
}

const char *admin_address(const struct admin *a) {
    return a->bound;
}

void admin_close(struct admin *a) {
    if (a == NULL)
        return;
    http_daemon_close(a->daemon);
    free(a);
}
