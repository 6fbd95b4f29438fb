#include "receiver/publisher.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/kafka/record.h"

/* One query under way; freed with its delivery report, which always comes. */
struct flight {
    struct publisher *publisher;
    struct flight *next, *previous; /* of those whose client waits */
    struct loop_timer deadline;
    struct intake intake;
    int64_t since_ms;
    published_fn *fn; /* NULL: its client has been told */
    void *arg;
};

struct publisher {
    struct loop *loop;
    struct producer *producer;
    struct publisher_settings settings;
    struct flight *first;
    size_t waiting;
};

static void join(struct publisher *p, struct flight *f) {
    f->next = p->first;
    if (p->first != NULL)
        p->first->previous = f;
    p->first = f;
    p->waiting++;
}

static void leave(struct publisher *p, struct flight *f) {
    if (f->previous != NULL)
        f->previous->next = f->next;
    else
        p->first = f->next;
    if (f->next != NULL)
        f->next->previous = f->previous;
    p->waiting--;
}

static void tell(struct flight *f, const struct published *what) {
    struct publisher *p = f->publisher;
    published_fn *fn = f->fn;
    if (fn == NULL)
        return;
    f->fn = NULL;
    loop_timer_cancel(p->loop, &f->deadline);
    leave(p, f);
    fn(f->arg, what);
}

static void give_up(void *arg) {
    struct flight *f = arg;
    struct published what = {.outcome = PUBLISH_LATE,
                             .intake = &f->intake,
                             .took_ms = loop_now(f->publisher->loop) - f->since_ms};
    tell(f, &what);
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

static void on_done(void *arg, rd_kafka_resp_err_t err, int32_t partition, int64_t offset) {
    struct flight *f = arg;
    struct publisher *p = f->publisher;
    struct published what = {.outcome = outcome_of(err),
                             .intake = &f->intake,
                             .partition = partition,
                             .offset = offset,
                             .took_ms = loop_now(p->loop) - f->since_ms,
                             .error = err != 0 ? rd_kafka_err2str(err) : NULL};
    /* Before the client is told: it may look its query up at once. */
    if (what.outcome == PUBLISH_ACKED)
        p->settings.in_topic(p->settings.arg, &what);
    tell(f, &what);
    free(f);
}

static rd_kafka_headers_t *make_headers(const struct publication *what) {
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
                                     .headers = make_headers(what)};
    struct flight *f = mem_zero(sizeof *f);
    f->publisher = p;
    f->intake = *in;
    f->since_ms = loop_now(p->loop);
    f->fn = fn;
    f->arg = arg;
    rd_kafka_resp_err_t err = producer_send(p->producer, &record, on_done, f);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (record.headers != NULL)
            rd_kafka_headers_destroy(record.headers);
        free(f);
        return outcome_of(err);
    }
    join(p, f);
    loop_timer_set(p->loop, &f->deadline, p->settings.ack_timeout_ms, give_up, f);
    return PUBLISH_ACKED;
}

void publisher_give_up(struct publisher *p) {
    while (p->first != NULL)
        give_up(p->first);
}

size_t publisher_waiting(const struct publisher *p) {
    return p->waiting;
}

struct publisher *publisher_open(struct loop *loop, struct producer *producer,
                                 const struct publisher_settings *settings) {
    struct publisher *p = mem_zero(sizeof *p);
    p->loop = loop;
    p->producer = producer;
    p->settings = *settings;
    return p;
}

void publisher_close(struct publisher *p) {
    free(p);
}
