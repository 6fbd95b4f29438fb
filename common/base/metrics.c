#include "common/base/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each has METRIC_BUCKETS_MAX at most. */
const double metrics_seconds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                  0.5,   1,      2.5,   5,    10,    30,   60,  0};
const double metrics_long_seconds[] = {0.1, 0.25, 0.5, 1,    2.5,  5,    10,    30,    60,
                                       120, 300,  600, 1800, 3600, 7200, 14400, 43200, 0};

void metric_add(struct metric *m, double n) {
    if (m->type == METRIC_GAUGE || n > 0)
        m->value += n;
}

void metric_set(struct metric *m, double value) {
    m->value = value;
}

void metric_observe(struct metric *m, double value) {
    if (isnan(value))
        return;
    size_t i = 0;
    while (i < METRIC_BUCKETS_MAX && m->bounds[i] > 0 && value > m->bounds[i])
        i++;
    m->buckets[i]++;
    m->value += value;
}

/* --- text ------------------------------------------------------------------------------------- */

void metrics_number(struct buffer *out, double value) {
    const double whole_max = 9007199254740992; /* 2^53 */
    char text[32];
    if (isnan(value)) {
        snprintf(text, sizeof text, "NaN");
    } else if (isinf(value)) {
        snprintf(text, sizeof text, value > 0 ? "+Inf" : "-Inf");
    } else if (fabs(value) <= whole_max && floor(value) == value) {
        snprintf(text, sizeof text, "%" PRId64, (int64_t)value);
    } else {
        snprintf(text, sizeof text, "%.15g", value);
        if (strtod(text, NULL) < value || strtod(text, NULL) > value)
            snprintf(text, sizeof text, "%.17g", value);
    }
    buffer_puts(out, text);
}

static void add_escaped(struct buffer *out, const char *text, bool quoted) {
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            buffer_puts(out, "\\n");
        else if (*text == '\\' || (quoted && *text == '"'))
            buffer_printf(out, "\\%c", *text);
        else
            buffer_putc(out, *text);
    }
}

void metrics_label(struct buffer *out, const char *name, const char *value) {
    buffer_printf(out, "%s%s=\"", out->len > 0 ? "," : "", name);
    add_escaped(out, value, true);
    buffer_putc(out, '"');
}

static bool is_labelled(const struct metric *m) {
    return m->labels != NULL && m->labels[0] != '\0';
}

static void write_sample(const struct metric *m, const char *suffix, double value,
                         struct buffer *out) {
    buffer_printf(out, "%s%s", m->name, suffix);
    if (is_labelled(m))
        buffer_printf(out, "{%s}", m->labels);
    buffer_putc(out, ' ');
    metrics_number(out, value);
    buffer_putc(out, '\n');
}

static void write_bucket(const struct metric *m, double bound, uint64_t count, struct buffer *out) {
    buffer_printf(out, "%s_bucket{", m->name);
    if (is_labelled(m))
        buffer_printf(out, "%s,", m->labels);
    buffer_puts(out, "le=\"");
    metrics_number(out, bound);
    buffer_printf(out, "\"} %" PRIu64 "\n", count);
}

static void write_histogram(const struct metric *m, struct buffer *out) {
    uint64_t count = 0;
    size_t i = 0;
    for (; i < METRIC_BUCKETS_MAX && m->bounds[i] > 0; i++) {
        count += m->buckets[i];
        write_bucket(m, m->bounds[i], count, out);
    }
    count += m->buckets[i];
    write_bucket(m, (double)INFINITY, count, out);
    write_sample(m, "_sum", m->value, out);
    write_sample(m, "_count", (double)count, out);
}

void metrics_write(const struct metric *rows, size_t count, struct buffer *out) {
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    for (size_t i = 0; i < count; i++) {
        const struct metric *m = &rows[i];
        if (i == 0 || strcmp(m->name, rows[i - 1].name) != 0) {
            buffer_printf(out, "# HELP %s ", m->name);
            add_escaped(out, m->help, false);
            buffer_printf(out, "\n# TYPE %s %s\n", m->name, types[m->type]);
        }
        if (m->type == METRIC_HISTOGRAM)
            write_histogram(m, out);
        else
            write_sample(m, "", m->value, out);
    }
}
