#include "executor/limit/limit_log.h"

#include "common/base/log.h"
#include "executor/executor.h"

static const char *const why[PROBING_NEWS] = {
    [PROBING_FOUND] = "found",
    [PROBING_TAKEN] = "taken",
    [PROBING_REFUSED] = "refused",
    [PROBING_RISEN] = "risen",
};

static void tell(struct executor *x, enum lane lane, const struct probing *p) {
    struct learning *l = &x->learning[lane];
    int limit = fleet_link_limit(x->fleet, lane);
    for (int i = 0; i < PROBING_NEWS; i++) {
        int64_t more = p->news[i] - l->told[i]; /* below 0: it has begun to learn anew */
        l->told[i] = p->news[i];
        if (more <= 0)
            continue;
        metric_add(&x->metrics[METRIC_NEWS + lane * PROBING_NEWS + i], (double)more);
        log_debug("limit: lane=%s why=%s limit=%d was=%d gap=%.1f before=%d", lane_name(lane),
                  why[i], limit, l->limit, p->gap_starts, p->limit_before_loss);
    }
    l->limit = limit;
}

void learning_tell(struct executor *x) {
    for (int lane = 0; lane < LANES; lane++) {
        const struct probing *p = fleet_link_learns(x->fleet, lane);
        if (p != NULL)
            tell(x, (enum lane)lane, p);
    }
}
