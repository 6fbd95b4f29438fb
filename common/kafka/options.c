#include "common/kafka/options.h"

#define AT(field) offsetof(struct kafka_options, field)

static const struct option rows[] = {
    {"KAFKA_BOOTSTRAP_SERVERS", OPTION_STRING, AT(bootstrap_servers), "localhost:9092",
     "The brokers to begin with, host:port, separated by commas.", 0, 0, NULL},
    {"CREATE_TOPICS", OPTION_BOOL, AT(create_topics), "true",
     "Whether a missing topic is created, at start and later.", 0, 0, NULL},
    {"TOPIC_PARTITIONS", OPTION_INTEGER, AT(topic_partitions), "6",
     "Partitions of a topic that is created.", 1, 10000, NULL},
    {"TOPIC_REPLICATION_FACTOR", OPTION_INTEGER, AT(topic_replication_factor), "-1",
     "Replicas of a topic that is created; -1 takes the broker's default.", -1, 1000, NULL},
    {"STATUS_RETENTION_MS", OPTION_INTEGER, AT(status_retention_ms), "2592000000",
     "How long the status topic, where it is created, keeps a state that does not change; -1 = for "
     "ever.",
     -1, INT64_C(315360000000), NULL},
    {"ALLOW_UNSAFE_TOPICS", OPTION_BOOL, AT(allow_unsafe_topics), "false",
     "Whether queries are taken though the query, dead-letter or rejected topic is compacted and "
     "loses some.",
     0, 0, NULL},
};

static const struct option keep_done_rows[] = {
    {"KEEP_DONE_MS", OPTION_INTEGER, AT(keep_done_ms), "604800000",
     "How long records that are done with stay in the query and dead-letter topics; 0 = they are "
     "deleted at once, -1 = never.",
     -1, INT64_C(315360000000), NULL},
};

const struct option_table options_keep_done = {
    .rows = keep_done_rows, .count = sizeof keep_done_rows / sizeof *keep_done_rows};

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
