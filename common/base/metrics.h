/*
 * Counters, gauges and histograms, in rows, and their text for Prometheus (format 0.0.4).
 *
 * A program keeps one array of struct metric, indexed by an enum of its own. One thread.
 */
#ifndef COMMON_BASE_METRICS_H
#define COMMON_BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

enum metric_type {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM
};

enum {
    METRIC_BUCKETS_MAX = 20
};

struct metric {
    const char *name;   /* athena_query_start_total */
    const char *labels; /* "state=\"FAILED\"", NULL: none; rows of one name stand together */
    const char *help;
    enum metric_type type;
    const double *bounds; /* histogram: upper bounds, above 0, ascending; 0 ends the list */
    double value;         /* counter, gauge; histogram: the sum */
    uint64_t
        buckets[METRIC_BUCKETS_MAX + 1]; /* values within each bound; the last: beyond all bounds */
};

extern const double metrics_seconds[];      /* bounds for latencies: 1 ms to 60 s */
extern const double metrics_long_seconds[]; /* for waiting and running: 100 ms to 12 h */

void metric_add(struct metric *m, double n); /* a counter never goes back: then it does nothing */
void metric_set(struct metric *m, double value);
void metric_observe(struct metric *m, double value); /* a value that is no number is left out */

/* A label with its value escaped, `name="value"`; behind others (`out` not empty) after a comma. */
void metrics_label(struct buffer *out, const char *name, const char *value);
/* A number as Prometheus reads it; whole ones up to 2^53 without an exponent. */
void metrics_number(struct buffer *out, double value);

/* HELP and TYPE once a name. */
void metrics_write(const struct metric *rows, size_t count, struct buffer *out);

#endif
