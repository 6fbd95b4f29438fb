#include "executor/probing.h"

/* Found by trying them in a model and over HTTP: ±, not magic. */
enum {
    EVERY_MS = 20000,
    EVERY_IDLE_MS = 2000, /* when nothing of ours runs, only a probe can tell */
    LONG_ROUNDS = 6,      /* of all slots */
};
const double probing_gap_least = 8, probing_gap_most = 25;
static const double gap_growth = 1.6, cut = 0.75;

double probing_gap_wider(double gap) {
    return gap * gap_growth < probing_gap_most ? gap * gap_growth : probing_gap_most;
}

double probing_gap_after_growth(double gap, int grown, bool is_cold) {
    return grown > 1 && !is_cold ? probing_gap_least : probing_gap_wider(gap);
}

bool probing_is_long(int64_t backlog, int limit) {
    return backlog >= (int64_t)limit * LONG_ROUNDS;
}

int64_t probing_every_ms(int held) {
    return held > 0 ? EVERY_MS : EVERY_IDLE_MS;
}

int probing_limit_after_throttle(int limit, int held, int streak) {
    int found = streak < 2 ? held : (int)(held * cut);
    return found < limit ? found : limit;
}
