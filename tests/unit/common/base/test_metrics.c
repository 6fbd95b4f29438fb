#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/metrics.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static char *write(const struct metric *rows, size_t count) {
    struct buffer b;
    buffer_init(&b, 65536);
    metrics_write(rows, count, &b);
    assert_false(b.failed);
    return buffer_take(&b);
}

/* The value of the line that begins with `sample` and a space. */
static double read_sample(const char *text, const char *sample) {
    size_t n = strlen(sample);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n') + 1)
        if (strncmp(line, sample, n) == 0 && line[n] == ' ') {
            char *end;
            double value = strtod(line + n + 1, &end);
            assert_int_equal(*end, '\n');
            return value;
        }
    fail_msg("no %s in\n%s", sample, text);
    return 0;
}

static const struct {
    double value;
    const char *text;
} numbers[] = {
    {0, "0"},
    {-0.0, "0"},
    {1, "1"},
    {-7, "-7"},
    {1000000, "1000000"},
    {123456789012345, "123456789012345"},
    {9007199254740992, "9007199254740992"},
    {-9007199254740992, "-9007199254740992"},
    {0.1, "0.1"},
    {0.0025, "0.0025"},
    {-2.5, "-2.5"},
    {1767323045.678, "1767323045.678"},
    {1.0 / 3, "0.33333333333333331"},
    {(double)INFINITY, "+Inf"},
    {-(double)INFINITY, "-Inf"},
    {(double)NAN, "NaN"},
};

static void test_numbers(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct buffer b;
        buffer_init(&b, 64);
        metrics_number(&b, numbers[i].value);
        assert_string_equal(buffer_text(&b), numbers[i].text);
        buffer_free(&b);
    }
    static const double awkward[] = {1e300, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1e17 + 16};
    for (size_t i = 0; i < COUNT(awkward); i++) {
        struct buffer b;
        buffer_init(&b, 64);
        metrics_number(&b, awkward[i]);
        double again = strtod(buffer_text(&b), NULL);
        assert_memory_equal(&again, &awkward[i], sizeof again);
        buffer_free(&b);
    }
}

static void test_text(void **state) {
    (void)state;
    struct metric rows[] = {
        {.name = "a_total", .help = "All \\ of\nthem \"here\".", .type = METRIC_COUNTER},
        {.name = "b", .labels = "state=\"X\"", .help = "B.", .type = METRIC_GAUGE, .value = 0.5},
        {.name = "b", .labels = "state=\"Y\"", .help = "B.", .type = METRIC_GAUGE, .value = -1},
        {.name = "c", .labels = "", .help = "", .type = METRIC_GAUGE},
    };
    metric_add(&rows[0], 3);
    char *text = write(rows, COUNT(rows));
    assert_string_equal(text, "# HELP a_total All \\\\ of\\nthem \"here\".\n"
                              "# TYPE a_total counter\n"
                              "a_total 3\n"
                              "# HELP b B.\n"
                              "# TYPE b gauge\n"
                              "b{state=\"X\"} 0.5\n"
                              "b{state=\"Y\"} -1\n"
                              "# HELP c \n"
                              "# TYPE c gauge\n"
                              "c 0\n");
    free(text);
    text = write(rows, 0);
    assert_string_equal(text, "");
    free(text);
}

static void test_counters_and_gauges(void **state) {
    (void)state;
    struct metric counter = {.name = "c", .help = "", .type = METRIC_COUNTER};
    struct metric gauge = {.name = "g", .help = "", .type = METRIC_GAUGE};
    for (int i = 0; i < 1000; i++)
        metric_add(&counter, 1);
    metric_add(&counter, -5);
    metric_add(&counter, (double)NAN);
    metric_add(&gauge, 3);
    metric_add(&gauge, -5);
    char *text = write(&counter, 1);
    assert_float_equal(read_sample(text, "c"), 1000, 0);
    free(text);
    text = write(&gauge, 1);
    assert_float_equal(read_sample(text, "g"), -2, 0);
    free(text);
    metric_set(&gauge, 9007199254740991);
    text = write(&gauge, 1);
    assert_non_null(strstr(text, "\ng 9007199254740991\n"));
    free(text);
}

static void test_histogram(void **state) {
    (void)state;
    static const double bounds[] = {0.1, 1, 10, 0};
    struct metric rows[] = {
        {.name = "h", .help = "H.", .type = METRIC_HISTOGRAM, .bounds = bounds},
        {.name = "h",
         .labels = "x=\"y\"",
         .help = "H.",
         .type = METRIC_HISTOGRAM,
         .bounds = bounds},
    };
    static const double values[] = {0, 0.1, 0.25, 1, 1.5, 10, 10.5, 1e9};
    for (size_t i = 0; i < COUNT(values); i++)
        metric_observe(&rows[0], values[i]);
    metric_observe(&rows[0], (double)NAN);
    char *text = write(rows, COUNT(rows));
    assert_string_equal(text, "# HELP h H.\n"
                              "# TYPE h histogram\n"
                              "h_bucket{le=\"0.1\"} 2\n"
                              "h_bucket{le=\"1\"} 4\n"
                              "h_bucket{le=\"10\"} 6\n"
                              "h_bucket{le=\"+Inf\"} 8\n"
                              "h_sum 1000000023.35\n"
                              "h_count 8\n"
                              "h_bucket{x=\"y\",le=\"0.1\"} 0\n"
                              "h_bucket{x=\"y\",le=\"1\"} 0\n"
                              "h_bucket{x=\"y\",le=\"10\"} 0\n"
                              "h_bucket{x=\"y\",le=\"+Inf\"} 0\n"
                              "h_sum{x=\"y\"} 0\n"
                              "h_count{x=\"y\"} 0\n");
    free(text);
}

static void test_bounds(void **state) {
    (void)state;
    const struct {
        const double *bounds;
        double first, last;
    } tables[] = {{metrics_seconds, 0.001, 60}, {metrics_long_seconds, 0.1, 43200}};
    for (size_t t = 0; t < COUNT(tables); t++) {
        struct metric m = {
            .name = "h", .help = "", .type = METRIC_HISTOGRAM, .bounds = tables[t].bounds};
        size_t n = 0;
        for (; m.bounds[n] > 0; n++) {
            assert_true(n == 0 || m.bounds[n] > m.bounds[n - 1]);
            metric_observe(&m, m.bounds[n]);
            assert_int_equal(m.buckets[n], 1);
        }
        assert_true(n <= METRIC_BUCKETS_MAX);
        assert_float_equal(m.bounds[0], tables[t].first, 0);
        assert_float_equal(m.bounds[n - 1], tables[t].last, 0);
        metric_observe(&m, 2 * tables[t].last);
        char *text = write(&m, 1);
        assert_float_equal(read_sample(text, "h_bucket{le=\"+Inf\"}"), n + 1, 0);
        assert_float_equal(read_sample(text, "h_count"), n + 1, 0);
        for (size_t i = 0; i < n; i++) {
            char sample[64];
            snprintf(sample, sizeof sample, "h_bucket{le=\"%.15g\"}", m.bounds[i]);
            assert_float_equal(read_sample(text, sample), i + 1, 0);
        }
        free(text);
    }
}

/* As many bounds as there may be: the last bucket is still the one beyond. */
static void test_most_bounds(void **state) {
    (void)state;
    double bounds[METRIC_BUCKETS_MAX + 1] = {0};
    for (int i = 0; i < METRIC_BUCKETS_MAX; i++)
        bounds[i] = i + 1;
    struct metric m = {.name = "h", .help = "", .type = METRIC_HISTOGRAM, .bounds = bounds};
    metric_observe(&m, METRIC_BUCKETS_MAX);
    metric_observe(&m, METRIC_BUCKETS_MAX + 1);
    char *text = write(&m, 1);
    assert_float_equal(read_sample(text, "h_bucket{le=\"19\"}"), 0, 0);
    assert_float_equal(read_sample(text, "h_bucket{le=\"20\"}"), 1, 0);
    assert_float_equal(read_sample(text, "h_bucket{le=\"+Inf\"}"), 2, 0);
    free(text);
}

static void test_labels(void **state) {
    (void)state;
    struct buffer b;
    buffer_init(&b, 256);
    metrics_label(&b, "user", "a\"b\\c\nd");
    metrics_label(&b, "key", "");
    assert_string_equal(buffer_text(&b), "user=\"a\\\"b\\\\c\\nd\",key=\"\"");
    buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),   cmocka_unit_test(test_text),
        cmocka_unit_test(test_histogram), cmocka_unit_test(test_counters_and_gauges),
        cmocka_unit_test(test_bounds),    cmocka_unit_test(test_most_bounds),
        cmocka_unit_test(test_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
