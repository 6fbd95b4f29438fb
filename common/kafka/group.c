#include "common/kafka/group.h"

#include "common/kafka/handle.h"

enum {
    LEAVE_TIMEOUT_MS = 3000,
    LEAVE_POLL_MS = 10,
};

rd_kafka_conf_t *kafka_group_conf(const struct options_common *common, const char *group) {
    rd_kafka_conf_t *conf = kafka_conf(common);
    kafka_set(conf, "group.id", group);
    kafka_set(conf, "enable.auto.commit", "false");
    kafka_set(conf, "enable.auto.offset.store", "false");
    kafka_set(conf, "auto.offset.reset", "earliest");
    /* Eager: the cooperative assignor of librdkafka has known faults until 2.10. */
    kafka_set(conf, "partition.assignment.strategy", "range,roundrobin");
    /* How long the partitions of a killed member wait for another one. */
    kafka_set_default(conf, common, "session.timeout.ms", "10000");
    return conf;
}

/*
 * Not rd_kafka_consumer_close(): it waits for a commit under way for as long as the broker is
 * silent.
 */
void kafka_group_leave(rd_kafka_t *rk) {
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(rk, queue);
    for (int waited_ms = 0;
         error == NULL && !rd_kafka_consumer_closed(rk) && waited_ms < LEAVE_TIMEOUT_MS;
         waited_ms += LEAVE_POLL_MS) {
        /* A rebalance callback, where there is one, is called from within this poll. */
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, LEAVE_POLL_MS);
        if (event != NULL && rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
            rd_kafka_assign(rk, NULL);
        if (event != NULL)
            rd_kafka_event_destroy(event);
    }
    if (error != NULL)
        rd_kafka_error_destroy(error);
    rd_kafka_queue_destroy(queue);
}
