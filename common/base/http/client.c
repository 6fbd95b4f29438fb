#include "common/base/http/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <utlist.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"

/* A descriptor that libcurl wants watched. */
struct watched {
    struct http_client *client;
    curl_socket_t fd;
    struct watched *prev, *next;
};

struct http_call {
    struct http_client *client;
    CURL *easy;
    CURLU *url;
    struct curl_slist *headers;
    struct buffer body; /* of the answer */
    http_done_fn *fn;
    void *arg;
    bool sent; /* perhaps: from the moment that libcurl was about to send it on a connection */
    bool is_secret;
    bool head_whole; /* the empty line behind the headers has come */
    bool done;       /* fn is being called */
    char error[CURL_ERROR_SIZE];
    struct http_call *prev, *next;
};

struct http_client {
    struct loop *loop;
    CURLM *multi;
    char *ca_file;
    struct loop_timer timer;
    struct http_call *calls;
    struct watched *watched;
    CURL **idle; /* easy handles to use again */
    size_t idle_count, idle_max;
};

/* --- one call: its easy handle ---------------------------------------------------------------- */

/* libcurl calls it on a connection that stands, TLS included, before each sending of a request. */
static int call_before_sending(void *arg, char *to_ip, char *from_ip, int to_port, int from_port) {
    (void)to_ip;
    (void)from_ip;
    (void)to_port;
    (void)from_port;
    struct http_call *call = arg;
    call->sent = true;
    return CURL_PREREQFUNC_OK;
}

static size_t call_on_body(char *bytes, size_t size, size_t n, void *arg) {
    struct http_call *call = arg;
    buffer_add(&call->body, bytes, size * n);
    return call->body.failed ? 0 : size * n; /* 0 ends the transfer */
}

/* libcurl takes a connection that ends amid the headers for the end of an answer without a body. */
static size_t call_on_header_line(char *line, size_t size, size_t n, void *arg) {
    struct http_call *call = arg;
    call->head_whole = line[0] == '\r' || line[0] == '\n';
    return size * n;
}

static bool easy_set_fixed(CURL *easy) {
    static const struct {
        CURLoption option;
        long value;
    } fixed[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_FOLLOWLOCATION, 0},
        {CURLOPT_TCP_NODELAY, 1},
        {CURLOPT_PATH_AS_IS, 1},               /* what is signed is what is sent */
        {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1}, /* a proxy's answer is not the server's */
        {CURLOPT_QUICK_EXIT, 1}, /* a cancelled call does not wait for its name look-up */
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (curl_easy_setopt(easy, fixed[i].option, fixed[i].value) != CURLE_OK)
            return false;
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "athena-query") == CURLE_OK;
}

static bool call_set_callbacks(struct http_call *call) {
    CURL *easy = call->easy;
    return curl_easy_setopt(easy, CURLOPT_PRIVATE, call) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, call_before_sending) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQDATA, call) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, call_on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, call_on_header_line) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, call) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error) == CURLE_OK;
}

static bool easy_set_method(CURL *easy, const struct http_request *r) {
    if (strcmp(r->method, "GET") == 0)
        return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    return curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, r->body_len > 0 ? r->body : "") ==
               CURLE_OK;
}

static bool call_set_url(struct http_call *call, const char *url) {
    char *scheme = NULL, *user = NULL;
    call->url = curl_url();
    bool ok = call->url != NULL &&
              curl_url_set(call->url, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK &&
              curl_url_get(call->url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
              curl_url_get(call->url, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
              curl_easy_setopt(call->easy, CURLOPT_CURLU, call->url) == CURLE_OK;
    curl_free(scheme);
    curl_free(user);
    return ok;
}

static bool add_header_line(struct http_call *call, const char *line) {
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    if (longer != NULL)
        call->headers = longer;
    return longer != NULL;
}

static bool is_header_text(const char *s) {
    for (; *s != '\0'; s++)
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
            return false;
    return true;
}

static bool add_header(struct http_call *call, const struct http_header *h) {
    if (h->name[0] == '\0' || strpbrk(h->name, ":; ") != NULL || !is_header_text(h->name) ||
        !is_header_text(h->value))
        return false;
    size_t size = strlen(h->name) + strlen(h->value) + 3;
    char *line = mem_alloc(size);
    /* "Name:" would take the header away, "Name;" sends it empty. */
    snprintf(line, size, h->value[0] != '\0' ? "%s: %s" : "%s;%s", h->name, h->value);
    bool ok = add_header_line(call, line);
    free(line);
    return ok;
}

static bool call_set_headers(struct http_call *call, const struct http_request *r) {
    bool typed = false, ok = add_header_line(call, "Expect:");
    for (size_t i = 0; i < r->header_count; i++) {
        ok = ok && add_header(call, &r->headers[i]);
        typed = typed || strcasecmp(r->headers[i].name, "Content-Type") == 0;
    }
    if (!typed) /* or else libcurl says that it is a form */
        ok = ok && add_header_line(call, "Content-Type:");
    return ok && curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers) == CURLE_OK;
}

/* In place of the system's: libcurl would look into the system's directory besides. */
static bool easy_set_ca(CURL *easy, const char *ca_file) {
    return ca_file == NULL || (curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) == CURLE_OK &&
                               curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK);
}

static bool call_set_limits(struct http_call *call, const struct http_request *r) {
    CURL *easy = call->easy;
    buffer_init(&call->body, r->answer_max);
    call->is_secret = r->is_secret || r->is_private;
    return curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)r->connect_timeout_ms) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms) == CURLE_OK &&
           (!r->is_private || curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK) &&
           easy_set_ca(easy, call->client->ca_file);
}

static CURL *client_take_easy(struct http_client *c) {
    return c->idle_count > 0 ? c->idle[--c->idle_count] : curl_easy_init();
}

static void client_give_back_easy(struct http_client *c, CURL *easy) {
    if (easy == NULL)
        return;
    curl_easy_reset(easy);
    if (c->idle_count < c->idle_max)
        c->idle[c->idle_count++] = easy;
    else
        curl_easy_cleanup(easy);
}

/* The easy handle borrows the URL and the headers, so it goes first. */
static void call_free(struct http_call *call) {
    client_give_back_easy(call->client, call->easy);
    curl_url_cleanup(call->url);
    curl_slist_free_all(call->headers);
    if (call->is_secret && call->body.data != NULL)
        explicit_bzero(call->body.data, call->body.room);
    buffer_free(&call->body);
    free(call);
}

/* --- answers ---------------------------------------------------------------------------------- */

const char *http_answer_header(const struct http_answer *answer, const char *name) {
    struct curl_header *h;
    if (answer->handle == NULL ||
        curl_easy_header(answer->handle, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return NULL;
    return h->value;
}

static void call_read_answer(struct http_call *call, CURLcode code, struct http_answer *a) {
    *a = (struct http_answer){.handle = call->easy, .date = -1, .error = ""};
    long status = 0;
    curl_off_t microseconds = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call->easy, CURLINFO_TOTAL_TIME_T, &microseconds);
    a->seconds = (double)microseconds / 1e6;
    a->status = (int)status;
    a->body = buffer_text(&call->body);
    a->body_len = call->body.len;
    const char *date = http_answer_header(a, "date");
    if (date != NULL)
        a->date = (int64_t)curl_getdate(date, NULL);
    if (code == CURLE_OK && call->head_whole) {
        a->result = HTTP_ANSWERED;
        return;
    }
    /*
     * Not by the code: a request that was sent on a reused connection and is sent again by libcurl
     * may end with "cannot connect".
     */
    a->result = call->sent ? HTTP_LOST : HTTP_UNSENT;
    a->too_long = call->body.failed;
    if (call->body.failed)
        a->error = "the answer is longer than this program takes";
    else if (code == CURLE_OK)
        a->error = "the connection ended amid the headers of the answer";
    else
        a->error = call->error[0] != '\0' ? call->error : curl_easy_strerror(code);
}

static void call_finish(struct http_call *call, CURLcode code) {
    struct http_client *c = call->client;
    struct http_answer answer;
    curl_multi_remove_handle(c->multi, call->easy);
    DL_DELETE(c->calls, call);
    call->done = true;
    call_read_answer(call, code, &answer);
    call->fn(call->arg, &answer);
    call_free(call);
}

static void client_finish_all(struct http_client *c) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(c->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        char *call = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        call_finish((struct http_call *)(void *)call, code);
    }
}

/* --- libcurl's multi handle on the loop ------------------------------------------------------- */

static void client_act(struct http_client *c, curl_socket_t fd, int curl_events) {
    int running;
    CURLMcode code = curl_multi_socket_action(c->multi, fd, curl_events, &running);
    if (code != CURLM_OK)
        log_error("libcurl failed error=%s", curl_multi_strerror(code));
    client_finish_all(c);
}

static void client_on_timer(void *arg) {
    client_act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void client_on_socket(void *arg, uint32_t events) {
    struct watched *w = arg;
    int curl_events = ((events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                      ((events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                      ((events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
    client_act(w->client, w->fd, curl_events); /* `w` may be gone now */
}

static int client_want_timer(CURLM *multi, long timeout_ms, void *arg) {
    (void)multi;
    struct http_client *c = arg;
    if (timeout_ms < 0)
        loop_timer_cancel(c->loop, &c->timer);
    else
        loop_timer_set(c->loop, &c->timer, timeout_ms, client_on_timer, c);
    return 0;
}

static void client_unwatch(struct http_client *c, struct watched *w) {
    loop_unwatch(c->loop, w->fd);
    DL_DELETE(c->watched, w);
    free(w);
}

static int client_want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg) {
    (void)easy;
    struct http_client *c = arg;
    struct watched *w = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL)
            client_unwatch(c, w);
        return 0;
    }
    if (w == NULL) {
        w = mem_zero(sizeof *w);
        w->client = c;
        w->fd = fd;
        DL_APPEND(c->watched, w);
        curl_multi_assign(c->multi, fd, w);
    }
    uint32_t events =
        ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0u) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0u);
    if (!loop_watch(c->loop, fd, events, client_on_socket, w))
        log_error("cannot watch a connection: its call will time out fd=%d error=%m", (int)fd);
    return 0;
}

/* --- the client ------------------------------------------------------------------------------- */

struct http_client *http_client_open(struct loop *loop,
                                     const struct http_client_settings *settings) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return NULL;
    struct http_client *c = mem_zero(sizeof *c);
    c->loop = loop;
    c->ca_file = mem_string(settings->ca_file);
    c->idle_max = (size_t)settings->connections_max;
    c->idle = mem_resize(NULL, c->idle_max, sizeof(CURL *));
    c->multi = curl_multi_init();
    if (c->multi == NULL ||
        curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, client_want_socket) != CURLM_OK ||
        curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c) != CURLM_OK ||
        curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, client_want_timer) != CURLM_OK ||
        curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c) != CURLM_OK ||
        curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)settings->connections_max) !=
            CURLM_OK) {
        http_client_close(c);
        return NULL;
    }
    return c;
}

void http_client_close(struct http_client *c) {
    if (c == NULL)
        return;
    while (c->calls != NULL)
        http_cancel(c->calls);
    for (size_t i = 0; i < c->idle_count; i++)
        curl_easy_cleanup(c->idle[i]);
    curl_multi_cleanup(c->multi);
    while (c->watched != NULL)
        client_unwatch(c, c->watched);
    loop_timer_cancel(c->loop, &c->timer);
    free(c->idle);
    free(c->ca_file);
    free(c);
    curl_global_cleanup();
}

struct http_call *http_start(struct http_client *c, const struct http_request *request,
                             http_done_fn *fn, void *arg) {
    struct http_call *call = mem_zero(sizeof *call);
    call->client = c;
    call->fn = fn;
    call->arg = arg;
    call->easy = client_take_easy(c);
    if (call->easy == NULL || !easy_set_fixed(call->easy) || !call_set_callbacks(call) ||
        !call_set_limits(call, request) || !call_set_url(call, request->url) ||
        !easy_set_method(call->easy, request) || !call_set_headers(call, request) ||
        curl_multi_add_handle(c->multi, call->easy) != CURLM_OK) {
        call_free(call);
        return NULL;
    }
    DL_APPEND(c->calls, call);
    return call;
}

void http_cancel(struct http_call *call) {
    if (call->done)
        return; /* from within its own fn: it is ending anyhow */
    curl_multi_remove_handle(call->client->multi, call->easy);
    DL_DELETE(call->client->calls, call);
    call_free(call);
}
