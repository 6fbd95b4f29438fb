#include "common/kafka/topic_consumer.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"

static void topic_consumer_on_main(void *arg) {
    struct topic_consumer *c = arg;
    rd_kafka_poll(c->rk, 0);
}

rd_kafka_conf_t *topic_consumer_conf(const struct kafka_options *kafka) {
    rd_kafka_conf_t *conf = kafka_conf(kafka);
    kafka_set(conf, "enable.partition.eof", "true");
    kafka_set(conf, "auto.offset.reset", "earliest");
    /* The end of a partition whose last records are deleted is reported only after this. */
    kafka_set_default(conf, kafka, "fetch.wait.max.ms", "100");
    return conf;
}

struct topic_consumer *topic_consumer_open(struct loop *loop, const struct kafka_options *kafka,
                                           rd_kafka_conf_t *conf, const char *name,
                                           loop_fn *on_records, void *arg, char *error,
                                           size_t error_size) {
    struct topic_consumer *c = mem_zero(sizeof *c);
    c->name = name;
    c->rk = kafka_open(RD_KAFKA_CONSUMER, conf, kafka, &c->owner, error, error_size);
    if (c->rk == NULL) {
        free(c);
        return NULL;
    }
    c->main_queue = rd_kafka_queue_get_main(c->rk);
    c->records = rd_kafka_queue_new(c->rk);
    c->main_wakeup = kafka_wakeup_open(loop, c->main_queue, topic_consumer_on_main, c);
    c->records_wakeup = kafka_wakeup_open(loop, c->records, on_records, arg);
    if (c->main_wakeup == NULL || c->records_wakeup == NULL) {
        snprintf(error, error_size, "no eventfd for a reader of %s", name);
        topic_consumer_close(c);
        return NULL;
    }
    return c;
}

rd_kafka_topic_t *topic_consumer_topic(struct topic_consumer *c) {
    if (c->topic == NULL)
        c->topic = rd_kafka_topic_new(c->rk, c->name, NULL);
    return c->topic;
}

bool topic_consumer_start(struct topic_consumer *c, int32_t partition, int64_t offset) {
    return topic_consumer_topic(c) != NULL &&
           rd_kafka_consume_start_queue(c->topic, partition, offset, c->records) == 0;
}

void topic_consumer_close(struct topic_consumer *c) {
    if (c == NULL)
        return;
    kafka_wakeup_close(c->records_wakeup);
    kafka_wakeup_close(c->main_wakeup);
    rd_kafka_queue_destroy(c->records);
    rd_kafka_queue_destroy(c->main_queue);
    if (c->topic != NULL)
        rd_kafka_topic_destroy(c->topic);
    if (kafka_close(&c->owner, c->rk, 0))
        free(c);
}
