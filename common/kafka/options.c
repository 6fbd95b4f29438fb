#include "common/kafka/options.h"

#define AT(field) offsetof(struct kafka_options, field)

static const struct option rows[] = {
    {"KAFKA_BOOTSTRAP_SERVERS", OPTION_STRING, AT(bootstrap_servers), "localhost:9092",
     "The brokers to begin with, host:port, separated by commas.", 0, 0, NULL},
    {"CREATE_TOPICS", OPTION_BOOL, AT(create_topics), "true",
     "Whether a missing topic is created at start.", 0, 0, NULL},
    {"TOPIC_PARTITIONS", OPTION_INTEGER, AT(topic_partitions), "6",
     "Partitions of a topic that is created.", 1, 10000, NULL},
    {"TOPIC_REPLICATION_FACTOR", OPTION_INTEGER, AT(topic_replication_factor), "-1",
     "Replicas of a topic that is created; -1 takes the broker's default.", -1, 1000, NULL},
};

static void kafka_options_finish(void *part, struct buffer *faults) {
    struct kafka_options *o = part;
    o->msk_iam = kafka_properties_read(&o->properties, faults);
}

static void kafka_options_release(void *part) {
    struct kafka_options *o = part;
    kafka_properties_free(&o->properties);
}

const struct option_table options_kafka = {
    .rows = rows,
    .count = sizeof rows / sizeof *rows,
    .finish = kafka_options_finish,
    .release = kafka_options_release,
    .more_help = "  KAFKA_… (text; default librdkafka's)\n"
                 "      Any property of librdkafka, upper case, `.` as `_`; KAFKA_…_FILE reads the "
                 "value from a file.\n",
};
