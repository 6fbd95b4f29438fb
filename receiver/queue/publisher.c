#include "receiver/queue/publisher.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/memory.h"
#include "common/base/pool.h"
#include "common/kafka/record.h"

enum {
    FLIGHTS_KEPT = 1024
};

/* One query under way; freed with its delivery report, which always comes. */
struct publisher_flight {
    struct publisher *publisher;
    TAILQ_ENTRY(publisher_flight) entry; /* in `waiting` until it is reported */
    struct loop_timer deadline;
    struct intake intake;
    int64_t since_ms;
    published_fn *fn; /* NULL: it was reported */
    void *arg;
};

TAILQ_HEAD(flight_list, publisher_flight);

struct publisher {
    struct loop *loop;
    struct producer *producer;
    struct publisher_settings settings;
    struct flight_list waiting; /* those whose client waits */
    size_t waiting_count;
    struct pool flights;
};

static void flight_report(struct publisher_flight *f, const struct published *what) {
    struct publisher *p = f->publisher;
    published_fn *fn = f->fn;
    if (fn == NULL)
        return;
    f->fn = NULL;
    loop_timer_cancel(p->loop, &f->deadline);
    TAILQ_REMOVE(&p->waiting, f, entry);
    p->waiting_count--;
    fn(f->arg, what);
}

static void flight_give_up(void *arg) {
    struct publisher_flight *f = arg;
    struct published what = {.outcome = PUBLISH_LATE,
                             .intake = &f->intake,
                             .took_ms = loop_now(f->publisher->loop) - f->since_ms};
    flight_report(f, &what);
}

static enum publish_outcome outcome_of(rd_kafka_resp_err_t err) {
    switch (err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return PUBLISH_ACKED;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return PUBLISH_FULL;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return PUBLISH_TOO_LARGE;
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
        return PUBLISH_LATE;
    default:
        return PUBLISH_REFUSED;
    }
}

static void flight_on_delivered(void *arg, rd_kafka_resp_err_t err, int32_t partition,
                                int64_t offset) {
    struct publisher_flight *f = arg;
    struct publisher *p = f->publisher;
    struct published what = {.outcome = outcome_of(err),
                             .intake = &f->intake,
                             .partition = partition,
                             .offset = offset,
                             .took_ms = loop_now(p->loop) - f->since_ms,
                             .error = err != 0 ? rd_kafka_err2str(err) : NULL};
    /* Before the response: the client may look its query up at once. */
    if (what.outcome == PUBLISH_ACKED)
        p->settings.in_topic(p->settings.arg, &what);
    flight_report(f, &what);
    pool_return(&p->flights, f);
}

static rd_kafka_headers_t *publication_headers(const struct publication *what) {
    struct record_header set[3];
    size_t count = 0;
    if (what->intake->given)
        set[count++] = (struct record_header){HEADER_QUERY_ID, what->intake->query_id};
    if (what->traceparent != NULL)
        set[count++] = (struct record_header){HEADER_TRACEPARENT, what->traceparent};
    if (what->tracestate != NULL)
        set[count++] = (struct record_header){HEADER_TRACESTATE, what->tracestate};
    return count > 0 ? record_headers_copy(NULL, set, count) : NULL;
}

enum publish_outcome publisher_send(struct publisher *p, const struct publication *what,
                                    published_fn *fn, void *arg) {
    const struct intake *in = what->intake;
    const char *key = in->user_id[0] != '\0' ? in->user_id : in->query_id;
    struct producer_record record = {.topic = p->settings.topic,
                                     .key = key,
                                     .key_len = strlen(key),
                                     .value = what->body,
                                     .value_len = what->body_len,
                                     .headers = publication_headers(what)};
    struct publisher_flight *f = pool_take(&p->flights);
    f->publisher = p;
    f->intake = *in;
    f->since_ms = loop_now(p->loop);
    f->fn = fn;
    f->arg = arg;
    rd_kafka_resp_err_t err = producer_send(p->producer, &record, flight_on_delivered, f);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (record.headers != NULL)
            rd_kafka_headers_destroy(record.headers);
        pool_return(&p->flights, f);
        return outcome_of(err);
    }
    TAILQ_INSERT_TAIL(&p->waiting, f, entry);
    p->waiting_count++;
    loop_timer_set(p->loop, &f->deadline, p->settings.ack_timeout_ms, flight_give_up, f);
    return PUBLISH_SENT;
}

void publisher_give_up(struct publisher *p) {
    while (!TAILQ_EMPTY(&p->waiting))
        flight_give_up(TAILQ_FIRST(&p->waiting));
}

size_t publisher_waiting(const struct publisher *p) {
    return p->waiting_count;
}

struct publisher *publisher_open(struct loop *loop, struct producer *producer,
                                 const struct publisher_settings *settings) {
    struct publisher *p = mem_zero(sizeof *p);
    p->loop = loop;
    p->producer = producer;
    p->settings = *settings;
    p->flights = (struct pool){.size = sizeof(struct publisher_flight), .kept_max = FLIGHTS_KEPT};
    TAILQ_INIT(&p->waiting);
    return p;
}

void publisher_close(struct publisher *p) {
    pool_free(&p->flights);
    free(p);
}
