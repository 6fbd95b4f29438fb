#include "common/base/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

#define AT(field) offsetof(struct process_options, field)

static const struct option process_rows[] = {
    {"LOG_LEVEL", OPTION_CHOICE, AT(log_level), "info", "How much is logged to stderr.", 0, 0,
     "error|warn|info|debug"},
    {"LOG_FORMAT", OPTION_CHOICE, AT(log_format), "text",
     "A line of text or a JSON object for each log line.", 0, 0, "text|json"},
    {"DRAIN_TIMEOUT_MS", OPTION_INTEGER, AT(drain_timeout_ms), "10000",
     "The longest that a stop waits for calls and records in flight.", 0, 3600000, NULL},
};

static const struct option admin_rows[] = {
    {"ADMIN_LISTEN", OPTION_ADDRESS, AT(admin_listen), NULL,
     "Where /healthz, /readyz and /metrics are served; not set: nowhere.", 0, 0, NULL},
};

const struct option_table options_process = {
    .rows = process_rows,
    .count = sizeof process_rows / sizeof *process_rows,
};
const struct option_table options_admin = {
    .rows = admin_rows,
    .count = sizeof admin_rows / sizeof *admin_rows,
};

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

/* `part`: the struct that the option is a row of. */
static void put_value(const struct option *o, const char *text, void *part, struct buffer *faults) {
    char *field = (char *)part + o->at;
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

static void *part_in(const struct option_part *part, void *config) {
    return (char *)config + part->at;
}

static void read_environment(const struct program *program, void *config, struct buffer *faults) {
    for (const struct option_part *p = program->parts; p->table != NULL; p++)
        for (size_t i = 0; i < p->table->count; i++) {
            const struct option *o = &p->table->rows[i];
            const char *text = is_argument(o) ? NULL : getenv(o->name);
            if (text == NULL || *text == '\0')
                text = o->fallback;
            if (text != NULL)
                put_value(o, text, part_in(p, config), faults);
        }
}

/* --- the command line ------------------------------------------------------------------------- */

struct asked {
    bool help, version, check;
};

struct found_argument {
    const struct option *option; /* NULL: there is none of this name */
    const struct option_part *part;
};

/* `argument` may be --name or --name=value: only its name counts. */
static struct found_argument find_argument(const struct program *program, const char *argument) {
    size_t len = strcspn(argument, "=");
    for (const struct option_part *p = program->parts; p->table != NULL; p++)
        for (size_t i = 0; i < p->table->count; i++) {
            const struct option *o = &p->table->rows[i];
            if (is_argument(o) && strlen(o->name) == len && memcmp(o->name, argument, len) == 0)
                return (struct found_argument){o, p};
        }
    return (struct found_argument){NULL, NULL};
}

/* --help, --version and --check-config, which every program has. */
static bool take_asked(const char *argument, struct asked *asked) {
    if (strcmp(argument, "--help") == 0)
        return asked->help = true;
    if (strcmp(argument, "--version") == 0)
        return asked->version = true;
    if (strcmp(argument, "--check-config") == 0)
        return asked->check = true;
    return false;
}

/* Takes `argument`, and `next` where that is its value; true where it took `next`. */
static bool take_argument(const struct program *program, const char *argument, const char *next,
                          void *config, struct buffer *faults) {
    struct found_argument found = find_argument(program, argument);
    const struct option *o = found.option;
    const char *equals = strchr(argument, '=');
    if (o == NULL) {
        buffer_printf(faults, "%s: no such option; see --help\n", argument);
        return false;
    }
    bool flag = o->type == OPTION_FLAG;
    const char *value = flag ? "" : equals != NULL ? equals + 1 : next;
    if (flag && equals != NULL)
        buffer_printf(faults, "%s: takes no value\n", o->name);
    else if (value == NULL)
        buffer_printf(faults, "%s: needs a value\n", o->name);
    else
        put_value(o, value, part_in(found.part, config), faults);
    return !flag && equals == NULL && next != NULL;
}

static void read_arguments(const struct program *program, int argc, char **argv, void *config,
                           struct asked *asked, struct buffer *faults) {
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (!take_asked(argv[i], asked) && take_argument(program, argv[i], next, config, faults))
            i++;
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
    for (const struct option_part *p = program->parts; p->table != NULL; p++)
        for (size_t i = 0; i < p->table->count; i++)
            if (is_argument(&p->table->rows[i]) == arguments)
                print_row(&p->table->rows[i]);
}

static void print_more_help(const struct program *program) {
    for (const struct option_part *p = program->parts; p->table != NULL; p++)
        if (p->table->more_help != NULL)
            fputs(p->table->more_help, stdout);
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
    print_more_help(program);
    printf("\nExit status: 0 stopped cleanly, 100 bad configuration, 111 cannot go on.\n");
}

/* --- all of it -------------------------------------------------------------------------------- */

static void print_faults(const struct program *program, const char *faults) {
    while (*faults != '\0') {
        size_t n = strcspn(faults, "\n");
        fprintf(stderr, "%s: %.*s\n", program->name, (int)n, faults);
        faults += n + (faults[n] == '\n');
    }
}

static void finish(const struct program *program, void *config, struct buffer *faults) {
    for (const struct option_part *p = program->parts; p->table != NULL; p++)
        if (p->table->finish != NULL)
            p->table->finish(part_in(p, config), faults);
    if (program->check != NULL)
        program->check(config, faults);
}

static enum options_result report(const struct program *program, const struct asked *asked,
                                  const struct buffer *faults) {
    if (asked->help)
        print_help(program);
    else if (asked->version)
        printf("%s %s\n", program->name, VERSION);
    else if (faults->len > 0)
        print_faults(program, faults->data);
    else if (asked->check)
        printf("%s: the configuration is sound\n", program->name);
    else
        return OPTIONS_RUN;
    return faults->len > 0 && !asked->help && !asked->version ? OPTIONS_FAULT : OPTIONS_EXIT;
}

static void start_log(const struct program *program, void *config) {
    for (const struct option_part *p = program->parts; p->table != NULL; p++)
        if (p->table == &options_process) {
            const struct process_options *o = part_in(p, config);
            log_init(program->name, (enum log_level)o->log_level, (enum log_format)o->log_format);
        }
}

enum options_result options_read(const struct program *program, int argc, char **argv,
                                 void *config) {
    struct asked asked = {false, false, false};
    struct buffer faults;
    buffer_init(&faults, 65536);
    read_environment(program, config, &faults);
    read_arguments(program, argc, argv, config, &asked, &faults);
    finish(program, config, &faults);
    enum options_result result = report(program, &asked, &faults);
    buffer_free(&faults);
    if (result == OPTIONS_RUN)
        start_log(program, config);
    else
        options_free(program, config);
    return result;
}

void options_free(const struct program *program, void *config) {
    for (const struct option_part *p = program->parts; p->table != NULL; p++)
        if (p->table->release != NULL)
            p->table->release(part_in(p, config));
}
