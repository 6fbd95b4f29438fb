/*
 * The configuration of a program, from one table.
 *
 * A row holds all that is known of an option: it drives parsing, --help, --check-config and the
 * README's table (tests/system/common/test_options.py holds the README to --help). Rows named `--x`
 * are of the command line (all but OPTION_FLAG take the next argument or what follows `=`), all
 * others are environment variables. A variable that is set to the empty string counts as not
 * set.
 *
 * Each floor brings the tables of its own variables, each of a struct of its own: base those of
 * every process (below), model/names the topics, kafka/options the brokers, aws/options AWS. A
 * program lists the tables with the place of each struct in its configuration.
 */
#ifndef COMMON_BASE_OPTIONS_H
#define COMMON_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/must_check.h"

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
    size_t at;            /* offsetof(struct …, field) in the struct of the table */
    const char *fallback; /* as text, NULL: none */
    const char *meaning;  /* one sentence for --help and the README */
    int64_t min, max;     /* OPTION_INTEGER */
    const char *choices;  /* OPTION_CHOICE: "text|json" */
};

struct option_table {
    const struct option *rows; /* `at` counts from the start of the struct that the rows are of */
    size_t count;
    /*
     * Called once the rows of all tables are read, in the order of the program's parts: checks
     * `part` (one line each into `faults`, beginning with the variable's name) and sets what
     * follows from the rows. May be NULL.
     */
    void (*finish)(void *part, struct buffer *faults);
    /* Frees what finish() made, after any result of options_read(), perhaps twice. May be NULL. */
    void (*release)(void *part);
    const char *more_help; /* variables that have no row, as --help prints them; NULL: none */
};

/* A table, and where in the program's configuration the struct is that its rows are of. */
struct option_part {
    const struct option_table *table;
    size_t at; /* offsetof(struct …_config, …) */
};

struct program {
    const char *name;                /* "athena-query-receiver" */
    const char *summary;             /* one sentence */
    const struct option_part *parts; /* in the order of --help; the last has no table */
    /*
     * Faults that no single table can see, one line each into `faults`, beginning with the
     * variable's name. May be NULL. Must not write anything but `faults`.
     */
    void (*check)(const void *config, struct buffer *faults);
};

/* What every program has. */
struct process_options {
    int log_level;  /* enum log_level */
    int log_format; /* enum log_format */
    int64_t drain_timeout_ms;
    const char *admin_listen; /* borrowed; NULL: nowhere, or not among the program's tables */
};

/* LOG_LEVEL, LOG_FORMAT and DRAIN_TIMEOUT_MS, of a struct process_options: in every program. */
extern const struct option_table options_process;
/* ADMIN_LISTEN, of the same struct: in programs with an admin endpoint. */
extern const struct option_table options_admin;

enum options_result {
    OPTIONS_RUN,   /* go on */
    OPTIONS_EXIT,  /* --help, --version or a sound --check-config: the program ends */
    OPTIONS_FAULT, /* every fault was printed to stderr */
};

/*
 * Reads the environment and the command line into `config`, which the caller has zeroed, and sets
 * up the log. Strings in it are borrowed from `environ` and `argv`, which must stay. After
 * OPTIONS_RUN the caller ends with options_free(); otherwise nothing is left to be freed.
 */
MUST_CHECK enum options_result options_read(const struct program *program, int argc, char **argv,
                                            void *config);
void options_free(const struct program *program, void *config);

/* "host:port" → its parts; host without brackets. False where it is not one. */
MUST_CHECK bool options_address(const char *text, char *host, size_t host_size, uint16_t *port);

#endif
