/* The exit status of a program, and when its work is begun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/base/program.h"

struct config {
    struct process_options process;
    int64_t number;
    int called, released;
};

static const struct option rows[] = {
    {"X_NUMBER", OPTION_INTEGER, offsetof(struct config, number), "1", "A number.", 0, 9, NULL},
};

static void count_release(void *part) {
    struct config *config = part;
    config->released++;
}

static const struct option_table table = {.rows = rows, .count = 1, .release = count_release};
static const struct option_part parts[] = {
    {&table, 0},
    {&options_process, offsetof(struct config, process)},
    {NULL, 0},
};
static const struct program program = {"test-program", "Ends.", parts, NULL};

/* Fails with the number 9. */
static int work(void *arg) {
    struct config *config = arg;
    assert_int_equal(config->released, 0);
    config->called++;
    return config->number == 9 ? EXIT_CANNOT_GO_ON : EXIT_STOPPED;
}

static void test_status(void **state) {
    (void)state;
    static const struct {
        const char *number, *argument;
        int status, called;
    } cases[] = {
        {"1", NULL, EXIT_STOPPED, 1},
        {"9", NULL, EXIT_CANNOT_GO_ON, 1},
        {"x", NULL, EXIT_BAD_CONFIGURATION, 0},
        {"1", "--check-config", EXIT_STOPPED, 0},
        {"x", "--check-config", EXIT_BAD_CONFIGURATION, 0},
        {"1", "--version", EXIT_STOPPED, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config config = {0};
        char *argv[] = {"test-program", (char *)cases[i].argument, NULL};
        setenv("X_NUMBER", cases[i].number, 1);
        int argc = cases[i].argument != NULL ? 2 : 1;
        assert_int_equal(program_main(&program, argc, argv, &config, work), cases[i].status);
        assert_int_equal(config.called, cases[i].called);
        assert_int_equal(config.released, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
