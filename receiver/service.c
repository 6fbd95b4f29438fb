#include "receiver/service.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "receiver/api/look_up.h"
#include "receiver/api/openapi.h"
#include "receiver/api/post_query.h"
#include "receiver/api/router.h"
#include "receiver/metrics.h"
#include "receiver/queue/queued.h"

struct service {
    struct loop *loop;
    const struct receiver_config *config;
    struct producer *producer;
    struct status_view *view;
    struct access *access;
    struct topics *topics;
    struct status_reader *reader;
    struct queued *queued;
    struct post_query *post_query;
    struct look_ups *look_ups;
    bool caught_up; /* the view, with the status topic */
    struct metric metrics[RECEIVER_METRICS];
};

/* The headers that are read. */
enum request_header {
    REQUEST_API_KEY,
    REQUEST_TRACEPARENT,
    REQUEST_TRACESTATE,
    REQUEST_HEADERS
};

static const char *const header_names[REQUEST_HEADERS] = {
    [REQUEST_API_KEY] = "x-api-key",
    [REQUEST_TRACEPARENT] = "traceparent",
    [REQUEST_TRACESTATE] = "tracestate",
};

_Static_assert((int)REQUEST_HEADERS <= (int)HTTP_HEADERS_MAX, "a request has room for them");

/* What the service keeps of a request, from its head to its response. */
struct service_request {
    struct route route;
    union {
        struct post_query_wait post_query;
        struct look_up_wait look_up;
    } wait;
};

/* --- the endpoints ---------------------------------------------------------------------------- */

/* True: `response` is given. False: http_respond() will be called. */
typedef bool serve_fn(struct service *s, struct server_request *r, struct http_response *response);

static bool serve_post_query(struct service *s, struct server_request *r,
                             struct http_response *response) {
    struct service_request *own = r->state;
    struct post_query_trace trace = {r->headers[REQUEST_TRACEPARENT],
                                     r->headers[REQUEST_TRACESTATE]};
    return post_query_serve(s->post_query, r, own->route.staged, &trace, &own->wait.post_query,
                            response);
}

static bool serve_look_up(struct service *s, struct server_request *r,
                          struct http_response *response) {
    struct service_request *own = r->state;
    return look_up_serve(s->look_ups, r, &own->route, &own->wait.look_up, response);
}

static bool serve_openapi(struct service *s, struct server_request *r,
                          struct http_response *response) {
    (void)s;
    (void)r;
    response_openapi(response);
    return true;
}

static const struct endpoint {
    serve_fn *serve; /* NULL: the route is refused */
    bool is_open;    /* to clients without a key or certificate, too */
} endpoints[ROUTE_KINDS] = {
    [ROUTE_POST_QUERY] = {.serve = serve_post_query},
    [ROUTE_LOOK_UP] = {.serve = serve_look_up},
    [ROUTE_OPENAPI] = {.serve = serve_openapi, .is_open = true},
};

/* --- the handler ------------------------------------------------------------------------------ */

static void service_refuse(const struct route *route, struct http_response *response) {
    switch (route->kind) {
    case ROUTE_NOT_FOUND:
        http_response_problem(
            response, 404,
            "There is nothing here. Queries are posted to /athena/query and looked up "
            "at /athena/query/{queryId}; /openapi.json describes it all.");
        break;
    case ROUTE_WRONG_METHOD:
        http_response_problem(response, 405, "This path takes the methods that Allow names.");
        response->allow = route->allow;
        break;
    case ROUTE_MALFORMED:
        http_response_problem(response, 400, route->detail);
        break;
    case ROUTE_POST_QUERY:
    case ROUTE_LOOK_UP:
    case ROUTE_OPENAPI:
    case ROUTE_KINDS:
        break;
    }
}

static bool service_on_head(void *arg, struct server_request *r, struct http_response *response) {
    struct service *s = arg;
    struct service_request *own = r->state;
    route_find(r->method, r->target, s->config->kafka.names.stage, &own->route);
    const struct endpoint *endpoint = &endpoints[own->route.kind];
    if (endpoint->serve == NULL) {
        service_refuse(&own->route, response);
        return false;
    }
    struct access_request who = {r->client_trusted, r->headers[REQUEST_API_KEY]};
    return endpoint->is_open || access_allows(s->access, &who, loop_now(s->loop), response);
}

static bool service_on_whole(void *arg, struct server_request *r, struct http_response *response) {
    const struct service_request *own = r->state;
    return endpoints[own->route.kind].serve(arg, r, response);
}

static void service_on_responded(void *arg, int status, int64_t took_ms) {
    struct service *s = arg;
    receiver_metrics_response(s->metrics, status);
    log_debug("responded status=%d took_ms=%lld", status, (long long)took_ms);
}

struct http_handler service_handler(struct service *s) {
    return (struct http_handler){.header_names = header_names,
                                 .header_count = REQUEST_HEADERS,
                                 .state_size = sizeof(struct service_request),
                                 .head = service_on_head,
                                 .whole = service_on_whole,
                                 .responded = service_on_responded,
                                 .arg = s};
}

void service_give_up(struct service *s) {
    post_query_give_up(s->post_query);
    look_ups_give_up(s->look_ups);
}

bool service_is_drained(const struct service *s) {
    return !queued_holds(s->queued) && producer_in_flight(s->producer) == 0;
}

/* --- the view, keys, readiness, metrics ------------------------------------------------------- */

void service_view_changed(struct service *s) {
    if (s->caught_up || s->reader == NULL || !status_reader_caught_up(s->reader))
        return;
    s->caught_up = true;
    queued_begin(s->queued);
    look_ups_begin(s->look_ups);
}

void service_reload_keys(struct service *s) {
    if (!access_reload(s->access))
        metric_add(&s->metrics[COUNT_KEYS_RELOAD_FAILED], 1);
}

bool service_ready(const struct service *s, struct buffer *why) {
    size_t before = why->len;
    if (s->topics == NULL)
        buffer_puts(why, "starting\n");
    else if (!topics_ready(s->topics))
        topics_describe_missing(s->topics, why);
    else if (!producer_up(s->producer))
        producer_describe_down(s->producer, why);
    return why->len == before;
}

void service_metrics(struct service *s, const struct http_server *server, struct buffer *out) {
    struct metric *m = s->metrics;
    m[COUNT_QUEUED_WRITTEN].value = (double)queued_written(s->queued);
    metric_set(&m[GAUGE_WAITING], (double)post_query_waiting(s->post_query));
    metric_set(&m[GAUGE_PRODUCER_RECORDS], (double)producer_in_flight(s->producer));
    metric_set(&m[GAUGE_VIEW_ENTRIES], (double)status_view_count(s->view));
    metric_set(&m[GAUGE_VIEW_CAUGHT_UP], s->caught_up);
    if (server != NULL) {
        metric_set(&m[GAUGE_REQUESTS], (double)http_server_requests(server));
        metric_set(&m[GAUGE_CONNECTIONS], (double)http_server_connections(server));
    }
    metrics_write(m, RECEIVER_METRICS, out);
    if (s->topics != NULL)
        topics_write_metrics(s->topics, out);
}

/* --- opening and closing ---------------------------------------------------------------------- */

struct service *service_open(const struct service_parts *parts) {
    struct service *s = mem_zero(sizeof *s);
    const struct receiver_config *config = parts->config;
    s->loop = parts->loop;
    s->config = config;
    s->producer = parts->producer;
    s->view = parts->view;
    s->access = parts->access;
    receiver_metrics_init(s->metrics);
    s->queued =
        queued_open(s->loop, s->producer, config->kafka.names.topics[TOPIC_STATUS], s->view);
    struct post_query_parts post_query = {s->loop, config, s->producer, s->queued, s->metrics};
    s->post_query = post_query_open(&post_query);
    s->look_ups = look_ups_open(s->loop, s->view, config->request_timeout_ms);
    return s;
}

static bool service_is_own(void *arg, const void *value, size_t n) {
    return queued_is_own(arg, value, n);
}

void service_set_kafka(struct service *s, struct topics *topics, struct status_reader *reader) {
    s->topics = topics;
    s->reader = reader;
    post_query_set_topics(s->post_query, topics);
    status_reader_skip_own(reader, service_is_own, s->queued);
}

void service_close(struct service *s) {
    if (s == NULL)
        return;
    post_query_close(s->post_query);
    look_ups_close(s->look_ups);
    queued_close(s->queued);
    free(s);
}
