#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- a program with an option of each type ---------------------------------------------------- */

/* What a table of another floor is of: it has a value that follows from its rows. */
struct more {
    const char *name;
    char *doubled; /* owned: the name twice */
};

struct config {
    struct process_options process;
    struct more more;
    const char *string, *with_default, *empty, *address, *file;
    int64_t integer, limit;
    double share;
    bool on, flag;
    int choice;
};

#define AT(field) offsetof(struct config, field)

static const struct option rows[] = {
    {"X_STRING", OPTION_STRING, AT(string), NULL, "A string.", 0, 0, NULL},
    {"X_DEFAULT", OPTION_STRING, AT(with_default), "fallback", "Another.", 0, 0, NULL},
    {"X_EMPTY", OPTION_STRING, AT(empty), "", "An empty one.", 0, 0, NULL},
    {"X_INTEGER", OPTION_INTEGER, AT(integer), "5", "An integer.", -10, 1000, NULL},
    {"X_SHARE", OPTION_SHARE, AT(share), "0.5", "A share.", 0, 0, NULL},
    {"X_BOOL", OPTION_BOOL, AT(on), "off", "A bool.", 0, 0, NULL},
    {"X_CHOICE", OPTION_CHOICE, AT(choice), "two", "A choice.", 0, 0, "one|two|three"},
    {"X_ADDRESS", OPTION_ADDRESS, AT(address), "127.0.0.1:0", "An address.", 0, 0, NULL},
    {"--flag", OPTION_FLAG, AT(flag), NULL, "A flag.", 0, 0, NULL},
    {"--limit", OPTION_INTEGER, AT(limit), "0", "A limit.", 0, 100, NULL},
    {"--file", OPTION_STRING, AT(file), NULL, "A file.", 0, 0, NULL},
};
static const struct option_table table = {.rows = rows, .count = COUNT(rows)};

static const struct option more_rows[] = {
    {"MORE_NAME", OPTION_STRING, offsetof(struct more, name), "more", "A name.", 0, 0, NULL},
};

static void more_finish(void *part, struct buffer *faults) {
    struct more *more = part;
    struct buffer b;
    if (strcmp(more->name, "bad") == 0)
        buffer_puts(faults, "MORE_NAME: is bad\n");
    buffer_init(&b, 64);
    buffer_printf(&b, "%s%s", more->name, more->name);
    more->doubled = buffer_take(&b);
}

static void more_release(void *part) {
    struct more *more = part;
    free(more->doubled);
    more->doubled = NULL;
}

static const struct option_table more_table = {
    .rows = more_rows,
    .count = COUNT(more_rows),
    .finish = more_finish,
    .release = more_release,
    .more_help = "  MORE_… (text; default none)\n      Whatever begins so.\n",
};

static const struct option_part parts[] = {
    {&table, 0},
    {&options_process, AT(process)},
    {&options_admin, AT(process)},
    {&more_table, AT(more)},
    {NULL, 0},
};

static void check(const void *config, struct buffer *faults) {
    const struct config *c = config;
    if (c->integer == 13)
        buffer_puts(faults, "X_INTEGER: brings bad luck\n");
}

static const struct program program = {"test-program", "Tries options.", parts, check};

/* --- running it ------------------------------------------------------------------------------- */

enum {
    OUTPUT_MAX = 32768
};

struct outcome {
    enum options_result result;
    struct config config;
    char out[OUTPUT_MAX], err[OUTPUT_MAX];
};

static void read_back(FILE *file, int fd, int saved, char *out) {
    assert_int_equal(dup2(saved, fd), fd);
    close(saved);
    rewind(file);
    out[fread(out, 1, OUTPUT_MAX - 1, file)] = '\0';
    fclose(file);
}

static FILE *divert(int fd, int *saved) {
    FILE *file = tmpfile();
    assert_non_null(file);
    *saved = dup(fd);
    assert_true(*saved >= 0);
    assert_int_equal(dup2(fileno(file), fd), fd);
    return file;
}

/* An environment with nothing in it but what cmocka itself reads. */
static void clear_environment(void) {
    const char *output = getenv("CMOCKA_MESSAGE_OUTPUT");
    char kept[32];
    snprintf(kept, sizeof kept, "%s", output != NULL ? output : "");
    clearenv();
    if (kept[0] != '\0')
        setenv("CMOCKA_MESSAGE_OUTPUT", kept, 1);
}

/* Both are lists of words, separated by spaces; words of `environment` are NAME=value. */
static struct outcome *run(const char *environment, const char *arguments) {
    struct outcome *o = mem_zero(sizeof *o);
    static char words[2][1024]; /* options borrow from the arguments */
    char *argv[16] = {"test-program"}, *save = NULL;
    int argc = 1, saved_out, saved_err;
    clear_environment();
    snprintf(words[0], sizeof words[0], "%s", environment);
    snprintf(words[1], sizeof words[1], "%s", arguments);
    for (char *w = strtok_r(words[0], " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        assert_int_equal(putenv(w), 0);
    for (char *w = strtok_r(words[1], " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    fflush(stdout);
    FILE *out = divert(STDOUT_FILENO, &saved_out), *err = divert(STDERR_FILENO, &saved_err);
    o->result = options_read(&program, argc, argv, &o->config);
    fflush(stdout);
    read_back(err, STDERR_FILENO, saved_err, o->err);
    read_back(out, STDOUT_FILENO, saved_out, o->out);
    return o;
}

static void end(struct outcome *o) {
    if (o->result == OPTIONS_RUN)
        options_free(&program, &o->config);
    options_free(&program, &o->config); /* twice does no harm */
    clear_environment();
    free(o);
}

/* --- values ----------------------------------------------------------------------------------- */

static void test_defaults(void **state) {
    (void)state;
    struct outcome *o =
        run("X_DEFAULT= X_INTEGER= LOG_LEVEL=", ""); /* empty is as good as not set */
    const struct config *c = &o->config;
    assert_int_equal(o->result, OPTIONS_RUN);
    assert_string_equal(o->out, "");
    assert_string_equal(o->err, "");
    assert_null(c->string);
    assert_string_equal(c->with_default, "fallback");
    assert_string_equal(c->empty, "");
    assert_int_equal(c->integer, 5);
    assert_float_equal(c->share, 0.5, 0);
    assert_false(c->on);
    assert_int_equal(c->choice, 1);
    assert_string_equal(c->address, "127.0.0.1:0");
    assert_false(c->flag);
    assert_int_equal(c->limit, 0);
    assert_null(c->file);
    assert_int_equal(c->process.log_level, LOG_INFO);
    assert_int_equal(c->process.log_format, LOG_TEXT);
    assert_int_equal(c->process.drain_timeout_ms, 10000);
    assert_null(c->process.admin_listen);
    assert_string_equal(c->more.name, "more");
    assert_string_equal(c->more.doubled, "moremore");
    end(o);
}

/* One variable or argument each: what it is read as, or the fault. */
struct value_case {
    const char *environment, *arguments;
    const char *fault; /* NULL: none */
    int64_t integer;
    double share;
    bool on;
    int choice;
};

#define SOUND       NULL, 5, 0.5, false, 1
#define FAULT(text) "test-program: " text "\n", 0, 0, false, 0
#define NOT_INTEGER(text)                                                                          \
    {                                                                                              \
        "X_INTEGER=" text, "",                                                                     \
            FAULT("X_INTEGER: must be a whole number from -10 to 1000, not \"" text "\"")          \
    }
#define NOT_SHARE(text)                                                                            \
    { "X_SHARE=" text, "", FAULT("X_SHARE: must be a share from 0 to 1, not \"" text "\"") }
#define NOT_BOOL(text)                                                                             \
    { "X_BOOL=" text, "", FAULT("X_BOOL: must be true or false, not \"" text "\"") }
#define NOT_ADDRESS(text)                                                                          \
    { "X_ADDRESS=" text, "", FAULT("X_ADDRESS: must be host:port, not \"" text "\"") }

static const struct value_case values[] = {
    {"", "", SOUND},
    {"X_INTEGER=-10", "", NULL, -10, 0.5, false, 1},
    {"X_INTEGER=1000", "", NULL, 1000, 0.5, false, 1},
    {"X_INTEGER=007", "", NULL, 7, 0.5, false, 1},
    NOT_INTEGER("-11"),
    NOT_INTEGER("1001"),
    NOT_INTEGER("99999999999999999999"),
    NOT_INTEGER("5x"),
    NOT_INTEGER("x"),
    NOT_INTEGER("+5"),
    NOT_INTEGER("\t5"),
    NOT_INTEGER("1.5"),
    NOT_INTEGER("1e2"),
    NOT_INTEGER("0x10"),
    NOT_INTEGER("--5"),
    NOT_INTEGER("-"),
    {"X_SHARE=0", "", NULL, 5, 0, false, 1},
    {"X_SHARE=1", "", NULL, 5, 1, false, 1},
    {"X_SHARE=.25", "", NULL, 5, 0.25, false, 1},
    {"X_SHARE=1e-3", "", NULL, 5, 0.001, false, 1},
    NOT_SHARE("1.01"),
    NOT_SHARE("-0.1"),
    NOT_SHARE("nan"),
    NOT_SHARE("inf"),
    NOT_SHARE("0x1p-1"),
    NOT_SHARE("0.5x"),
    NOT_SHARE("\t0.5"),
    NOT_SHARE("0,5"),
    {"X_BOOL=true", "", NULL, 5, 0.5, true, 1},
    {"X_BOOL=on", "", NULL, 5, 0.5, true, 1},
    {"X_BOOL=yes", "", NULL, 5, 0.5, true, 1},
    {"X_BOOL=1", "", NULL, 5, 0.5, true, 1},
    {"X_BOOL=false", "", SOUND},
    {"X_BOOL=no", "", SOUND},
    {"X_BOOL=0", "", SOUND},
    NOT_BOOL("TRUE"),
    NOT_BOOL("2"),
    NOT_BOOL("true|on"),
    NOT_BOOL("|"),
    {"X_CHOICE=one", "", NULL, 5, 0.5, false, 0},
    {"X_CHOICE=three", "", NULL, 5, 0.5, false, 2},
    {"X_CHOICE=four", "", FAULT("X_CHOICE: must be one of one|two|three, not \"four\"")},
    {"X_CHOICE=tw", "", FAULT("X_CHOICE: must be one of one|two|three, not \"tw\"")},
    {"X_CHOICE=one|two", "", FAULT("X_CHOICE: must be one of one|two|three, not \"one|two\"")},
    NOT_ADDRESS("8080"),
    NOT_ADDRESS("host:65536"),
    {"--limit=7", "", SOUND}, /* an argument is not of the environment */
    {"", "X_INTEGER=7", FAULT("X_INTEGER=7: no such option; see --help")},
    {"", "--limit", FAULT("--limit: needs a value")},
    {"", "--limit=", FAULT("--limit: must be a whole number from 0 to 100, not \"\"")},
    {"", "--limit 101", FAULT("--limit: must be a whole number from 0 to 100, not \"101\"")},
    {"", "--flag=1", FAULT("--flag: takes no value")},
    {"", "--fla", FAULT("--fla: no such option; see --help")},
    {"", "--flags", FAULT("--flags: no such option; see --help")},
    {"", "file", FAULT("file: no such option; see --help")},
    {"X_INTEGER=13", "", FAULT("X_INTEGER: brings bad luck")},
    {"MORE_NAME=bad", "", FAULT("MORE_NAME: is bad")},
    {"MORE_NAME=good", "", SOUND},
};

static void test_values(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        const struct value_case *v = &values[i];
        struct outcome *o = run(v->environment, v->arguments);
        const struct config *c = &o->config;
        if (strcmp(o->err, v->fault != NULL ? v->fault : "") != 0 || o->out[0] != '\0')
            fail_msg("%s %s: said \"%s\"", v->environment, v->arguments, o->err);
        assert_int_equal(o->result, v->fault != NULL ? OPTIONS_FAULT : OPTIONS_RUN);
        if (v->fault == NULL && (c->integer != v->integer || c->share < v->share ||
                                 c->share > v->share || c->on != v->on || c->choice != v->choice))
            fail_msg("%s %s: read as %lld %g %d %d", v->environment, v->arguments,
                     (long long)c->integer, c->share, c->on, c->choice);
        end(o);
    }
}

static void test_arguments(void **state) {
    (void)state;
    struct outcome *o = run("X_STRING=s", "--flag --limit 7 --file=a=b");
    assert_int_equal(o->result, OPTIONS_RUN);
    assert_string_equal(o->config.string, "s");
    assert_true(o->config.flag);
    assert_int_equal(o->config.limit, 7);
    assert_string_equal(o->config.file, "a=b");
    end(o);
    o = run("", "--limit=1 --limit 2 --file --flag"); /* the last counts; a value may begin so */
    assert_int_equal(o->result, OPTIONS_RUN);
    assert_int_equal(o->config.limit, 2);
    assert_string_equal(o->config.file, "--flag");
    assert_false(o->config.flag);
    end(o);
}

static void test_every_fault_is_reported(void **state) {
    (void)state;
    struct outcome *o = run("X_INTEGER=x X_SHARE=2 X_BOOL=? X_CHOICE=? X_ADDRESS=? LOG_LEVEL=? "
                            "DRAIN_TIMEOUT_MS=-1 ADMIN_LISTEN=? MORE_NAME=bad",
                            "--check-config --what --limit=x");
    assert_int_equal(o->result, OPTIONS_FAULT);
    static const char *const named[] = {
        "X_INTEGER",        "X_SHARE",      "X_BOOL",    "X_CHOICE", "X_ADDRESS", "LOG_LEVEL",
        "DRAIN_TIMEOUT_MS", "ADMIN_LISTEN", "MORE_NAME", "--what",   "--limit"};
    int lines = 0;
    for (const char *at = o->err; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, COUNT(named));
    for (size_t i = 0; i < COUNT(named); i++) {
        char line[64];
        snprintf(line, sizeof line, "test-program: %s: ", named[i]);
        if (strstr(o->err, line) == NULL)
            fail_msg("%s is not named in\n%s", named[i], o->err);
    }
    end(o);
}

/* --- what is printed -------------------------------------------------------------------------- */

static void test_asked(void **state) {
    (void)state;
    static const struct {
        const char *environment, *arguments;
        enum options_result result;
        const char *out; /* its beginning */
    } asked[] = {
        {"", "--check-config", OPTIONS_EXIT, "test-program: the configuration is sound\n"},
        {"X_INTEGER=x", "--check-config", OPTIONS_FAULT, ""},
        {"", "--version", OPTIONS_EXIT, "test-program "},
        {"X_INTEGER=x", "--version", OPTIONS_EXIT, "test-program "},
        {"", "--help", OPTIONS_EXIT, "test-program: Tries options.\n"},
        {"X_INTEGER=x MORE_NAME=bad", "--what --help", OPTIONS_EXIT,
         "test-program: Tries options.\n"},
        {"MORE_NAME=good", "--help", OPTIONS_EXIT, "test-program: Tries options.\n"},
    };
    for (size_t i = 0; i < COUNT(asked); i++) {
        struct outcome *o = run(asked[i].environment, asked[i].arguments);
        if (o->result != asked[i].result ||
            strncmp(o->out, asked[i].out, strlen(asked[i].out)) != 0 ||
            (asked[i].out[0] == '\0') != (o->out[0] == '\0'))
            fail_msg("%s %s: %d, \"%s\"", asked[i].environment, asked[i].arguments, o->result,
                     o->out);
        assert_int_equal(o->err[0] == '\0', o->result == OPTIONS_EXIT);
        end(o);
    }
}

static void test_help_lists_every_row(void **state) {
    (void)state;
    struct outcome *o = run("", "--help");
    for (const struct option_part *part = parts; part->table != NULL; part++)
        for (size_t i = 0; i < part->table->count; i++) {
            const struct option *row = &part->table->rows[i];
            char head[64];
            snprintf(head, sizeof head, "\n  %s (", row->name);
            const char *at = strstr(o->out, head);
            if (at == NULL) {
                fail_msg("%s is not in\n%s", row->name, o->out);
                return;
            }
            assert_ptr_equal(strstr(at, row->meaning), strchr(at + 1, '\n') + 7);
            if (row->fallback != NULL && row->fallback[0] != '\0') {
                const char *fallback = strstr(at, row->fallback);
                assert_true(fallback != NULL && fallback < strchr(at + 1, '\n'));
            }
        }
    assert_non_null(strstr(o->out, "\n  X_CHOICE (one|two|three; default two)\n"));
    assert_non_null(strstr(o->out, "\n  X_STRING (text; default none)\n"));
    assert_non_null(strstr(o->out, "\n  X_EMPTY (text; default empty)\n"));
    assert_non_null(
        strstr(o->out, "\n  MORE_… (text; default none)\n      Whatever begins so.\n\nExit"));
    assert_non_null(strstr(o->out, "\n  --flag (no value)\n"));
    assert_non_null(strstr(o->out, "\n  --check-config (no value)\n"));
    end(o);
}

/* --- addresses -------------------------------------------------------------------------------- */

static void test_addresses(void **state) {
    (void)state;
    static const struct {
        const char *text, *host; /* NULL: not one */
        uint16_t port;
    } addresses[] = {
        {"127.0.0.1:8080", "127.0.0.1", 8080},
        {"localhost:0", "localhost", 0},
        {"[::1]:65535", "::1", 65535},
        {"[fe80::1%lo]:1", "fe80::1%lo", 1},
        {"a:00080", "a", 80},
        {"", NULL, 0},
        {":", NULL, 0},
        {":80", NULL, 0},
        {"a", NULL, 0},
        {"a:", NULL, 0},
        {"a:-1", NULL, 0},
        {"a:+1", NULL, 0},
        {"a: 1", NULL, 0},
        {"a:65536", NULL, 0},
        {"a:100000", NULL, 0},
        {"a:80x", NULL, 0},
        {"::1:80", NULL, 0},
        {"[::1]", NULL, 0},
        {"[::1]80", NULL, 0},
        {"[]:80", NULL, 0},
        {"[:80", NULL, 0},
        {"[::1:80", NULL, 0},
    };
    for (size_t i = 0; i < COUNT(addresses); i++) {
        char host[64] = "";
        uint16_t port = 0;
        bool ok = options_address(addresses[i].text, host, sizeof host, &port);
        if (ok != (addresses[i].host != NULL) ||
            (ok && (strcmp(host, addresses[i].host) != 0 || port != addresses[i].port)))
            fail_msg("%s: %d, \"%s\", %u", addresses[i].text, ok, host, port);
    }
    char small[4];
    uint16_t port;
    assert_true(options_address("abc:1", small, sizeof small, &port));
    assert_false(options_address("abcd:1", small, sizeof small, &port));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),  cmocka_unit_test(test_values),
        cmocka_unit_test(test_arguments), cmocka_unit_test(test_every_fault_is_reported),
        cmocka_unit_test(test_asked),     cmocka_unit_test(test_help_lists_every_row),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
