/*
 * Queries on their way into the query topic, each with a deadline of its own.
 *
 * librdkafka checks its time-outs about once a second, and later where the process was stopped for
 * a while; a client waits ACK_TIMEOUT_MS and no longer. A record whose client got "not accepted"
 * may reach the topic all the same: its queryId keeps it from running twice.
 */
#ifndef RECEIVER_QUEUE_PUBLISHER_H
#define RECEIVER_QUEUE_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/producer.h"
#include "receiver/queue/intake.h"

struct publisher;

enum publish_outcome {
    PUBLISH_SENT,      /* on its way: the producer has a copy */
    PUBLISH_ACKED,     /* all in-sync replicas have it */
    PUBLISH_LATE,      /* not acknowledged in time */
    PUBLISH_REFUSED,   /* by the broker or the producer */
    PUBLISH_FULL,      /* the producer's queue is full: nothing was sent */
    PUBLISH_TOO_LARGE, /* for the broker or the producer; sending it again does not help */
    PUBLISH_OUTCOMES
};

struct published {
    enum publish_outcome outcome;
    const struct intake *intake; /* borrowed */
    int32_t partition;           /* PUBLISH_ACKED: where it is */
    int64_t offset;
    int64_t took_ms;
    const char *error; /* librdkafka's, static; NULL: none */
};

typedef void published_fn(void *arg, const struct published *what);

struct publisher_settings {
    const char *topic;
    int64_t ack_timeout_ms;
    /* For each query that is in the topic, also where its client got "not accepted" before. */
    published_fn *in_topic;
    void *arg;
};

struct publisher *publisher_open(struct loop *loop, struct producer *producer,
                                 const struct publisher_settings *settings);
/* After producer_close(), which reports what is under way. */
void publisher_close(struct publisher *p);

struct publication {
    const struct intake *intake;
    const void *body; /* as it was received */
    size_t body_len;
    const char *traceparent, *tracestate; /* NULL: none */
};

/*
 * PUBLISH_SENT: `fn` will be called exactly once, never from within. Any other outcome is final,
 * and `fn` is not called.
 */
enum publish_outcome publisher_send(struct publisher *p, const struct publication *what,
                                    published_fn *fn, void *arg);

/* Calls `fn` with PUBLISH_LATE for all that is under way. */
void publisher_give_up(struct publisher *p);
size_t publisher_waiting(const struct publisher *p);

#endif
