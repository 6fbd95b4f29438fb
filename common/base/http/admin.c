#include "common/base/http/admin.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"

enum {
    BACKLOG = 1024,
    CONNECTIONS_MAX = 64,
    CONNECTION_MEMORY = 8192,
    IDLE_TIMEOUT_S = 5,
    METRICS_MAX_BYTES = 1 << 20,
    REASONS_MAX_BYTES = 4096
};

struct admin {
    struct loop *loop;
    struct MHD_Daemon *daemon;
    int epoll_fd;   /* libmicrohttpd's own */
    int64_t due_ms; /* when it wants its turn without an event; -1: not */
    struct admin_source source;
    char bound[ADMIN_ADDRESS_MAX];
};

/* --- listening -------------------------------------------------------------------------------- */

static int try_listen(const struct addrinfo *at) {
    int fd = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
    if (fd < 0)
        return -1;
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int kept = errno;
    close(fd);
    errno = kept;
    return -1;
}

static bool tell_bound(int fd, char *bound, size_t bound_size) {
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    char host[INET6_ADDRSTRLEN + 32], port[8];
    if (getsockname(fd, (struct sockaddr *)&address, &n) != 0)
        return false;
    if (getnameinfo((struct sockaddr *)&address, n, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    bool bracketed = address.ss_family == AF_INET6;
    snprintf(bound, bound_size, bracketed ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

int admin_listen_socket(const char *address, char *bound, size_t bound_size, char *error,
                        size_t error_size) {
    char host[256], service[8];
    uint16_t port;
    if (!options_address(address, host, sizeof host, &port)) {
        snprintf(error, error_size, "\"%s\" is not host:port", address);
        return -1;
    }
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo *found, wanted = {.ai_family = AF_UNSPEC,
                                      .ai_socktype = SOCK_STREAM,
                                      .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int looked_up = getaddrinfo(host, service, &wanted, &found);
    if (looked_up != 0) {
        snprintf(error, error_size, "cannot listen on %s: %s", address, gai_strerror(looked_up));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
        fd = try_listen(at);
    if (fd < 0 || !tell_bound(fd, bound, bound_size)) {
        snprintf(error, error_size, "cannot listen on %s: %s", address, strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

/* --- answering -------------------------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status,
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

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *text) {
    struct buffer body;
    buffer_init(&body, REASONS_MAX_BYTES);
    buffer_puts(&body, text);
    enum MHD_Result queued = answer(connection, status, "text/plain; charset=utf-8", &body);
    buffer_free(&body);
    return queued;
}

static enum MHD_Result answer_health(struct admin *a, struct MHD_Connection *connection) {
    (void)a;
    return answer_text(connection, MHD_HTTP_OK, "ok\n");
}

static enum MHD_Result answer_ready(struct admin *a, struct MHD_Connection *connection) {
    struct buffer why;
    buffer_init(&why, REASONS_MAX_BYTES);
    bool ready = a->source.ready(a->source.arg, &why);
    enum MHD_Result queued =
        ready ? answer_text(connection, MHD_HTTP_OK, "ready\n")
              : answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, buffer_text(&why));
    buffer_free(&why);
    return queued;
}

static enum MHD_Result answer_metrics(struct admin *a, struct MHD_Connection *connection) {
    struct buffer body;
    buffer_init(&body, METRICS_MAX_BYTES);
    a->source.metrics(a->source.arg, &body);
    enum MHD_Result queued =
        body.failed
            ? answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "too many metrics\n")
            : answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &body);
    buffer_free(&body);
    return queued;
}

static const struct {
    const char *path;
    enum MHD_Result (*answer)(struct admin *a, struct MHD_Connection *connection);
} paths[] = {
    {"/healthz", answer_health},
    {"/readyz", answer_ready},
    {"/metrics", answer_metrics},
};

/* Without /STAGE before it. */
static const char *strip_stage(const struct admin *a, const char *url) {
    size_t n = a->source.stage != NULL ? strlen(a->source.stage) : 0;
    if (n > 0 && url[0] == '/' && strncmp(url + 1, a->source.stage, n) == 0 && url[1 + n] == '/')
        return url + 1 + n;
    return url;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload_data,
                                  size_t *upload_data_size, void **state) {
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
    url = strip_stage(a, url);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (strcmp(url, paths[i].path) != 0)
            continue;
        if (!allowed)
            return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
        return paths[i].answer(a, connection);
    }
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "/healthz, /readyz and /metrics only\n");
}

/* --- in the loop ------------------------------------------------------------------------------ */

static void on_event(void *arg, uint32_t events) {
    (void)events;
    struct admin *a = arg;
    MHD_run(a->daemon);
}

/* libmicrohttpd wants to be run when its time-out is over, too: for what it has read already. */
static int64_t on_turn(void *arg) {
    struct admin *a = arg;
    if (a->due_ms >= 0 && loop_now(a->loop) >= a->due_ms)
        MHD_run(a->daemon);
    unsigned long long wait_ms;
    if (MHD_get_timeout(a->daemon, &wait_ms) != MHD_YES) {
        a->due_ms = -1;
        return -1;
    }
    a->due_ms = loop_now(a->loop) + (int64_t)wait_ms;
    return (int64_t)wait_ms;
}

static struct MHD_Daemon *start_daemon(struct admin *a, int listen_fd) {
    return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, a, MHD_OPTION_LISTEN_SOCKET,
                            listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

static bool join_loop(struct admin *a) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(a->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL)
        return false;
    a->epoll_fd = info->epoll_fd;
    if (!loop_watch(a->loop, a->epoll_fd, EPOLLIN, on_event, a))
        return false;
    loop_each_turn(a->loop, on_turn, a);
    return true;
}

struct admin *admin_open(struct loop *loop, const char *listen, const struct admin_source *source,
                         char *error, size_t error_size) {
    struct admin *a = mem_zero(sizeof *a);
    *a = (struct admin){.loop = loop, .epoll_fd = -1, .due_ms = -1, .source = *source};
    int fd = admin_listen_socket(listen, a->bound, sizeof a->bound, error, error_size);
    if (fd < 0) {
        free(a);
        return NULL;
    }
    a->daemon = start_daemon(a, fd);
    if (a->daemon == NULL || !join_loop(a)) {
        /* The socket is the daemon's now, and closed with it. */
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
    loop_not_each_turn(a->loop, on_turn, a);
    loop_unwatch(a->loop, a->epoll_fd);
    if (a->daemon != NULL)
        MHD_stop_daemon(a->daemon);
    free(a);
}
