#include "executor/limit/probing.h"

/* Found by trying them in a model and over HTTP: ±, not magic. */
enum {
    WAIT_MS = 60000,
    WAIT_MOST_MS = 240000,
    WAIT_IDLE_MS = 2000, /* when nothing of ours runs, only a probe can tell */
    LONG_ROUNDS = 6,     /* of all slots: a query that is refused waits for the redriver */
};
static const double gap_least = 5, gap_most = 30, gap_growth = 1.1, cut = 0.75;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

void probing_init(struct probing *p, int64_t now_ms) {
    *p = (struct probing){.gap = gap_most, .last_ms = now_ms, .wait_ms = WAIT_MS};
}

bool probing_is_due(const struct probing *p, int64_t now_ms, int limit, int held, int64_t backlog) {
    bool is_long = backlog >= (int64_t)limit * LONG_ROUNDS;
    return (is_long && (double)p->since >= p->gap) ||
           now_ms - p->last_ms >= (held > 0 ? p->wait_ms : WAIT_IDLE_MS);
}

void probing_made(struct probing *p, int64_t now_ms) {
    p->last_ms = now_ms;
}

void probing_started(struct probing *p, int64_t starts) {
    p->since += starts;
}

static void refused(struct probing *p, int64_t now_ms) {
    p->since = 0;
    p->last_ms = now_ms;
}

void probing_refused(struct probing *p, int64_t now_ms) {
    refused(p, now_ms);
    p->news[PROBING_REFUSED]++;
    p->wait_ms = least(2 * p->wait_ms, WAIT_MOST_MS);
    p->gap *= gap_growth;
    if (p->gap < gap_most)
        return;
    p->gap = gap_most;
    p->before = 0;
}

static void taken(struct probing *p, int64_t now_ms, int limit) {
    refused(p, now_ms);
    p->news[PROBING_TAKEN]++;
    p->wait_ms = WAIT_MS;
    p->gap = gap_least;
    if (p->before < limit)
        p->before = limit;
}

void probing_found(struct probing *p, int64_t now_ms, int limit) {
    refused(p, now_ms);
    p->news[PROBING_FOUND]++;
    p->wait_ms = WAIT_MS;
    probing_corrected(p, limit);
}

int probing_throttled(struct probing *p, int64_t now_ms, enum probing_edge edge, int limit,
                      int held) {
    if (edge == PROBING_EDGE_KNOWN) {
        p->streak++;
        taken(p, now_ms, limit);
    } else {
        p->streak = edge == PROBING_EDGE_SOUGHT;
        probing_found(p, now_ms, held);
    }
    return (int)least(limit, p->streak < 2 ? held : (int)(held * cut));
}

bool probing_recovers(struct probing *p) {
    bool recovers = p->streak > 1;
    p->streak = 0;
    return recovers;
}

void probing_corrected(struct probing *p, int limit) {
    p->gap = limit < p->before ? gap_least : gap_most;
}

void probing_risen(struct probing *p) {
    p->news[PROBING_RISEN]++;
}
