#include "executor/limit/limit_log.h"

#include "common/base/log.h"
#include "executor/metrics.h"

static const char *const why[] = {
    [PROBING_FOUND] = "found",
    [PROBING_TAKEN] = "taken",
    [PROBING_REFUSED] = "refused",
    [PROBING_RISEN] = "risen",
};
_Static_assert(sizeof why / sizeof *why == PROBING_NEWS, "a word for each piece of news");

void limit_log_init(struct limit_log *log, const struct fleet_link *fleet, struct metric *metrics) {
    *log = (struct limit_log){.fleet = fleet, .metrics = metrics};
}

static void limit_log_write_lane(struct limit_log *log, enum lane lane, const struct probing *p) {
    struct limit_log_lane *l = &log->lanes[lane];
    int limit = fleet_link_limit(log->fleet, lane);
    for (int i = 0; i < PROBING_NEWS; i++) {
        int64_t more = p->news[i] - l->logged[i]; /* below 0: it has begun to learn anew */
        l->logged[i] = p->news[i];
        if (more <= 0)
            continue;
        metric_add(&log->metrics[METRIC_NEWS + (int)lane * PROBING_NEWS + i], (double)more);
        log_debug("limit: lane=%s why=%s limit=%d was=%d gap=%.1f before=%d", lane_name(lane),
                  why[i], limit, l->limit, p->gap_starts, p->limit_before_loss);
    }
    l->limit = limit;
}

void limit_log_write(struct limit_log *log) {
    for (int lane = 0; lane < LANES; lane++) {
        const struct probing *p = fleet_link_learns(log->fleet, lane);
        if (p != NULL)
            limit_log_write_lane(log, (enum lane)lane, p);
    }
}
