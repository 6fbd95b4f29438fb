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
    REBUILD_RETRY_MS = 1000,
    WARN_EVERY_MS = 60000,
    COMPRESSED_MAX_BYTES = 64 << 20 /* of a record before it is compressed */
};

/* How records of a handle are put together to a produce request. */
enum producer_mode {
    PRODUCER_BATCHED,
    /* One record a request. A broker that refuses a batch as too large does not say whether a
       record of it is: each is sent once more here or compressed, and only what is refused then is
       too large itself. */
    PRODUCER_ALONE,
    PRODUCER_COMPRESSED, /* one record a request, compressed as well as librdkafka can */
    PRODUCER_MODES
};

struct producer_handle {
    struct kafka_owner owner; /* first: the handle's opaque */
    struct producer *producer;
    enum producer_mode mode;
    rd_kafka_t *rk; /* NULL while it is built anew; all but PRODUCER_BATCHED: until it is needed */
    rd_kafka_queue_t *queue;
    struct kafka_wakeup *wakeup;
    rd_kafka_topic_t **topics; /* owned, in the order of their first use */
    size_t topic_count;
    size_t in_flight;
    struct loop_timer rebuild;
    bool is_left; /* a client of it was left to the end of the process, which uses `owner` */
};

struct producer {
    struct loop *loop;
    const struct kafka_options *common;
    int64_t timeout_ms;
    struct producer_handle handles[PRODUCER_MODES];
    int64_t quiet_until_ms; /* the warning of too large batches is not repeated before */
    bool closing;
};

/* One record on its way: the opaque of the message. */
struct producer_flight {
    struct producer_handle *handle;
    producer_done_fn *fn;
    void *arg;
    bool may_compress;
};

static bool producer_open_handle(struct producer_handle *h, char *error, size_t error_size);
static void producer_close_handle(struct producer_handle *h);
static rd_kafka_resp_err_t producer_produce(struct producer_handle *h,
                                            const struct producer_record *record,
                                            struct producer_flight *f);

/* --- delivery --------------------------------------------------------------------------------- */

/* How a record that was refused as too large is sent next; PRODUCER_MODES: it is too large. */
static enum producer_mode producer_next_mode(const struct producer_flight *f) {
    if (f->may_compress)
        return f->handle->mode == PRODUCER_COMPRESSED ? PRODUCER_MODES : PRODUCER_COMPRESSED;
    return f->handle->mode == PRODUCER_BATCHED ? PRODUCER_ALONE : PRODUCER_MODES;
}

/*
 * MSG_SIZE_TOO_LARGE: it was refused in all modes. As producer_produce(), after any other but
 * NO_ERROR it may be sent later.
 */
static rd_kafka_resp_err_t producer_send_in_next_mode(struct producer_flight *f,
                                                      const struct producer_record *record) {
    struct producer *p = f->handle->producer;
    enum producer_mode mode = producer_next_mode(f);
    char error[512];
    if (mode == PRODUCER_MODES)
        return RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    if (p->closing)
        return RD_KAFKA_RESP_ERR__DESTROY;
    struct producer_handle *h = &p->handles[mode];
    if (h->rk == NULL && h->rebuild.place == 0 && !producer_open_handle(h, error, sizeof error)) {
        log_error("kafka: what is too large for a batch cannot be sent alone: %s", error);
        producer_close_handle(h);
        return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
    }
    return producer_produce(h, record, f);
}

/* NO_ERROR: it is sent once more. Any other is what is to be reported. */
static rd_kafka_resp_err_t producer_send_again(struct producer_flight *f,
                                               const rd_kafka_message_t *message) {
    rd_kafka_timestamp_type_t type;
    struct producer_record record = {.topic = rd_kafka_topic_name(message->rkt),
                                     .timestamp_ms = rd_kafka_message_timestamp(message, &type),
                                     .key = message->key,
                                     .key_len = message->key_len,
                                     .value = message->payload,
                                     .value_len = message->len};
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        record.headers = rd_kafka_headers_copy(headers);
    rd_kafka_resp_err_t err = producer_send_in_next_mode(f, &record);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && record.headers != NULL)
        rd_kafka_headers_destroy(record.headers);
    return err;
}

static void producer_warn_of_size(struct producer *p, const rd_kafka_message_t *message) {
    if (loop_now(p->loop) < p->quiet_until_ms)
        return;
    p->quiet_until_ms = loop_now(p->loop) + WARN_EVERY_MS;
    log_warn(
        "kafka: the broker refused a batch or a record as too large, what is in it is sent again "
        "one by one: topic=%s has a small max.message.bytes or segment.bytes",
        rd_kafka_topic_name(message->rkt));
}

static void producer_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    (void)opaque;
    struct producer_flight *f = message->_private;
    struct producer *p = f->handle->producer;
    f->handle->in_flight--;
    rd_kafka_resp_err_t err = message->err;
    /* The latter is said of a batch that is larger than the topic's segment.bytes. */
    if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
        err == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE) {
        producer_warn_of_size(p, message);
        err = producer_send_again(f, message);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
            return;
    }
    if (f->fn != NULL)
        f->fn(f->arg, err, message->partition, message->offset);
    free(f);
}

static void producer_serve(void *arg) {
    struct producer_handle *h = arg;
    if (h->rk != NULL)
        rd_kafka_poll(h->rk, 0);
}

/* --- handles ---------------------------------------------------------------------------------- */

/* As small as it gets. Not every librdkafka is built with zstd. */
static void producer_configure_compression(rd_kafka_conf_t *conf,
                                           const struct kafka_options *common) {
    char error[256], most[32];
    snprintf(most, sizeof most, "%d", COMPRESSED_MAX_BYTES);
    const char *max_bytes = kafka_property(&common->properties, "message.max.bytes");
    if (max_bytes == NULL || atoll(max_bytes) < COMPRESSED_MAX_BYTES)
        max_bytes = most;
    kafka_set(conf, "message.max.bytes", max_bytes);
    bool has_zstd = rd_kafka_conf_set(conf, "compression.type", "zstd", error, sizeof error) ==
                    RD_KAFKA_CONF_OK;
    if (!has_zstd)
        kafka_set(conf, "compression.type", "gzip");
    kafka_set(conf, "compression.level", has_zstd ? "12" : "9");
}

static rd_kafka_conf_t *producer_configure(const struct producer_handle *h) {
    const struct producer *p = h->producer;
    rd_kafka_conf_t *conf = kafka_conf(p->common);
    char timeout[32];
    snprintf(timeout, sizeof timeout, "%lld", (long long)p->timeout_ms);
    kafka_set(conf, "enable.idempotence", "true");
    kafka_set(conf, "acks", "all");
    kafka_set(conf, "message.timeout.ms", timeout);
    kafka_set_default(conf, p->common, "linger.ms", "1");
    /* Java's: a key finds the partition that every other client puts it in. */
    kafka_set_default(conf, p->common, "partitioner", "murmur2_random");
    if (h->mode != PRODUCER_BATCHED)
        kafka_set(conf, "batch.num.messages", "1");
    if (h->mode == PRODUCER_COMPRESSED)
        producer_configure_compression(conf, p->common);
    rd_kafka_conf_set_dr_msg_cb(conf, producer_on_delivery);
    return conf;
}

static bool producer_open_handle(struct producer_handle *h, char *error, size_t error_size) {
    struct producer *p = h->producer;
    h->rk = kafka_open(RD_KAFKA_PRODUCER, producer_configure(h), p->common, &h->owner, error,
                       error_size);
    if (h->rk == NULL)
        return false;
    h->queue = rd_kafka_queue_get_main(h->rk);
    h->wakeup = kafka_wakeup_open(p->loop, h->queue, producer_serve, h);
    if (h->wakeup == NULL)
        snprintf(error, error_size, "eventfd: %s", strerror(errno));
    return h->wakeup != NULL;
}

/* Every record in flight is reported before the handle is destroyed: as failed, if need be. */
static void producer_close_handle(struct producer_handle *h) {
    rd_kafka_t *rk = h->rk;
    if (rk == NULL)
        return;
    h->rk = NULL; /* what is sent from within a report gets _QUEUE_FULL */
    rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    for (int waited_ms = 0; h->in_flight > 0 && waited_ms < PURGE_TIMEOUT_MS; waited_ms += 10)
        rd_kafka_poll(rk, 10);
    kafka_wakeup_close(h->wakeup);
    h->wakeup = NULL;
    if (h->queue != NULL)
        rd_kafka_queue_destroy(h->queue);
    h->queue = NULL;
    for (size_t i = 0; i < h->topic_count; i++)
        rd_kafka_topic_destroy(h->topics[i]);
    h->topic_count = 0;
    h->is_left |= !kafka_close(&h->owner, rk, 0);
}

static void producer_rebuild(void *arg) {
    struct producer_handle *h = arg;
    char error[512];
    producer_close_handle(h);
    if (producer_open_handle(h, error, sizeof error)) {
        log_warn("kafka: the producer was built anew");
        return;
    }
    log_error("kafka: the producer cannot be built anew: %s", error);
    loop_timer_set(h->producer->loop, &h->rebuild, REBUILD_RETRY_MS, producer_rebuild, h);
}

/* From within a poll of the handle, which must not be destroyed there. */
static void producer_on_fatal(struct kafka_owner *owner) {
    struct producer_handle *h = (struct producer_handle *)(void *)owner;
    if (!h->producer->closing)
        loop_timer_set(h->producer->loop, &h->rebuild, 0, producer_rebuild, h);
}

struct producer *producer_open(struct loop *loop, const struct kafka_options *common,
                               int64_t timeout_ms, char *error, size_t error_size) {
    struct producer *p = mem_zero(sizeof *p);
    p->loop = loop;
    p->common = common;
    p->timeout_ms = timeout_ms;
    for (int mode = 0; mode < PRODUCER_MODES; mode++) {
        p->handles[mode].owner.fatal = producer_on_fatal;
        p->handles[mode].producer = p;
        p->handles[mode].mode = (enum producer_mode)mode;
    }
    if (!producer_open_handle(&p->handles[PRODUCER_BATCHED], error, error_size)) {
        producer_close(p);
        return NULL;
    }
    return p;
}

void producer_close(struct producer *p) {
    if (p == NULL)
        return;
    p->closing = true;
    bool is_left = false;
    for (int mode = 0; mode < PRODUCER_MODES; mode++) {
        loop_timer_cancel(p->loop, &p->handles[mode].rebuild);
        producer_close_handle(&p->handles[mode]);
        free(p->handles[mode].topics);
        is_left |= p->handles[mode].is_left;
    }
    if (!is_left)
        free(p);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* NULL: librdkafka does not take the name. */
static rd_kafka_topic_t *producer_topic(struct producer_handle *h, const char *name) {
    for (size_t i = 0; i < h->topic_count; i++)
        if (strcmp(rd_kafka_topic_name(h->topics[i]), name) == 0)
            return h->topics[i];
    rd_kafka_topic_t *topic = rd_kafka_topic_new(h->rk, name, NULL);
    if (topic == NULL)
        return NULL;
    h->topics = mem_resize(h->topics, h->topic_count + 1, sizeof(rd_kafka_topic_t *));
    return h->topics[h->topic_count++] = topic;
}

/* On success `f` is the report's and the headers are the producer's; else both are the caller's. */
static rd_kafka_resp_err_t producer_produce(struct producer_handle *h,
                                            const struct producer_record *record,
                                            struct producer_flight *f) {
    if (h->rk == NULL)
        return RD_KAFKA_RESP_ERR__QUEUE_FULL;
    rd_kafka_topic_t *topic = producer_topic(h, record->topic);
    if (topic == NULL)
        return RD_KAFKA_RESP_ERR__INVALID_ARG;
    struct producer_handle *before = f->handle;
    f->handle = h;
    rd_kafka_vu_t vus[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)record->key, record->key_len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)record->value, record->value_len}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = f},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = record->headers},
    };
    size_t count = sizeof vus / sizeof *vus - (record->headers == NULL);
    rd_kafka_error_t *error = rd_kafka_produceva(h->rk, vus, count);
    if (error != NULL) {
        rd_kafka_resp_err_t code = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        f->handle = before;
        return code;
    }
    h->in_flight++;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t producer_send(struct producer *p, const struct producer_record *record,
                                  producer_done_fn *fn, void *arg) {
    struct producer_handle *h = &p->handles[PRODUCER_BATCHED];
    struct producer_flight *f = mem_alloc(sizeof *f);
    *f = (struct producer_flight){h, fn, arg, record->may_compress};
    rd_kafka_resp_err_t err = producer_produce(h, record, f);
    if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && record->may_compress)
        err = producer_send_in_next_mode(f, record);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        free(f);
    return err;
}

size_t producer_in_flight(const struct producer *p) {
    size_t in_flight = 0;
    for (int mode = 0; mode < PRODUCER_MODES; mode++)
        in_flight += p->handles[mode].in_flight;
    return in_flight;
}

bool producer_up(const struct producer *p) {
    const struct producer_handle *h = &p->handles[PRODUCER_BATCHED];
    return h->rk != NULL && h->owner.health.up;
}

void producer_describe_down(const struct producer *p, struct buffer *why) {
    kafka_describe_down(&p->handles[PRODUCER_BATCHED].owner, why);
}
