#include "executor/limit/probing.h"

#include <limits.h>

/*
 * The numbers were found in the models of test_admission_model.c and test_fleet.c (400 queries of
 * 2 s over a quota of 20; others take and give back half of it) and held against the cases A, long
 * and moving of tests/bench: the least time at no more than 4 % throttled starts.
 */
enum {
    WAIT_MS = 60000,
    WAIT_MAX_MS = 240000,
    WAIT_IDLE_MS = 2000, /* none of ours runs, so no end will come: only a probe can start one */
    /*
     * A backlog is worth a probe while it fills all slots so many times. A throttled query waits
     * for the redriver; near the end of a burst that costs more time than a slot wins.
     */
    LONG_BACKLOG_ROUNDS = 6,
};
/* A gap begins at the least after a loss, else at the usual one; the most after throttled probes.
 */
static const double gap_min = 5, gap_usual = 30, gap_max = 100, gap_growth = 1.2, cut = 0.75;

/*
 * More calls at once for slots that may not be free learn faster and waste more. These numbers were
 * found in the same models (1,000 queries of 2 s, quotas of 5 to 500, latencies of 15 to 500 ms):
 * at most 4 % throttled, and within 3 % of an executor that knows a quota up to 100.
 */
enum {
    WINDOW_FIRST_SHARE = 50, /* of the burst, before anything is known, … */
    WINDOW_FIRST_MOST = 20,  /* … however long it is: doubling is soon there */
    WINDOW_SHARE = 40,       /* of the burst: so much of it may be throttled at the quota, … */
    STARTED_SHARE = 12,      /* … and of what has started: a large quota is probed less */
    WINDOW_MOST_SHARE = 27,  /* of the burst: the most that both make */
    WINDOW_MIN = 4,          /* calls where these shares are less, and … */
    WINDOW_SMALL = 10,       /* … where so many have started */
};

static int64_t min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

void probing_init(struct probing *p, int64_t now_ms) {
    *p = (struct probing){.gap_starts = gap_usual, .tested_ms = now_ms, .wait_ms = WAIT_MS};
}

bool probing_is_worth(int limit, int64_t backlog) {
    return backlog >= (int64_t)limit * LONG_BACKLOG_ROUNDS;
}

int probing_widest_window(int64_t burst, int64_t started) {
    int64_t share = min(burst / WINDOW_SHARE + started / STARTED_SHARE, burst / WINDOW_MOST_SHARE);
    return (int)min(max(max(share, WINDOW_MIN), min(started, WINDOW_SMALL)), INT_MAX);
}

int probing_window(bool cold, int64_t burst, int64_t started) {
    int64_t first = cold ? min(max(burst / WINDOW_FIRST_SHARE, WINDOW_MIN), WINDOW_FIRST_MOST) : 1;
    return (int)min(max(first, 1 + started), probing_widest_window(burst, started));
}

bool probing_is_due(const struct probing *p, int64_t now_ms, int limit, int held, int64_t backlog) {
    return (probing_is_worth(limit, backlog) && (double)p->starts_since >= p->gap_starts) ||
           now_ms - p->tested_ms >= (held > 0 ? p->wait_ms : WAIT_IDLE_MS);
}

void probing_probe_made(struct probing *p, int64_t now_ms) {
    p->tested_ms = now_ms;
}

void probing_started(struct probing *p, int64_t starts) {
    p->starts_since += starts;
}

static void restart_gap(struct probing *p, int64_t now_ms) {
    p->starts_since = 0;
    p->tested_ms = now_ms;
}

void probing_probe_throttled(struct probing *p, int64_t now_ms) {
    restart_gap(p, now_ms);
    p->news[PROBING_REFUSED]++;
    p->wait_ms = min(2 * p->wait_ms, WAIT_MAX_MS);
    p->gap_starts *= gap_growth;
    if (p->gap_starts > gap_usual)
        p->limit_before_loss = 0; /* what was lost does not come back */
    if (p->gap_starts > gap_max)
        p->gap_starts = gap_max;
}

static void note_loss(struct probing *p, int64_t now_ms, int limit) {
    restart_gap(p, now_ms);
    p->news[PROBING_TAKEN]++;
    p->wait_ms = WAIT_MS;
    p->gap_starts = gap_min;
    if (p->limit_before_loss < limit)
        p->limit_before_loss = limit;
}

void probing_found(struct probing *p, int64_t now_ms, int limit) {
    restart_gap(p, now_ms);
    p->news[PROBING_FOUND]++;
    p->wait_ms = WAIT_MS;
    probing_corrected(p, limit);
}

int probing_throttled(struct probing *p, int64_t now_ms, enum probing_phase phase, int limit,
                      int held) {
    if (phase == PROBING_STEADY) {
        p->throttles_in_row++;
        note_loss(p, now_ms, limit);
    } else {
        p->throttles_in_row = phase == PROBING_CHECKING;
        probing_found(p, now_ms, held);
    }
    return (int)min(limit, p->throttles_in_row < 2 ? held : (int)(held * cut));
}

bool probing_recovers(struct probing *p) {
    bool recovers = p->throttles_in_row > 1;
    p->throttles_in_row = 0;
    return recovers;
}

void probing_corrected(struct probing *p, int limit) {
    p->gap_starts = limit < p->limit_before_loss ? gap_min : gap_usual;
}

void probing_risen(struct probing *p) {
    p->news[PROBING_RISEN]++;
}
