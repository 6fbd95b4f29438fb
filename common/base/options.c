#include "common/base/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

#define COMMON(field) offsetof(struct options_common, field)

static const struct option logging_rows[] = {
    {"LOG_LEVEL", OPTION_CHOICE, COMMON(log_level), "info", "How much is logged to stderr.", 0, 0,
     "error|warn|info|debug"},
    {"LOG_FORMAT", OPTION_CHOICE, COMMON(log_format), "text",
     "A line of text or a JSON object for each log line.", 0, 0, "text|json"},
    {"DRAIN_TIMEOUT_MS", OPTION_INTEGER, COMMON(drain_timeout_ms), "10000",
     "The longest that a stop waits for calls and records in flight.", 0, 3600000, NULL},
};

static const struct option kafka_rows[] = {
    {"STAGE", OPTION_STRING, COMMON(stage), "",
     "Added to every topic and group name as `-STAGE`; paths are served under `/STAGE` too.", 0, 0,
     NULL},
    {"KAFKA_BOOTSTRAP_SERVERS", OPTION_STRING, COMMON(bootstrap_servers), "localhost:9092",
     "The brokers to begin with, host:port, separated by commas.", 0, 0, NULL},
    {"QUERY_TOPIC", OPTION_STRING, COMMON(query_topic), "athena-query",
     "Queries that wait to be started.", 0, 0, NULL},
    {"DEADLETTER_TOPIC", OPTION_STRING, COMMON(deadletter_topic), "athena-query-deadletter",
     "Throttled queries that wait for the redriver.", 0, 0, NULL},
    {"REJECTED_TOPIC", OPTION_STRING, COMMON(rejected_topic), "athena-query-rejected",
     "Records that can never run, for people to look at.", 0, 0, NULL},
    {"STATUS_TOPIC", OPTION_STRING, COMMON(status_topic), "athena-query-status",
     "The last state of every query; compacted.", 0, 0, NULL},
    {"CREATE_TOPICS", OPTION_BOOL, COMMON(create_topics), "true",
     "Whether a missing topic is created at start.", 0, 0, NULL},
    {"TOPIC_PARTITIONS", OPTION_INTEGER, COMMON(topic_partitions), "6",
     "Partitions of a topic that is created.", 1, 10000, NULL},
    {"TOPIC_REPLICATION_FACTOR", OPTION_INTEGER, COMMON(topic_replication_factor), "-1",
     "Replicas of a topic that is created; -1 takes the broker's default.", -1, 1000, NULL},
    {"ADMIN_LISTEN", OPTION_ADDRESS, COMMON(admin_listen), NULL,
     "Where /healthz, /readyz and /metrics are served; not set: nowhere.", 0, 0, NULL},
};

const struct option_table options_logging = {logging_rows,
                                             sizeof logging_rows / sizeof *logging_rows};
const struct option_table options_kafka = {kafka_rows, sizeof kafka_rows / sizeof *kafka_rows};

/* --- one value -------------------------------------------------------------------------------- */

bool options_address(const char *text, char *host, size_t host_size, uint16_t *port) {
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text)
        return false;
    const char *from = text, *to = colon;
    if (*from == '[') {
        if (to[-1] != ']')
            return false;
        from++, to--;
    } else if (memchr(from, ':', (size_t)(to - from)) != NULL) {
        return false;
    }
    size_t digits = strspn(colon + 1, "0123456789");
    unsigned long number = strtoul(colon + 1, NULL, 10);
    size_t host_len = (size_t)(to - from);
    if (digits == 0 || digits > 5 || colon[1 + digits] != '\0' || number > 65535 || host_len == 0 ||
        host_len >= host_size)
        return false;
    memcpy(host, from, host_len);
    host[host_len] = '\0';
    *port = (uint16_t)number;
    return true;
}

static int choice_index(const char *choices, const char *word) {
    size_t len = strlen(word);
    int index = 0;
    for (const char *at = choices; at != NULL; index++) {
        const char *bar = strchr(at, '|');
        size_t n = bar != NULL ? (size_t)(bar - at) : strlen(at);
        if (n == len && memcmp(at, word, n) == 0)
            return index;
        at = bar != NULL ? bar + 1 : NULL;
    }
    return -1;
}

static bool put_integer(const struct option *o, const char *text, int64_t *field,
                        struct buffer *faults) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool plain = text[strspn(text, "-0123456789")] == '\0'; /* no space, no plus */
    if (!plain || errno != 0 || end == text || *end != '\0' || value < o->min || value > o->max) {
        buffer_printf(faults, "%s: must be a whole number from %lld to %lld, not \"%s\"\n", o->name,
                      (long long)o->min, (long long)o->max, text);
        return false;
    }
    *field = value;
    return true;
}

static bool put_share(const struct option *o, const char *text, double *field,
                      struct buffer *faults) {
    char *end;
    double value = strtod(text, &end);
    bool plain = text[strspn(text, ".0123456789eE-")] == '\0'; /* no space, plus, hex */
    if (!plain || end == text || *end != '\0' || !(value >= 0 && value <= 1)) {
        buffer_printf(faults, "%s: must be a share from 0 to 1, not \"%s\"\n", o->name, text);
        return false;
    }
    *field = value;
    return true;
}

static void put_value(const struct option *o, const char *text, void *config,
                      struct buffer *faults) {
    char *field = (char *)config + o->at;
    char host[256];
    uint16_t port;
    int index;
    switch (o->type) {
    case OPTION_INTEGER:
        put_integer(o, text, (int64_t *)(void *)field, faults);
        break;
    case OPTION_SHARE:
        put_share(o, text, (double *)(void *)field, faults);
        break;
    case OPTION_BOOL:
        index = choice_index("false|off|no|0|true|on|yes|1", text);
        if (index < 0)
            buffer_printf(faults, "%s: must be true or false, not \"%s\"\n", o->name, text);
        *(bool *)field = index >= 4;
        break;
    case OPTION_CHOICE:
        index = choice_index(o->choices, text);
        if (index < 0)
            buffer_printf(faults, "%s: must be one of %s, not \"%s\"\n", o->name, o->choices, text);
        else
            *(int *)(void *)field = index;
        break;
    case OPTION_ADDRESS:
        if (!options_address(text, host, sizeof host, &port))
            buffer_printf(faults, "%s: must be host:port, not \"%s\"\n", o->name, text);
        *(const char **)(void *)field = text;
        break;
    case OPTION_STRING:
        *(const char **)(void *)field = text;
        break;
    case OPTION_FLAG:
        *(bool *)field = true;
        break;
    }
}

static bool is_argument(const struct option *o) {
    return o->name[0] == '-';
}

static void read_environment(const struct program *program, void *config, struct buffer *faults) {
    for (size_t t = 0; program->tables[t] != NULL; t++)
        for (size_t i = 0; i < program->tables[t]->count; i++) {
            const struct option *o = &program->tables[t]->rows[i];
            const char *text = is_argument(o) ? NULL : getenv(o->name);
            if (text == NULL || *text == '\0')
                text = o->fallback;
            if (text != NULL)
                put_value(o, text, config, faults);
        }
}

/* --- the command line ------------------------------------------------------------------------- */

struct asked {
    bool help, version, check;
};

/* `argument` may be --name or --name=value: only its name counts. */
static const struct option *find_argument(const struct program *program, const char *argument) {
    size_t len = strcspn(argument, "=");
    for (size_t t = 0; program->tables[t] != NULL; t++)
        for (size_t i = 0; i < program->tables[t]->count; i++) {
            const struct option *o = &program->tables[t]->rows[i];
            if (is_argument(o) && strlen(o->name) == len && memcmp(o->name, argument, len) == 0)
                return o;
        }
    return NULL;
}

static void read_arguments(const struct program *program, int argc, char **argv, void *config,
                           struct asked *asked, struct buffer *faults) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            asked->help = true;
            continue;
        }
        if (strcmp(argv[i], "--version") == 0) {
            asked->version = true;
            continue;
        }
        if (strcmp(argv[i], "--check-config") == 0) {
            asked->check = true;
            continue;
        }
        const struct option *o = find_argument(program, argv[i]);
        const char *equals = strchr(argv[i], '=');
        if (o == NULL)
            buffer_printf(faults, "%s: no such option; see --help\n", argv[i]);
        else if (o->type == OPTION_FLAG && equals != NULL)
            buffer_printf(faults, "%s: takes no value\n", o->name);
        else if (o->type == OPTION_FLAG)
            put_value(o, "", config, faults);
        else if (equals != NULL)
            put_value(o, equals + 1, config, faults);
        else if (i + 1 < argc)
            put_value(o, argv[++i], config, faults);
        else
            buffer_printf(faults, "%s: needs a value\n", o->name);
    }
}

/* --- help ------------------------------------------------------------------------------------- */

static void print_row(const struct option *o) {
    static const char *const types[] = {"text",         "whole number", "share",   "true|false",
                                        "one of words", "host:port",    "no value"};
    printf("  %s (%s", o->name, o->type == OPTION_CHOICE ? o->choices : types[o->type]);
    if (o->fallback != NULL)
        printf("; default %s", *o->fallback != '\0' ? o->fallback : "empty");
    else if (o->type != OPTION_FLAG)
        printf("; default none");
    printf(")\n      %s\n", o->meaning);
}

static void print_rows(const struct program *program, bool arguments) {
    for (size_t t = 0; program->tables[t] != NULL; t++)
        for (size_t i = 0; i < program->tables[t]->count; i++)
            if (is_argument(&program->tables[t]->rows[i]) == arguments)
                print_row(&program->tables[t]->rows[i]);
}

static void print_help(const struct program *program) {
    printf("%s: %s\n\nUsage: %s [options]\n\nOptions:\n", program->name, program->summary,
           program->name);
    print_rows(program, true);
    printf("  --help (no value)\n      This text.\n"
           "  --version (no value)\n      The version.\n"
           "  --check-config (no value)\n      Reports every fault of the configuration; exit 0 or "
           "100.\n\nEnvironment:\n");
    print_rows(program, false);
    if (program->read_more != NULL)
        printf("  KAFKA_… (text; default librdkafka's)\n      Any property of librdkafka, upper "
               "case, `.` as `_`; KAFKA_…_FILE reads the value from a file.\n");
    printf("\nExit status: 0 stopped cleanly, 100 bad configuration, 111 cannot go on.\n");
}

/* --- stage ------------------------------------------------------------------------------------ */

/* Kafka: a topic's name is 1 to 249 of these, and neither "." nor "..". */
static bool is_kafka_name(const char *name) {
    size_t len = strlen(name);
    return len > 0 && len <= 249 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

static const char *staged(struct options_common *c, size_t slot, const char *name) {
    if (*c->stage == '\0')
        return name;
    struct buffer b;
    buffer_init(&b, 4096);
    buffer_printf(&b, "%s-%s", name, c->stage);
    return c->stage_names[slot] = buffer_take(&b);
}

static void apply_stage(struct options_common *c, struct buffer *faults) {
    struct {
        const char *variable;
        const char **name;
    } topics[] = {{"QUERY_TOPIC", &c->query_topic},
                  {"DEADLETTER_TOPIC", &c->deadletter_topic},
                  {"REJECTED_TOPIC", &c->rejected_topic},
                  {"STATUS_TOPIC", &c->status_topic},
                  {"QUOTA_TOPIC", &c->quota_topic}};
    enum {
        TOPICS = sizeof topics / sizeof *topics
    };
    size_t count = c->quota_topic != NULL ? TOPICS : TOPICS - 1;
    if (*c->stage != '\0' && !is_kafka_name(c->stage))
        buffer_printf(faults, "STAGE: must be of A-Z a-z 0-9 . _ -, not \"%s\"\n", c->stage);
    for (size_t i = 0; i < count; i++) {
        *topics[i].name = staged(c, i, *topics[i].name);
        if (!is_kafka_name(*topics[i].name))
            buffer_printf(faults,
                          "%s: \"%s\" is no name for a topic: 1 to 249 of A-Z a-z 0-9 . _ -\n",
                          topics[i].variable, *topics[i].name);
        for (size_t j = 0; j < i; j++)
            if (strcmp(*topics[i].name, *topics[j].name) == 0)
                buffer_printf(faults, "%s: is the same topic as %s\n", topics[i].variable,
                              topics[j].variable);
    }
    c->executor_group = staged(c, TOPICS, "athena-query-executor");
    c->redriver_group = staged(c, TOPICS + 1, "athena-query-redriver");
}

/* --- all of it -------------------------------------------------------------------------------- */

static void print_faults(const struct program *program, const char *faults) {
    while (*faults != '\0') {
        size_t n = strcspn(faults, "\n");
        fprintf(stderr, "%s: %.*s\n", program->name, (int)n, faults);
        faults += n + (faults[n] == '\n');
    }
}

enum options_result options_read(const struct program *program, int argc, char **argv,
                                 void *config) {
    struct options_common *common = config;
    struct asked asked = {false, false, false};
    struct buffer faults;
    buffer_init(&faults, 65536);
    read_environment(program, config, &faults);
    read_arguments(program, argc, argv, config, &asked, &faults);
    if (common->stage != NULL)
        apply_stage(common, &faults);
    if (program->read_more != NULL)
        program->read_more(common, &faults);
    if (program->check != NULL)
        program->check(config, &faults);

    enum options_result result = OPTIONS_RUN;
    if (asked.help) {
        print_help(program);
        result = OPTIONS_EXIT;
    } else if (asked.version) {
        printf("%s %s\n", program->name, VERSION);
        result = OPTIONS_EXIT;
    } else if (faults.len > 0) {
        print_faults(program, faults.data);
        result = OPTIONS_FAULT;
    } else if (asked.check) {
        printf("%s: the configuration is sound\n", program->name);
        result = OPTIONS_EXIT;
    }
    buffer_free(&faults);
    if (result == OPTIONS_RUN)
        log_init(program->name, (enum log_level)common->log_level,
                 (enum log_format)common->log_format);
    else
        options_free(common);
    return result;
}

void options_free(struct options_common *common) {
    for (size_t i = 0; i < sizeof common->stage_names / sizeof *common->stage_names; i++)
        free(common->stage_names[i]);
    for (size_t i = 0; i < common->kafka_count; i++) {
        free(common->kafka[i].name);
        mem_wipe_free(common->kafka[i].value, strlen(common->kafka[i].value));
    }
    free(common->kafka);
    common->kafka = NULL;
    common->kafka_count = 0;
    memset(common->stage_names, 0, sizeof common->stage_names);
}
