/*
 * The options of every program that speaks to Kafka: the brokers, how topics are created, and the
 * properties of librdkafka.
 */
#ifndef COMMON_KAFKA_OPTIONS_H
#define COMMON_KAFKA_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/options.h"
#include "common/kafka/properties.h"
#include "common/model/names.h"

struct kafka_options {
    struct names names; /* read by options_names, which is a part of its own in a program */
    const char *bootstrap_servers;
    bool create_topics;
    int64_t topic_partitions, topic_replication_factor;
    int64_t status_retention_ms; /* -1: for ever */
    bool allow_unsafe_topics;
    int64_t keep_done_ms; /* -1: for ever; read by options_keep_done */
    struct kafka_properties properties;
    bool msk_iam;          /* KAFKA_SASL_MECHANISM=AWS_MSK_IAM */
    struct kafka_iam *iam; /* borrowed: signs in then; main opens it before any handle */
};

/* KAFKA_BOOTSTRAP_SERVERS, KAFKA_…, CREATE_TOPICS and TOPIC_…, of a struct kafka_options. */
extern const struct option_table options_kafka;
/* KEEP_DONE_MS, of a struct kafka_options, for a program that commits offsets. */
extern const struct option_table options_keep_done;

#endif
