#include "common/base/http/admin.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/http/listen.h"
#include "common/base/http/server.h"
#include "common/base/log.h"
#include "common/base/memory.h"

enum {
    CONNECTIONS_MAX = 64,
    BODY_MAX_BYTES = 65536, /* of a GET that brings one: it is read and forgotten */
    TIMEOUT_MS = 5000,      /* of a request, and of a connection between two */
    METRICS_MAX_BYTES = 1 << 20,
    REASONS_MAX_BYTES = 4096
};

struct admin {
    struct http_server *server;
    struct admin_source source;
    char bound[LISTEN_ADDRESS_MAX];
};

/* --- responses -------------------------------------------------------------------------------- */

static const char plain_text[] = "text/plain; charset=utf-8";

static void admin_begin(struct http_response *r, int status, const char *type, size_t max_bytes) {
    r->status = status;
    r->content_type = type;
    r->no_store = true;
    buffer_init(&r->body, max_bytes);
}

static void admin_text(struct http_response *r, int status, const char *text) {
    admin_begin(r, status, plain_text, REASONS_MAX_BYTES);
    buffer_puts(&r->body, text);
}

static void admin_health(struct admin *a, struct http_response *r) {
    (void)a;
    admin_text(r, 200, "ok\n");
}

static void admin_readiness(struct admin *a, struct http_response *r) {
    struct buffer why;
    buffer_init(&why, REASONS_MAX_BYTES);
    bool ready = a->source.ready(a->source.arg, &why);
    admin_text(r, ready ? 200 : 503, ready ? "ready\n" : buffer_text(&why));
    buffer_free(&why);
}

static void admin_metrics(struct admin *a, struct http_response *r) {
    admin_begin(r, 200, "text/plain; version=0.0.4; charset=utf-8", METRICS_MAX_BYTES);
    a->source.metrics(a->source.arg, &r->body);
    if (!r->body.failed)
        return;
    http_response_free(r);
    admin_text(r, 500, "too many metrics\n");
}

/* --- requests --------------------------------------------------------------------------------- */

typedef void admin_serve_fn(struct admin *a, struct http_response *r);

static const struct {
    const char *path;
    admin_serve_fn *serve;
} paths[] = {
    {"/healthz", admin_health},
    {"/readyz", admin_readiness},
    {"/metrics", admin_metrics},
};

/* Without /STAGE before it. */
static const char *admin_strip_stage(const struct admin *a, const char *target) {
    size_t n = a->source.stage != NULL ? strlen(a->source.stage) : 0;
    if (n > 0 && target[0] == '/' && strncmp(target + 1, a->source.stage, n) == 0 &&
        target[1 + n] == '/')
        return target + 1 + n;
    return target;
}

/* NULL: there is nothing. */
static admin_serve_fn *admin_find(const struct admin *a, const char *target) {
    const char *path = admin_strip_stage(a, target);
    size_t n = strcspn(path, "?");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strlen(paths[i].path) == n && memcmp(paths[i].path, path, n) == 0)
            return paths[i].serve;
    return NULL;
}

static bool admin_on_head(void *arg, struct server_request *request, struct http_response *r) {
    struct admin *a = arg;
    bool is_read = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (admin_find(a, request->target) == NULL) {
        admin_text(r, 404, "/healthz, /readyz and /metrics only\n");
    } else if (!is_read) {
        admin_text(r, 405, "GET and HEAD only\n");
        r->allow = "GET, HEAD";
    }
    return r->status == 0;
}

static bool admin_on_whole(void *arg, struct server_request *request, struct http_response *r) {
    struct admin *a = arg;
    admin_find(a, request->target)(a, r);
    return true;
}

static void admin_on_responded(void *arg, int status, int64_t took_ms) {
    (void)arg;
    (void)status;
    (void)took_ms;
}

/* --- opening and closing ---------------------------------------------------------------------- */

static struct http_server *admin_start(struct admin *a, struct loop *loop, int listen_fd) {
    const struct http_server_settings settings = {.listen_fd = listen_fd,
                                                  .connections_max = CONNECTIONS_MAX,
                                                  .body_max = BODY_MAX_BYTES,
                                                  .request_timeout_ms = TIMEOUT_MS,
                                                  .idle_timeout_ms = TIMEOUT_MS};
    const struct http_handler handler = {
        .head = admin_on_head, .whole = admin_on_whole, .responded = admin_on_responded, .arg = a};
    return http_server_open(loop, &settings, &handler);
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
    a->server = admin_start(a, loop, fd);
    if (a->server == NULL) {
        snprintf(error, error_size, "cannot serve on %s", listen);
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
    http_server_close(a->server);
    free(a);
}
