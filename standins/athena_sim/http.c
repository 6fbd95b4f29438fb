#include "standins/athena_sim/http.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/buffer.h"
#include "common/base/http/daemon.h"
#include "common/base/http/listen.h"
#include "common/base/memory.h"

enum {
    CONNECTIONS_MAX = 4096,
    HEADER_POOL_BYTES = 16384, /* session tokens are long */
    HEADERS_MAX = 100,
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
    struct http_daemon *daemon;
    sim_answer_fn *fn;
    void *arg;
    struct exchange *exchanges;
    size_t pending; /* answered and not yet sent */
    bool quiet;
    char address[LISTEN_ADDRESS_MAX];
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
    int sent = MHD_get_connection_values(e->connection, MHD_HEADER_KIND, note_header, &headers);
    e->answered = true;
    e->http->pending++;
    if (e->body.failed) {
        answer_text(&e->answer, MHD_HTTP_CONTENT_TOO_LARGE, "The body is too large.\n");
        return;
    }
    if (sent > HEADERS_MAX) {
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
        return MHD_NO; /* libmicrohttpd then closes the connection and sends nothing */
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
    http_daemon_wake(e->http->daemon);
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

/* --- the daemon ------------------------------------------------------------------------------- */

static struct http_daemon *start_daemon(struct sim_http *http, int listen_fd) {
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, http},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, http},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct http_daemon_settings settings = {.listen_fd = listen_fd,
                                                  .connections_max = CONNECTIONS_MAX,
                                                  .pool_bytes = HEADER_POOL_BYTES,
                                                  .flags = MHD_ALLOW_SUSPEND_RESUME,
                                                  .on_call = on_request,
                                                  .arg = http,
                                                  .options = options};
    return http_daemon_open(http->loop, &settings);
}

struct sim_http *sim_http_open(struct loop *loop, const char *address, sim_answer_fn *fn, void *arg,
                               char *detail, size_t detail_size) {
    struct sim_http *http = mem_zero(sizeof *http);
    *http = (struct sim_http){.loop = loop, .fn = fn, .arg = arg};
    int fd = http_listen(address, http->address, sizeof http->address, detail, detail_size), on = 1;
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
        http->daemon = start_daemon(http, fd);
        if (http->daemon == NULL)
            snprintf(detail, detail_size, "libmicrohttpd cannot be started");
    }
    if (http->daemon == NULL) {
        free(http);
        return NULL;
    }
    return http;
}

const char *sim_http_address(const struct sim_http *http) {
    return http->address;
}

void sim_http_quiesce(struct sim_http *http) {
    if (http->quiet)
        return;
    http->quiet = true;
    http_daemon_quiesce(http->daemon);
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
    http_daemon_run(http->daemon); /* for those that were just resumed */
    http_daemon_close(http->daemon);
    free(http);
}
