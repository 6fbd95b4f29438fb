/*
 * What the receiver does with a request: its route, who may send it, and the endpoint that serves
 * it (receiver/api).
 *
 * Between common/base/http/server.h, whose handler it is, and Kafka. All parts stay the caller's.
 */
#ifndef RECEIVER_SERVICE_H
#define RECEIVER_SERVICE_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/base/http/server.h"
#include "common/base/loop.h"
#include "common/kafka/producer.h"
#include "common/kafka/status_reader.h"
#include "common/kafka/topics.h"
#include "common/model/status_view.h"
#include "receiver/auth/access.h"
#include "receiver/config.h"

struct service;

struct service_parts {
    struct loop *loop;
    const struct receiver_config *config;
    struct producer *producer;
    struct status_view *view;
    struct access *access;
};

struct service *service_open(const struct service_parts *parts);
/* After producer_close(), which reports what is under way. */
void service_close(struct service *s);

/* Set once they are open; not owned. Until then a POST gets 503. */
void service_set_kafka(struct service *s, struct topics *topics, struct status_reader *reader);

struct http_handler service_handler(struct service *s);

/* Call when the view has changed: look-ups may have waited for it. */
void service_view_changed(struct service *s);
/* Reads API_KEYS_FILE again; a file with faults leaves the keys as they were. */
void service_reload_keys(struct service *s);
/* Every record that it has to send is acknowledged, or given up. */
bool service_is_drained(const struct service *s);
/* Responds to all that waits: 503. */
void service_give_up(struct service *s);

/* False: `why` gets what is missing, a line each. */
bool service_ready(const struct service *s, struct buffer *why);
/* `server` may be NULL. */
void service_metrics(struct service *s, const struct http_server *server, struct buffer *out);

#endif
