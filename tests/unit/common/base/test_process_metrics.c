#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/process_metrics.h"

static char *process_text(void) {
    struct buffer b;
    buffer_init(&b, 65536);
    process_metrics_write(&b);
    assert_false(b.failed);
    return buffer_take(&b);
}

/* The value of the sample `name`, NAN where there is none. */
static double sample(const char *text, const char *name) {
    size_t n = strlen(name);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
        if (strncmp(line, name, n) == 0 && line[n] == ' ')
            return strtod(line + n, NULL);
    return (double)NAN;
}

static double fresh_sample(const char *name) {
    char *text = process_text();
    double value = sample(text, name);
    free(text);
    return value;
}

static void test_each_has_a_plausible_value(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double least, most;
    } cases[] = {
        {"process_cpu_seconds_total", 0, 3600},
        {"process_resident_memory_bytes", 100000, 1e12},
        {"process_virtual_memory_bytes", 1000000, 1e15},
        {"process_threads", 1, 100},
        {"process_open_fds", 3, 1000000},
        {"process_max_fds", 3, 1e19},
    };
    char *text = process_text();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!(sample(text, cases[i].name) >= cases[i].least) ||
            !(sample(text, cases[i].name) <= cases[i].most))
            fail_msg("%s is not between %g and %g:\n%s", cases[i].name, cases[i].least,
                     cases[i].most, text);
    assert_true(sample(text, "process_resident_memory_bytes") <=
                sample(text, "process_virtual_memory_bytes"));
    free(text);
}

/* This process began before now and after its machine; both clocks are of whole seconds. */
static void test_the_start_is_a_wall_time(void **state) {
    (void)state;
    double start = fresh_sample("process_start_time_seconds"), now = (double)time(NULL);
    assert_true(start <= now + 2);
    assert_true(start >= now - 3600);
    assert_true(fabs(start - fresh_sample("process_start_time_seconds")) < 0.001);
}

static void test_an_open_descriptor_is_counted(void **state) {
    (void)state;
    double before = fresh_sample("process_open_fds");
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(fresh_sample("process_open_fds") - before > 0.5);
    close(fd);
    assert_true(fabs(fresh_sample("process_open_fds") - before) < 0.5);
}

static void test_build_info_names_program_and_version(void **state) {
    (void)state;
    char *text = process_text();
    const char *line = strstr(text, "\nathena_query_build_info{program=\"test_process_metrics\",");
    assert_non_null(line);
    assert_non_null(strstr(line, "version=\""));
    assert_null(strstr(line, "version=\"\""));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_has_a_plausible_value),
        cmocka_unit_test(test_the_start_is_a_wall_time),
        cmocka_unit_test(test_an_open_descriptor_is_counted),
        cmocka_unit_test(test_build_info_names_program_and_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
