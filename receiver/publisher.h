/*
 * Queries on their way into the query topic, each with a deadline of its own.
 *
 * librdkafka looks at its time-outs about once a second, and after a freeze later still; a client
 * waits ACK_TIMEOUT_MS and no longer. A record whose client has been told "not accepted" may
 * arrive all the same: its queryId keeps it from running twice.
 */
#ifndef RECEIVER_PUBLISHER_H
#define RECEIVER_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/producer.h"
#include "receiver/api/intake.h"

struct publisher;

enum publish_outcome {
    PUBLISH_ACKED,     /* all in-sync replicas have it */
    PUBLISH_LATE,      /* no word in time */
    PUBLISH_REFUSED,   /* the broker or the producer took it not */
    PUBLISH_FULL,      /* the producer's queue is full: nothing was sent */
    PUBLISH_TOO_LARGE, /* for good */
};

struct published {
    enum publish_outcome outcome;
    const struct intake *intake; /* borrowed */
    int32_t partition;           /* PUBLISH_ACKED: where it is */
    int64_t offset;
    int64_t took_ms;
    const char *error; /* the producer's words, static; NULL: none */
};

typedef void published_fn(void *arg, const struct published *what);

struct publisher_settings {
    const char *topic;
    int64_t ack_timeout_ms;
    /* For each query that is in the topic, also when its client was told otherwise before. */
    published_fn *in_topic;
    void *arg;
};

struct publisher *publisher_open(struct loop *loop, struct producer *producer,
                                 const struct publisher_settings *settings);
/* After producer_close(), which reports what is under way. */
void publisher_close(struct publisher *p);

struct publication {
    const struct intake *intake;
    const void *body; /* the very bytes that came */
    size_t body_len;
    const char *traceparent, *tracestate; /* NULL: none */
};

/*
 * PUBLISH_ACKED here means: on its way; `fn` is called exactly once, never from within. Any other
 * outcome is the whole outcome, and `fn` is not called.
 */
enum publish_outcome publisher_send(struct publisher *p, const struct publication *what,
                                    published_fn *fn, void *arg);

/* Calls `fn` with PUBLISH_LATE for all that is under way. */
void publisher_give_up(struct publisher *p);
size_t publisher_waiting(const struct publisher *p);

#endif
