#include "executor/query/poll_pace.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/attempts.h"

enum {
    INTERVAL_LEAST_MS = 50,
    INTERVAL_MOST_MS = 1000,
    SPACING_LEAST_MS = 100,
    LEAST_PERCENT = 90,         /* of the shortest of the last queries: the next may be shorter */
    CREDENTIALS_MOST_MS = 5000, /* as gate.c: a refused call costs nothing */
    APART_MOST_MS = 2000,
    THROTTLED_EVERY_MS = 1000, /* calls that were under way together count as one */
};
static const double apart_longer = 1.5,
                    apart_shorter = 0.98; /* test_poll_pace.c: with Athena's rate */

void poll_pace_init(struct poll_pace *p, int64_t fixed_ms) {
    *p = (struct poll_pace){
        .fixed_ms = fixed_ms, .spacing_ms = SPACING_LEAST_MS, .apart_ms = SPACING_LEAST_MS};
}

void poll_pace_ended(struct poll_pace *p, double seconds) {
    p->durations_s[p->next] = seconds;
    p->next = (p->next + 1) % POLL_PACE_DURATIONS;
    if (p->count < POLL_PACE_DURATIONS)
        p->count++;
}

void poll_pace_swept(struct poll_pace *p, int64_t now_ms) {
    p->swept_ms = now_ms;
}

void poll_pace_called(struct poll_pace *p, int64_t now_ms) {
    p->rests_since_ms = now_ms;
}

void poll_pace_worked(struct poll_pace *p, int64_t latency_ms) {
    p->latency_ms = p->latency_ms == 0 ? latency_ms : (7 * p->latency_ms + latency_ms) / 8;
    p->failures = 0;
    p->apart_ms *= apart_shorter;
    if (p->apart_ms < SPACING_LEAST_MS)
        p->apart_ms = SPACING_LEAST_MS;
    p->spacing_ms = (int64_t)p->apart_ms;
}

void poll_pace_throttled(struct poll_pace *p, int64_t now_ms) {
    if (p->throttled_ms == 0 || now_ms - p->throttled_ms >= THROTTLED_EVERY_MS) {
        p->apart_ms *= apart_longer;
        p->throttled_ms = now_ms;
    }
    if (p->apart_ms > APART_MOST_MS)
        p->apart_ms = APART_MOST_MS;
    p->spacing_ms = (int64_t)p->apart_ms;
    p->rests_since_ms = now_ms;
}

void poll_pace_failed(struct poll_pace *p, int64_t now_ms, bool is_credentials) {
    p->failures += p->failures < INT_MAX;
    p->spacing_ms = attempts_delay_ms(p->failures);
    if (p->spacing_ms < SPACING_LEAST_MS)
        p->spacing_ms = SPACING_LEAST_MS;
    if (is_credentials && p->spacing_ms > CREDENTIALS_MOST_MS)
        p->spacing_ms = CREDENTIALS_MOST_MS;
    p->rests_since_ms = now_ms; /* a call that timed out has had its time */
}

int64_t poll_pace_interval_ms(double median_s) {
    double ms = median_s * 1000 / 20;
    if (median_s <= 0)
        return SPACING_LEAST_MS;
    return ms < INTERVAL_LEAST_MS  ? INTERVAL_LEAST_MS
           : ms > INTERVAL_MOST_MS ? INTERVAL_MOST_MS
                                   : (int64_t)ms;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const struct poll_pace *p) {
    if (p->count == 0)
        return 0;
    double sorted[POLL_PACE_DURATIONS];
    memcpy(sorted, p->durations_s, p->count * sizeof *sorted);
    qsort(sorted, p->count, sizeof *sorted, by_value);
    return sorted[p->count / 2];
}

int64_t poll_pace_sweep_ms(const struct poll_pace *p) {
    return p->fixed_ms > 0 ? p->fixed_ms : poll_pace_interval_ms(median(p));
}

bool poll_pace_sweep_is_due(const struct poll_pace *p, int64_t now_ms) {
    return now_ms - p->swept_ms >= poll_pace_sweep_ms(p);
}

int64_t poll_pace_delay_ms(const struct poll_pace *p, int64_t now_ms, bool begins) {
    int64_t spaced_ms = p->spacing_ms - (now_ms - p->rests_since_ms);
    int64_t due_ms = begins ? poll_pace_sweep_ms(p) - (now_ms - p->swept_ms) : 0;
    int64_t delay_ms = due_ms > spaced_ms ? due_ms : spaced_ms;
    return delay_ms > 0 ? delay_ms : 0;
}

int64_t poll_pace_least_ms(const struct poll_pace *p) {
    double least_s = p->count > 0 ? p->durations_s[0] : 0;
    for (size_t i = 1; i < p->count; i++)
        if (p->durations_s[i] < least_s)
            least_s = p->durations_s[i];
    double least_ms = least_s * 1000 * LEAST_PERCENT / 100 - (double)p->latency_ms;
    return least_ms > 0 ? (int64_t)least_ms : 0;
}
