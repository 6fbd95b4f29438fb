/*
 * Creates our topics and reads their settings (CreateTopics, DescribeConfigs), in the background:
 * answers come from the loop.
 */
#ifndef COMMON_KAFKA_TOPIC_ADMIN_H
#define COMMON_KAFKA_TOPIC_ADMIN_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "common/base/loop.h"
#include "common/base/must_check.h"
#include "common/kafka/topic_settings.h"

struct topic_admin;

struct topic_admin_events {
    /* Of each topic that was to be created. `reason`: the broker's words for `err`. */
    void (*created)(void *arg, enum topic topic, rd_kafka_resp_err_t err, const char *reason);
    /* Of each topic that was asked about. `found` is NULL where `reason` says why it is not known.
     */
    void (*described)(void *arg, enum topic topic, const struct topic_found *found,
                      const char *reason);
    /* All of the above are out for one question. */
    void (*answered)(void *arg);
    void *arg;
};

/* `rk` and `kafka` are borrowed and must outlive it. NULL: no eventfd (errno). */
MUST_CHECK struct topic_admin *topic_admin_open(struct loop *loop, rd_kafka_t *rk,
                                                const struct kafka_options *kafka,
                                                const struct topic_admin_events *events);
void topic_admin_close(struct topic_admin *a); /* NULL is fine; no event comes any more */
/* A question is under way: ask nothing. */
bool topic_admin_busy(const struct topic_admin *a);

/*
 * `wanted[topic]`: it is to be created, without the settings of the mask `dropped[topic]`
 * (topic_settings_drop()).
 */
void topic_admin_create(struct topic_admin *a, const bool wanted[TOPICS],
                        const unsigned dropped[TOPICS]);
/*
 * `broker`: the id of the broker that is asked. Any knows the settings of topics; left to itself
 * librdkafka waits for the controller, which the stand-in has not.
 */
void topic_admin_describe(struct topic_admin *a, const bool wanted[TOPICS], int32_t broker);

#endif
