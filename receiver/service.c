#include "receiver/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/model/trace_context.h"
#include "receiver/api/intake.h"
#include "receiver/api/openapi.h"
#include "receiver/api/router.h"
#include "receiver/metrics.h"
#include "receiver/publisher.h"
#include "receiver/queued.h"

enum {
    RANDOM_POOL = 4096,
    RETRY_AFTER_S = 1,
    FAULTS_MAX = 65536
};

/* A look-up that waits for the view to catch up. */
struct look_up {
    struct service *service;
    struct look_up *next, *previous;
    struct loop_timer deadline;
    struct http_request *request;
    struct route route;
};

struct service {
    struct loop *loop;
    const struct config *config;
    struct producer *producer;
    struct status_view *view;
    struct topics *topics;
    struct status_reader *reader;
    struct api_keys *keys;
    struct publisher *publisher;
    struct queued *queued;
    struct look_up *look_ups;
    bool caught_up;
    char stage_prefix[256]; /* "/STAGE" */
    uint8_t random[RANDOM_POOL];
    size_t random_left;
    struct metric metrics[RECEIVER_METRICS];
};

/* --- who may ask ------------------------------------------------------------------------------ */

static bool may_ask(struct service *s, const struct http_request *r, struct answer *answer) {
    if (!r->client_trusted) {
        answer_problem(answer, 403,
                       "A client certificate of the authorities in TLS_CLIENT_CA_FILE is needed.");
        return false;
    }
    if (s->keys == NULL)
        return true;
    struct api_key_answer asked = api_keys_ask(s->keys, r->api_key, loop_now(s->loop));
    switch (asked.verdict) {
    case API_KEY_TAKEN:
        return true;
    case API_KEY_UNKNOWN:
        answer_problem(answer, 401,
                       r->api_key == NULL ? "Send your API key, once, in the header x-api-key."
                                          : "The API key in the header x-api-key is not known.");
        return false;
    case API_KEY_SHUT:
        answer_problem(answer, 403, "This API key may not send requests: its rate is 0.");
        return false;
    case API_KEY_BUSY:
        answer_problem(answer, 429,
                       "This API key has used up its requests per second: wait as Retry-After "
                       "says.");
        answer->retry_after_s = (asked.wait_ms + 999) / 1000;
        return false;
    }
    return false;
}

static bool head(void *arg, struct http_request *r, struct answer *answer) {
    struct service *s = arg;
    struct route route;
    route_find(r->method, r->target, s->config->common.names.stage, &route);
    switch (route.kind) {
    case ROUTE_OPENAPI:
        return true;
    case ROUTE_NOT_FOUND:
        answer_problem(answer, 404,
                       "There is nothing here. Queries are posted to /athena/query and looked up "
                       "at /athena/query/{queryId}; /openapi.json describes it all.");
        return false;
    case ROUTE_WRONG_METHOD:
        answer_problem(answer, 405, "This path takes the methods that Allow names.");
        answer->allow = route.allow;
        return false;
    case ROUTE_MALFORMED:
        answer_problem(answer, 400, route.detail);
        return false;
    case ROUTE_POST_QUERY:
    case ROUTE_LOOK_UP:
        break;
    }
    return may_ask(s, r, answer);
}

/* --- POST ------------------------------------------------------------------------------------- */

static const char *why_not(enum publish_outcome outcome) {
    switch (outcome) {
    case PUBLISH_LATE:
        return "Kafka did not acknowledge it in time";
    case PUBLISH_FULL:
        return "the queue to Kafka is full";
    case PUBLISH_REFUSED:
    case PUBLISH_ACKED:
    case PUBLISH_TOO_LARGE:
        break;
    }
    return "Kafka did not take it";
}

static void count_outcome(struct service *s, const struct published *what) {
    static const enum receiver_metric rows[] = {[PUBLISH_ACKED] = COUNT_ACCEPTED,
                                                [PUBLISH_LATE] = COUNT_FAILED_LATE,
                                                [PUBLISH_REFUSED] = COUNT_FAILED_REFUSED,
                                                [PUBLISH_FULL] = COUNT_FAILED_FULL,
                                                [PUBLISH_TOO_LARGE] = COUNT_FAILED_TOO_LARGE};
    metric_add(&s->metrics[rows[what->outcome]], 1);
    if (what->outcome == PUBLISH_ACKED)
        metric_observe(&s->metrics[COUNT_ACK_SECONDS], (double)what->took_ms / 1000);
    else if (what->error != NULL)
        log_warn("a query was not accepted: %s", what->error);
}

static void answer_outcome(struct service *s, const struct published *what, bool staged,
                           struct answer *answer) {
    const struct intake *in = what->intake;
    count_outcome(s, what);
    if (what->outcome == PUBLISH_ACKED) {
        struct accepted accepted = {.path_prefix = staged ? s->stage_prefix : "",
                                    .user_id = in->user_id,
                                    .query_id = in->query_id,
                                    .topic = s->config->common.names.topics[TOPIC_QUERY],
                                    .partition = what->partition,
                                    .offset = what->offset};
        answer_accepted(answer, &accepted);
    } else if (what->outcome == PUBLISH_TOO_LARGE) {
        answer_problem(answer, 413, "The query is larger than Kafka takes (max.message.bytes).");
    } else {
        answer_not_accepted(answer, in->query_id, why_not(what->outcome), RETRY_AFTER_S);
    }
}

/* What is waited for: freed with the word on it. */
struct waiting_post {
    struct service *service;
    struct http_request *request;
    bool staged;
};

static void on_published(void *arg, const struct published *what) {
    struct waiting_post *w = arg;
    struct answer answer = {0};
    answer_outcome(w->service, what, w->staged, &answer);
    http_answer(w->request, &answer);
    free(w);
}

static void on_in_topic(void *arg, const struct published *what) {
    struct service *s = arg;
    queued_announce(s->queued, what->intake, loop_wall());
}

static const uint8_t *take_random(struct service *s) {
    if (s->random_left == 0) {
        for (size_t n = 0; n < RANDOM_POOL;) {
            ssize_t got = getrandom(s->random + n, RANDOM_POOL - n, 0);
            n += got > 0 ? (size_t)got : 0; /* fails only when a signal comes first */
        }
        s->random_left = RANDOM_POOL;
    }
    s->random_left -= 16;
    return s->random + s->random_left;
}

static bool post(struct service *s, struct http_request *r, bool staged, struct answer *answer) {
    struct intake in;
    char detail[512];
    if (!intake_read(buffer_text(&r->body), r->body.len, take_random(s), &in, detail,
                     sizeof detail)) {
        metric_add(&s->metrics[COUNT_MALFORMED], 1);
        answer_problem(answer, 400, detail);
        return true;
    }
    if (s->topics == NULL || !topics_ready(s->topics)) {
        answer_not_accepted(answer, in.query_id, "Kafka or its topics are not there yet",
                            RETRY_AFTER_S);
        return true;
    }
    bool traced = r->traceparent != NULL && traceparent_valid(r->traceparent);
    bool stated = traced && r->tracestate != NULL && tracestate_valid(r->tracestate);
    struct publication what = {.intake = &in,
                               .body = r->body.data,
                               .body_len = r->body.len,
                               .traceparent = traced ? r->traceparent : NULL,
                               .tracestate = stated ? r->tracestate : NULL};
    struct waiting_post *w = mem_alloc(sizeof *w);
    *w = (struct waiting_post){s, r, staged};
    struct published done = {.outcome = publisher_send(s->publisher, &what, on_published, w),
                             .intake = &in};
    buffer_free(&r->body); /* the producer has a copy */
    if (done.outcome == PUBLISH_ACKED)
        return false;
    free(w);
    answer_outcome(s, &done, staged, answer);
    return true;
}

/* --- look-up ---------------------------------------------------------------------------------- */

static void find(const struct service *s, const struct route *route, struct answer *answer) {
    struct status status;
    if (status_view_find(s->view, route->user_id, route->query_id, &status))
        answer_status(answer, &status);
    else
        answer_problem(answer, 404,
                       "No query of this queryId and userId is known. It may be too old, or "
                       "Kafka may have it only since a moment ago.");
}

static void finish(struct look_up *l, struct answer *answer) {
    struct service *s = l->service;
    loop_timer_cancel(s->loop, &l->deadline);
    if (l->previous != NULL)
        l->previous->next = l->next;
    else
        s->look_ups = l->next;
    if (l->next != NULL)
        l->next->previous = l->previous;
    http_answer(l->request, answer);
    free(l);
}

static void too_early(void *arg) {
    struct answer answer = {0};
    answer_problem(&answer, 503, "The states of the queries are still being read: ask again.");
    answer.retry_after_s = RETRY_AFTER_S;
    finish(arg, &answer);
}

static bool look_up(struct service *s, struct http_request *r, const struct route *route,
                    struct answer *answer) {
    if (s->caught_up) {
        find(s, route, answer);
        return true;
    }
    struct look_up *l = mem_zero(sizeof *l);
    l->service = s;
    l->request = r;
    l->route = *route;
    l->next = s->look_ups;
    if (s->look_ups != NULL)
        s->look_ups->previous = l;
    s->look_ups = l;
    loop_timer_set(s->loop, &l->deadline, s->config->request_timeout_ms, too_early, l);
    return false;
}

void service_view_changed(struct service *s) {
    if (s->caught_up || s->reader == NULL || !status_reader_caught_up(s->reader))
        return;
    s->caught_up = true;
    queued_begin(s->queued);
    while (s->look_ups != NULL) {
        struct answer answer = {0};
        find(s, &s->look_ups->route, &answer);
        finish(s->look_ups, &answer);
    }
}

/* --- the handler ------------------------------------------------------------------------------ */

static bool whole(void *arg, struct http_request *r, struct answer *answer) {
    struct service *s = arg;
    struct route route;
    route_find(r->method, r->target, s->config->common.names.stage, &route);
    switch (route.kind) {
    case ROUTE_POST_QUERY:
        return post(s, r, route.staged, answer);
    case ROUTE_LOOK_UP:
        return look_up(s, r, &route, answer);
    case ROUTE_OPENAPI:
    case ROUTE_NOT_FOUND:
    case ROUTE_WRONG_METHOD:
    case ROUTE_MALFORMED:
        break;
    }
    answer->status = 200; /* head() has refused all others */
    answer->content_type = "application/json";
    buffer_init(&answer->body, strlen(openapi_json));
    buffer_puts(&answer->body, openapi_json);
    return true;
}

static void answered(void *arg, int status, int64_t took_ms) {
    struct service *s = arg;
    receiver_metrics_answer(s->metrics, status);
    log_debug("answered status=%d took_ms=%lld", status, (long long)took_ms);
}

struct http_handler service_handler(struct service *s) {
    return (struct http_handler){head, whole, answered, s};
}

void service_give_up(struct service *s) {
    publisher_give_up(s->publisher);
    while (s->look_ups != NULL)
        too_early(s->look_ups);
}

/* --- keys, readiness, metrics ----------------------------------------------------------------- */

void service_reload_keys(struct service *s) {
    const char *path = s->config->api_keys_file;
    if (path == NULL)
        return;
    struct buffer faults;
    buffer_init(&faults, FAULTS_MAX);
    struct api_keys *keys = api_keys_load(path, &faults);
    if (keys != NULL) {
        api_keys_inherit(keys, s->keys);
        api_keys_free(s->keys);
        s->keys = keys;
        log_info("API keys read again keys=%zu", api_keys_count(keys));
    } else {
        metric_add(&s->metrics[COUNT_KEYS_RELOAD_FAILED], 1);
        log_error("API_KEYS_FILE: the old keys stay, for the file has faults: %.*s",
                  (int)strcspn(buffer_text(&faults), "\n"), buffer_text(&faults));
    }
    buffer_free(&faults);
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
    metric_set(&m[GAUGE_WAITING], (double)publisher_waiting(s->publisher));
    metric_set(&m[GAUGE_PRODUCER_RECORDS], (double)producer_in_flight(s->producer));
    metric_set(&m[GAUGE_VIEW_ENTRIES], (double)status_view_count(s->view));
    metric_set(&m[GAUGE_VIEW_CAUGHT_UP], s->caught_up);
    if (server != NULL) {
        metric_set(&m[GAUGE_REQUESTS], (double)http_server_requests(server));
        metric_set(&m[GAUGE_CONNECTIONS], (double)http_server_connections(server));
    }
    metrics_write(m, RECEIVER_METRICS, out);
}

/* --- the service ------------------------------------------------------------------------------ */

struct service *service_open(const struct service_parts *parts) {
    struct service *s = mem_zero(sizeof *s);
    const struct options_common *common = &parts->config->common;
    s->loop = parts->loop;
    s->config = parts->config;
    s->producer = parts->producer;
    s->view = parts->view;
    s->keys = parts->keys;
    snprintf(s->stage_prefix, sizeof s->stage_prefix, "/%s", common->names.stage);
    receiver_metrics_init(s->metrics);
    struct publisher_settings settings = {.topic = common->names.topics[TOPIC_QUERY],
                                          .ack_timeout_ms = parts->config->ack_timeout_ms,
                                          .in_topic = on_in_topic,
                                          .arg = s};
    s->publisher = publisher_open(s->loop, s->producer, &settings);
    s->queued = queued_open(s->producer, common->names.topics[TOPIC_STATUS], s->view);
    return s;
}

void service_set_kafka(struct service *s, struct topics *topics, struct status_reader *reader) {
    s->topics = topics;
    s->reader = reader;
}

void service_close(struct service *s) {
    if (s == NULL)
        return;
    publisher_close(s->publisher);
    queued_close(s->queued);
    api_keys_free(s->keys);
    free(s);
}
