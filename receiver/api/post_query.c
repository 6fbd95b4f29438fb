#include "receiver/api/post_query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/model/trace_context.h"
#include "receiver/api/responses.h"
#include "receiver/queue/intake.h"

enum {
    RANDOM_POOL = 4096,
    RETRY_AFTER_S = 1
};

struct post_query {
    struct queued *queued;
    struct metric *metrics;
    const char *query_topic;
    const struct topics *topics; /* NULL: not open yet */
    struct publisher *publisher;
    char stage_prefix[256]; /* "/STAGE" */
    uint8_t random[RANDOM_POOL];
    size_t random_left;
};

static const char *why_not_accepted(enum publish_outcome outcome) {
    switch (outcome) {
    case PUBLISH_LATE:
        return "Kafka did not acknowledge it in time";
    case PUBLISH_FULL:
        return "the queue to Kafka is full";
    case PUBLISH_REFUSED:
    case PUBLISH_SENT:
    case PUBLISH_ACKED:
    case PUBLISH_TOO_LARGE:
    case PUBLISH_OUTCOMES:
        break;
    }
    return "Kafka did not take it";
}

static void post_query_count(struct post_query *p, const struct published *what) {
    static const enum receiver_metric rows[PUBLISH_OUTCOMES] = {
        [PUBLISH_ACKED] = COUNT_ACCEPTED,
        [PUBLISH_LATE] = COUNT_FAILED_LATE,
        [PUBLISH_REFUSED] = COUNT_FAILED_REFUSED,
        [PUBLISH_FULL] = COUNT_FAILED_FULL,
        [PUBLISH_TOO_LARGE] = COUNT_FAILED_TOO_LARGE,
    };
    metric_add(&p->metrics[rows[what->outcome]], 1);
    if (what->outcome == PUBLISH_ACKED)
        metric_observe(&p->metrics[COUNT_ACK_SECONDS], (double)what->took_ms / 1000);
    else if (what->error != NULL)
        log_warn("a query was not accepted: %s", what->error);
}

static void post_query_outcome(struct post_query *p, const struct published *what, bool staged,
                               struct http_response *response) {
    const struct intake *in = what->intake;
    post_query_count(p, what);
    if (what->outcome == PUBLISH_ACKED) {
        struct accepted_query accepted = {.path_prefix = staged ? p->stage_prefix : "",
                                          .user_id = in->user_id,
                                          .query_id = in->query_id,
                                          .topic = p->query_topic,
                                          .partition = what->partition,
                                          .offset = what->offset};
        response_accepted(response, &accepted);
    } else if (what->outcome == PUBLISH_TOO_LARGE) {
        http_response_problem(response, 413,
                              "The query is larger than Kafka takes (max.message.bytes).");
    } else {
        response_not_accepted(response, in->query_id, why_not_accepted(what->outcome),
                              RETRY_AFTER_S);
    }
}

static void post_query_on_published(void *arg, const struct published *what) {
    struct post_query_wait *wait = arg;
    struct http_response response = {0};
    post_query_outcome(wait->owner, what, wait->staged, &response);
    http_respond(wait->request, &response);
}

static void post_query_on_in_topic(void *arg, const struct published *what) {
    struct post_query *p = arg;
    queued_announce(p->queued, what->intake, loop_wall());
}

static const uint8_t *post_query_random(struct post_query *p) {
    if (p->random_left == 0) {
        for (size_t n = 0; n < RANDOM_POOL;) {
            ssize_t got = getrandom(p->random + n, RANDOM_POOL - n, 0);
            n += got > 0 ? (size_t)got : 0; /* fails only when a signal comes first */
        }
        p->random_left = RANDOM_POOL;
    }
    p->random_left -= INTAKE_RANDOM;
    return p->random + p->random_left;
}

static bool post_query_publish(struct post_query *p, const struct intake *in,
                               const struct post_query_trace *trace, struct post_query_wait *wait,
                               struct http_response *response) {
    struct buffer *body = &wait->request->body;
    bool traced = trace->traceparent != NULL && traceparent_valid(trace->traceparent);
    bool stated = traced && trace->tracestate != NULL && tracestate_valid(trace->tracestate);
    struct publication what = {.intake = in,
                               .body = body->data,
                               .body_len = body->len,
                               .traceparent = traced ? trace->traceparent : NULL,
                               .tracestate = stated ? trace->tracestate : NULL};
    struct published done = {.outcome =
                                 publisher_send(p->publisher, &what, post_query_on_published, wait),
                             .intake = in};
    buffer_free(body); /* the producer has a copy */
    if (done.outcome == PUBLISH_SENT)
        return false;
    post_query_outcome(p, &done, wait->staged, response);
    return true;
}

bool post_query_serve(struct post_query *p, struct server_request *r, bool staged,
                      const struct post_query_trace *trace, struct post_query_wait *wait,
                      struct http_response *response) {
    struct intake in;
    char detail[512];
    if (!intake_read(buffer_text(&r->body), r->body.len, post_query_random(p), &in, detail,
                     sizeof detail)) {
        metric_add(&p->metrics[COUNT_MALFORMED], 1);
        http_response_problem(response, 400, detail);
        return true;
    }
    if (p->topics == NULL || !topics_ready(p->topics)) {
        response_not_accepted(response, in.query_id, "Kafka or its topics are not ready",
                              RETRY_AFTER_S);
        return true;
    }
    *wait = (struct post_query_wait){p, r, staged};
    return post_query_publish(p, &in, trace, wait, response);
}

void post_query_set_topics(struct post_query *p, const struct topics *topics) {
    p->topics = topics;
}

void post_query_give_up(struct post_query *p) {
    publisher_give_up(p->publisher);
}

size_t post_query_waiting(const struct post_query *p) {
    return publisher_waiting(p->publisher);
}

struct post_query *post_query_open(const struct post_query_parts *parts) {
    struct post_query *p = mem_zero(sizeof *p);
    const struct names *names = &parts->config->kafka.names;
    p->queued = parts->queued;
    p->metrics = parts->metrics;
    p->query_topic = names->topics[TOPIC_QUERY];
    snprintf(p->stage_prefix, sizeof p->stage_prefix, "/%s", names->stage);
    struct publisher_settings settings = {.topic = names->topics[TOPIC_QUERY],
                                          .ack_timeout_ms = parts->config->ack_timeout_ms,
                                          .in_topic = post_query_on_in_topic,
                                          .arg = p};
    p->publisher = publisher_open(parts->loop, parts->producer, &settings);
    return p;
}

void post_query_close(struct post_query *p) {
    if (p == NULL)
        return;
    publisher_close(p->publisher);
    free(p);
}
