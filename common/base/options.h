/*
 * The configuration of a program, from one table.
 *
 * A row says all there is to know of an option: it drives parsing, --help, --check-config and the
 * README's table (tests/system/test_options.py holds the README to --help). Rows named `--x` are
 * of the command line (all but OPTION_FLAG take the next argument or what follows `=`), all others
 * are environment variables. A variable that is set to the empty string is as good as not set.
 */
#ifndef COMMON_BASE_OPTIONS_H
#define COMMON_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

enum option_type {
    OPTION_STRING,  /* const char *, NULL where neither set nor with a default */
    OPTION_INTEGER, /* int64_t, within [min, max] */
    OPTION_SHARE,   /* double, 0 to 1 */
    OPTION_BOOL,    /* bool: true/false, on/off, yes/no, 1/0 */
    OPTION_CHOICE,  /* int: the index of the word within `choices` */
    OPTION_ADDRESS, /* const char *: host:port, port 0 to 65535, IPv6 in brackets */
    OPTION_FLAG,    /* bool: given on the command line, without a value */
};

struct option {
    const char *name;
    enum option_type type;
    size_t at;            /* offsetof(struct …, field) in the program's configuration */
    const char *fallback; /* as text, NULL: none */
    const char *meaning;  /* one sentence for --help and the README */
    int64_t min, max;     /* OPTION_INTEGER */
    const char *choices;  /* OPTION_CHOICE: "text|json" */
};

/* One property of librdkafka, from a KAFKA_… variable. */
struct kafka_property {
    char *name, *value; /* owned */
};

/*
 * What every program has. The first member of each program's own configuration must be a
 * `struct options_common common`, so that one table of rows fits them all.
 */
struct options_common {
    int log_level;  /* enum log_level */
    int log_format; /* enum log_format */
    const char *stage;
    const char *bootstrap_servers;
    const char *query_topic, *deadletter_topic, *rejected_topic, *status_topic;
    const char *quota_topic; /* NULL: this program has no use for it */
    bool create_topics;
    int64_t topic_partitions, topic_replication_factor;
    const char *admin_listen;
    int64_t drain_timeout_ms;
    struct kafka_property *kafka; /* owned */
    size_t kafka_count;
    bool msk_iam;          /* KAFKA_SASL_MECHANISM=AWS_MSK_IAM */
    struct kafka_iam *iam; /* borrowed: signs in then; main opens it before any handle */
    char *stage_names[7];  /* owned: the names above once the stage is in them */
    const char *executor_group, *redriver_group;
};

struct option_table {
    const struct option *rows;
    size_t count;
};

/* LOG_LEVEL, LOG_FORMAT and DRAIN_TIMEOUT_MS: of every program, the stand-ins included. */
extern const struct option_table options_logging;
/* The others of `struct options_common`: of all that speak to Kafka. */
extern const struct option_table options_kafka;

struct program {
    const char *name;                         /* "athena-query-receiver" */
    const char *summary;                      /* one sentence */
    const struct option_table *const *tables; /* NULL-terminated */
    /* KAFKA_… variables: kafka_properties_read() of common/kafka/handle.h; NULL: no Kafka. */
    void (*read_more)(struct options_common *common, struct buffer *faults);
    /*
     * Faults that a single row cannot see, one line each into `faults`, beginning with the
     * variable's name. May be NULL. Must not write anything but `faults`.
     */
    void (*check)(const void *config, struct buffer *faults);
};

/* With which every program ends. */
enum {
    EXIT_STOPPED = 0, /* as asked for, by a signal or once its work is done */
    EXIT_BAD_CONFIGURATION = 100,
    EXIT_CANNOT_GO_ON = 111,
};

enum options_result {
    OPTIONS_RUN,   /* go on */
    OPTIONS_EXIT,  /* --help, --version or a sound --check-config: EXIT_STOPPED */
    OPTIONS_FAULT, /* every fault was printed to stderr: EXIT_BAD_CONFIGURATION */
};

/*
 * Reads the environment and the command line into `config`, which the caller has zeroed and which
 * begins with a struct options_common. Strings in it are borrowed from `environ` and `argv`, which
 * must stay.
 */
enum options_result options_read(const struct program *program, int argc, char **argv,
                                 void *config);
void options_free(struct options_common *common);

/* "host:port" → its parts; host without brackets. False where it is not one. */
bool options_address(const char *text, char *host, size_t host_size, uint16_t *port);

#endif
