#include "standins/athena_sim/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"

enum {
    CONNECTIONS_MAX = 4096,
    HEADER_POOL_BYTES = 16384, /* session tokens are long */
    HEADERS_MAX = 100,
    BACKLOG = 1024,
    /* libmicrohttpd does not see a client go whose end came together with its last bytes. */
    IDLE_TIMEOUT_S = 120
};

/* One request, from its first line to NOTIFY_COMPLETED. */
struct exchange {
    struct sim_http *http;
    struct MHD_Connection *connection;
    char *target;
    struct buffer body;
    bool begun, answered, held;
    struct sim_answer answer;
    struct loop_timer timer;
    struct exchange *next, *previous; /* all that are under way */
};

struct sim_http {
    struct loop *loop;
    struct MHD_Daemon *daemon;
    int epoll_fd, listen_fd;
    sim_answer_fn *fn;
    void *arg;
    struct exchange *exchanges;
    size_t pending; /* answered and not yet sent */
    bool quiet;
    char address[300];
};

/* --- one exchange ----------------------------------------------------------------------------- */

/* The only place that sees the target before it is decoded. What it returns becomes `*context`. */
static void *on_target(void *arg, const char *target, struct MHD_Connection *connection) {
    struct sim_http *http = arg;
    struct exchange *e = mem_zero(sizeof *e);
    e->http = http;
    e->connection = connection;
    e->target = mem_string(target);
    buffer_init(&e->body, SIM_BODY_MAX);
    e->next = http->exchanges;
    if (e->next != NULL)
        e->next->previous = e;
    http->exchanges = e;
    return e;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode why) {
    (void)connection;
    (void)why;
    struct sim_http *http = arg;
    struct exchange *e = *context;
    if (e == NULL)
        return;
    loop_timer_cancel(http->loop, &e->timer);
    if (e->next != NULL)
        e->next->previous = e->previous;
    *(e->previous != NULL ? &e->previous->next : &http->exchanges) = e->next;
    http->pending -= e->answered;
    buffer_free(&e->body);
    free(e->answer.body);
    free(e->target);
    free(e);
    *context = NULL;
}

struct headers {
    struct sim_header list[HEADERS_MAX];
    size_t count;
};

static enum MHD_Result note_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                   const char *value) {
    (void)kind;
    struct headers *h = arg;
    if (h->count == HEADERS_MAX)
        return MHD_NO;
    h->list[h->count++] = (struct sim_header){name, value != NULL ? value : ""};
    return MHD_YES;
}

static void answer_text(struct sim_answer *answer, unsigned status, const char *text) {
    answer->status = status;
    answer->content_type = "text/plain";
    answer->body = mem_string(text);
    answer->body_len = strlen(text);
}

static void make_answer(struct exchange *e, const char *method) {
    struct headers headers = {.count = 0};
    int told = MHD_get_connection_values(e->connection, MHD_HEADER_KIND, note_header, &headers);
    e->answered = true;
    e->http->pending++;
    if (e->body.failed) {
        answer_text(&e->answer, MHD_HTTP_CONTENT_TOO_LARGE, "The body is too large.\n");
        return;
    }
    if (told > HEADERS_MAX) {
        answer_text(&e->answer, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "Too many headers.\n");
        return;
    }
    struct sim_request r = {.method = method,
                            .target = e->target,
                            .headers = headers.list,
                            .header_count = headers.count,
                            .body = buffer_text(&e->body),
                            .body_len = e->body.len};
    e->http->fn(e->http->arg, &r, &e->answer);
}

static enum MHD_Result send_answer(struct exchange *e) {
    if (e->answer.cut)
        return MHD_NO; /* libmicrohttpd then closes the connection without a word */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(e->answer.body_len, e->answer.body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        return MHD_NO;
    e->answer.body = NULL;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, e->answer.content_type);
    if (*e->answer.request_id != '\0')
        MHD_add_response_header(response, "x-amzn-RequestId", e->answer.request_id);
    enum MHD_Result queued = MHD_queue_response(e->connection, e->answer.status, response);
    MHD_destroy_response(response);
    return queued;
}

static void resume(void *arg) {
    struct exchange *e = arg;
    e->held = false;
    MHD_resume_connection(e->connection);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_len, void **context) {
    (void)url;
    (void)version;
    struct sim_http *http = arg;
    struct exchange *e = *context;
    if (!e->begun) {
        e->begun = true;
        return MHD_YES;
    }
    if (*body_len > 0) {
        buffer_add(&e->body, body, *body_len);
        *body_len = 0;
        return MHD_YES;
    }
    if (!e->answered) {
        make_answer(e, method);
        if (e->answer.delay_ms > 0 && !http->quiet) {
            e->held = true;
            MHD_suspend_connection(connection);
            loop_timer_set(http->loop, &e->timer, e->answer.delay_ms, resume, e);
            return MHD_YES;
        }
    }
    return send_answer(e);
}

/* --- the listener ----------------------------------------------------------------------------- */

/* Accepted sockets inherit TCP_NODELAY. */
static int listen_at(const struct addrinfo *a) {
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
        bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int kept = errno;
    close(fd);
    errno = kept;
    return -1;
}

static bool name_address(struct sim_http *http) {
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    char host[256], port[16];
    if (getsockname(http->listen_fd, (struct sockaddr *)&at, &len) != 0 ||
        getnameinfo((struct sockaddr *)&at, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    snprintf(http->address, sizeof http->address, at.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
             host, port);
    return true;
}

static bool open_listener(struct sim_http *http, const char *address, char *detail,
                          size_t detail_size) {
    char host[256], service[8];
    uint16_t port;
    if (!options_address(address, host, sizeof host, &port)) {
        snprintf(detail, detail_size, "%s is not host:port", address);
        return false;
    }
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    int error = getaddrinfo(host, service, &hints, &found);
    if (error != 0) {
        snprintf(detail, detail_size, "%s: %s", host, gai_strerror(error));
        return false;
    }
    http->listen_fd = listen_at(found);
    freeaddrinfo(found);
    if (http->listen_fd < 0 || !name_address(http)) {
        snprintf(detail, detail_size, "cannot listen on %s: %s", address, strerror(errno));
        return false;
    }
    return true;
}

/* --- the daemon in the loop ------------------------------------------------------------------- */

static void on_daemon_ready(void *arg, uint32_t events) {
    (void)arg; /* every turn runs the daemon: being woken is all that was wanted */
    (void)events;
}

static int64_t run_daemon(void *arg) {
    struct sim_http *http = arg;
    MHD_UNSIGNED_LONG_LONG wait_ms;
    MHD_run(http->daemon);
    return MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES ? (int64_t)wait_ms : -1;
}

static void on_daemon_log(void *arg, const char *fmt, va_list args) {
    char text[512];
    (void)arg;
    vsnprintf(text, sizeof text, fmt, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("libmicrohttpd: %s", text);
}

static struct MHD_Daemon *start_daemon(struct sim_http *http) {
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
        http, MHD_OPTION_EXTERNAL_LOGGER, on_daemon_log, NULL, MHD_OPTION_LISTEN_SOCKET,
        (MHD_socket)http->listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_POOL_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_URI_LOG_CALLBACK,
        on_target, http, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_END);
}

struct sim_http *sim_http_open(struct loop *loop, const char *address, sim_answer_fn *fn, void *arg,
                               char *detail, size_t detail_size) {
    struct sim_http *http = mem_zero(sizeof *http);
    http->loop = loop;
    http->fn = fn;
    http->arg = arg;
    http->listen_fd = -1;
    if (!open_listener(http, address, detail, detail_size)) {
        if (http->listen_fd >= 0)
            close(http->listen_fd);
        free(http);
        return NULL;
    }
    http->daemon = start_daemon(http);
    const union MHD_DaemonInfo *info =
        http->daemon != NULL ? MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info == NULL || !loop_watch(loop, info->epoll_fd, EPOLLIN, on_daemon_ready, NULL)) {
        snprintf(detail, detail_size, "cannot start the HTTP server");
        if (http->daemon != NULL)
            MHD_stop_daemon(http->daemon);
        else
            close(http->listen_fd);
        free(http);
        return NULL;
    }
    http->epoll_fd = info->epoll_fd;
    loop_each_turn(loop, run_daemon, http);
    return http;
}

const char *sim_http_address(const struct sim_http *http) {
    return http->address;
}

void sim_http_quiesce(struct sim_http *http) {
    if (http->quiet)
        return;
    http->quiet = true;
    if (MHD_quiesce_daemon(http->daemon) != MHD_INVALID_SOCKET)
        close(http->listen_fd); /* quiesced, the socket is ours again */
    for (struct exchange *e = http->exchanges; e != NULL; e = e->next)
        if (e->held) {
            loop_timer_cancel(http->loop, &e->timer);
            resume(e);
        }
}

size_t sim_http_pending(const struct sim_http *http) {
    return http->pending;
}

void sim_http_close(struct sim_http *http) {
    sim_http_quiesce(http);
    /* A connection that is still suspended would make MHD_stop_daemon() abort: let them resume. */
    MHD_run(http->daemon);
    loop_not_each_turn(http->loop, run_daemon, http);
    loop_unwatch(http->loop, http->epoll_fd);
    MHD_stop_daemon(http->daemon);
    free(http);
}
