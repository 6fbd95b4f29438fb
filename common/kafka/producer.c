#include "common/kafka/producer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/handle.h"
#include "common/kafka/wakeup.h"

enum {
    PURGE_TIMEOUT_MS = 2000,
    REBUILD_RETRY_MS = 1000
};

struct producer {
    struct kafka_owner owner; /* first: the handle's opaque */
    struct loop *loop;
    const struct kafka_options *kafka;
    int64_t timeout_ms;
    rd_kafka_t *rk; /* NULL while it is built anew */
    rd_kafka_queue_t *queue;
    struct kafka_wakeup *wakeup;
    rd_kafka_topic_t **topics; /* owned, in the order of their first use */
    size_t topic_count;
    size_t in_flight;
    struct loop_timer rebuild;
    bool closing;
};

/* One record on its way: the opaque of the message. */
struct producer_flight {
    struct producer *producer;
    producer_done_fn *fn;
    void *arg;
};

static void producer_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    (void)opaque;
    struct producer_flight *f = message->_private;
    f->producer->in_flight--;
    if (f->fn != NULL)
        f->fn(f->arg, message->err, message->partition, message->offset);
    free(f);
}

static void producer_serve(void *arg) {
    struct producer *p = arg;
    if (p->rk != NULL)
        rd_kafka_poll(p->rk, 0);
}

static bool producer_open_handle(struct producer *p, char *error, size_t error_size) {
    rd_kafka_conf_t *conf = kafka_conf(p->kafka);
    char timeout[32];
    snprintf(timeout, sizeof timeout, "%lld", (long long)p->timeout_ms);
    kafka_set(conf, "enable.idempotence", "true");
    kafka_set(conf, "acks", "all");
    kafka_set(conf, "message.timeout.ms", timeout);
    kafka_set_default(conf, p->kafka, "linger.ms", "1");
    /* Java's: a key finds the partition that every other client puts it in. */
    kafka_set_default(conf, p->kafka, "partitioner", "murmur2_random");
    rd_kafka_conf_set_dr_msg_cb(conf, producer_on_delivery);
    p->rk = kafka_open(RD_KAFKA_PRODUCER, conf, p->kafka, &p->owner, error, error_size);
    if (p->rk == NULL)
        return false;
    p->queue = rd_kafka_queue_get_main(p->rk);
    p->wakeup = kafka_wakeup_open(p->loop, p->queue, producer_serve, p);
    if (p->wakeup == NULL)
        snprintf(error, error_size, "eventfd: %s", strerror(errno));
    return p->wakeup != NULL;
}

/* Every record in flight is reported before the handle is destroyed: as failed, if need be. */
static void producer_close_handle(struct producer *p) {
    rd_kafka_t *rk = p->rk;
    if (rk == NULL)
        return;
    p->rk = NULL; /* what is sent from within a report gets _QUEUE_FULL */
    rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    for (int waited_ms = 0; p->in_flight > 0 && waited_ms < PURGE_TIMEOUT_MS; waited_ms += 10)
        rd_kafka_poll(rk, 10);
    kafka_wakeup_close(p->wakeup);
    p->wakeup = NULL;
    if (p->queue != NULL)
        rd_kafka_queue_destroy(p->queue);
    p->queue = NULL;
    for (size_t i = 0; i < p->topic_count; i++)
        rd_kafka_topic_destroy(p->topics[i]);
    p->topic_count = 0;
    kafka_close(&p->owner, rk, 0);
}

static void producer_rebuild(void *arg) {
    struct producer *p = arg;
    char error[512];
    producer_close_handle(p);
    if (producer_open_handle(p, error, sizeof error)) {
        log_warn("kafka: the producer was built anew");
        return;
    }
    log_error("kafka: the producer cannot be built anew: %s", error);
    loop_timer_set(p->loop, &p->rebuild, REBUILD_RETRY_MS, producer_rebuild, p);
}

/* From within a poll of the handle, which must not be destroyed there. */
static void producer_on_fatal(struct kafka_owner *owner) {
    struct producer *p = (struct producer *)(void *)owner;
    if (!p->closing)
        loop_timer_set(p->loop, &p->rebuild, 0, producer_rebuild, p);
}

struct producer *producer_open(struct loop *loop, const struct kafka_options *kafka,
                               int64_t timeout_ms, char *error, size_t error_size) {
    struct producer *p = mem_zero(sizeof *p);
    p->owner.fatal = producer_on_fatal;
    p->loop = loop;
    p->kafka = kafka;
    p->timeout_ms = timeout_ms;
    if (!producer_open_handle(p, error, error_size)) {
        producer_close(p);
        return NULL;
    }
    return p;
}

void producer_close(struct producer *p) {
    if (p == NULL)
        return;
    p->closing = true;
    loop_timer_cancel(p->loop, &p->rebuild);
    producer_close_handle(p);
    free(p->topics);
    free(p);
}

/* NULL: librdkafka does not take the name. */
static rd_kafka_topic_t *producer_topic(struct producer *p, const char *name) {
    for (size_t i = 0; i < p->topic_count; i++)
        if (strcmp(rd_kafka_topic_name(p->topics[i]), name) == 0)
            return p->topics[i];
    rd_kafka_topic_t *topic = rd_kafka_topic_new(p->rk, name, NULL);
    if (topic == NULL)
        return NULL;
    p->topics = mem_resize(p->topics, p->topic_count + 1, sizeof(rd_kafka_topic_t *));
    return p->topics[p->topic_count++] = topic;
}

rd_kafka_resp_err_t producer_send(struct producer *p, const struct producer_record *record,
                                  producer_done_fn *fn, void *arg) {
    if (p->rk == NULL)
        return RD_KAFKA_RESP_ERR__QUEUE_FULL;
    rd_kafka_topic_t *topic = producer_topic(p, record->topic);
    if (topic == NULL)
        return RD_KAFKA_RESP_ERR__INVALID_ARG;
    struct producer_flight *f = mem_alloc(sizeof *f);
    *f = (struct producer_flight){p, fn, arg};
    rd_kafka_vu_t vus[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)record->key, record->key_len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)record->value, record->value_len}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = f},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = record->headers},
    };
    size_t count = sizeof vus / sizeof *vus - (record->headers == NULL);
    rd_kafka_error_t *error = rd_kafka_produceva(p->rk, vus, count);
    if (error != NULL) {
        rd_kafka_resp_err_t code = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        free(f);
        return code;
    }
    p->in_flight++;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

size_t producer_in_flight(const struct producer *p) {
    return p->in_flight;
}

bool producer_up(const struct producer *p) {
    return p->rk != NULL && p->owner.health.up;
}

void producer_describe_down(const struct producer *p, struct buffer *why) {
    kafka_describe_down(&p->owner, why);
}
