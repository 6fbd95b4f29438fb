/*
 * POST /athena/query: a query into the query topic, a response once it is there.
 *
 * The body is published as it came. 202 waits for the acknowledgement of all in-sync replicas;
 * where that does not come within ACK_TIMEOUT_MS the client gets 503 and posts the same queryId
 * again.
 */
#ifndef RECEIVER_API_POST_QUERY_H
#define RECEIVER_API_POST_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/http/handler.h"
#include "common/base/loop.h"
#include "common/kafka/topics.h"
#include "receiver/api/router.h"
#include "receiver/config.h"
#include "receiver/metrics.h"
#include "receiver/queue/publisher.h"
#include "receiver/queue/queued.h"

struct post_query;

/* All of it stays the caller's. */
struct post_query_parts {
    struct loop *loop;
    const struct receiver_config *config;
    struct producer *producer;
    struct queued *queued;
    struct metric *metrics; /* RECEIVER_METRICS rows */
};

struct post_query *post_query_open(const struct post_query_parts *parts);
/* After producer_close(), which reports what is under way. */
void post_query_close(struct post_query *p);

/* Until then a POST gets 503. */
void post_query_set_topics(struct post_query *p, const struct topics *topics);

/* What a POST keeps until its response; part of the request's state. */
struct post_query_wait {
    struct post_query *owner;
    struct server_request *request;
    bool staged;
};

/* The headers that a POST hands on; NULL: none. */
struct post_query_trace {
    const char *traceparent, *tracestate;
};

/* True: `response` is given. False: http_respond() will be called. */
bool post_query_serve(struct post_query *p, struct server_request *r, bool staged,
                      const struct post_query_trace *trace, struct post_query_wait *wait,
                      struct http_response *response);
/* Responds to all that waits: 503. */
void post_query_give_up(struct post_query *p);
size_t post_query_waiting(const struct post_query *p);

#endif
