#include "common/kafka/options.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/kafka/properties.h"

#define AT(field) offsetof(struct options_common, field)

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
    kafka_properties_read(part, faults);
}

static void kafka_options_release(void *part) {
    struct options_common *o = part;
    for (size_t i = 0; i < o->kafka_count; i++) {
        free(o->kafka[i].name);
        mem_wipe_free(o->kafka[i].value, strlen(o->kafka[i].value)); /* may be a password */
    }
    free(o->kafka);
    o->kafka = NULL;
    o->kafka_count = 0;
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
