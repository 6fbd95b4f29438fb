#include "executor/limit/fleet_member.h"

#include <string.h>

void fleet_member_init(struct fleet_member *m) {
    memset(m, 0, sizeof *m);
}

void fleet_member_granted(struct fleet_member *m, int64_t now_ms) {
    m->share_ms = now_ms;
}

void fleet_member_forgotten(struct fleet_member *m) {
    m->was_forgotten = true;
}

/* --- sweeps over what runs -------------------------------------------------------------------- */

void fleet_member_sweep_begins(struct fleet_member *m, const struct fleet_view *v, uint64_t sweep) {
    size_t i = sweep % FLEET_SWEEPS;
    m->sweeps[i].number = sweep;
    m->sweeps[i].version = v->grant.version;
}

/* 0: not known. */
static int64_t version_of(const struct fleet_member *m, uint64_t sweep) {
    size_t i = sweep % FLEET_SWEEPS;
    return m->sweeps[i].number == sweep ? m->sweeps[i].version : 0;
}

double fleet_member_count_at(const struct fleet_member *m, const struct fleet_view *v,
                             uint64_t sweep, enum lane lane) {
    return version_of(m, sweep) == v->grant.version ? v->grant.lanes[lane].check_at : 0;
}

void fleet_member_swept(struct fleet_member *m, const struct fleet_view *v, uint64_t sweep,
                        enum lane lane, double submitted, int counted) {
    double at = fleet_member_count_at(m, v, sweep, lane);
    int64_t version = version_of(m, sweep);
    if (version < m->swept[lane].version)
        return; /* one that began later has ended before */
    m->swept[lane].version = version;
    m->swept[lane].submitted = submitted;
    if (at > 0) {
        m->swept[lane].counted_at = at;
        m->swept[lane].counted = counted;
    }
}

/* --- following grants ------------------------------------------------------------------------- */

/* It keeps what it has until the first grant that has a share for it. */
static void begin_governed(struct fleet_member *m, struct admission a[LANES]) {
    m->governed = true;
    for (int lane = 0; lane < LANES; lane++)
        admission_govern(&a[lane], a[lane].cold ? admission_held(&a[lane]) : a[lane].limit, -1);
}

static void begin_alone(struct fleet_member *m, const struct fleet_view *v,
                        struct admission a[LANES], int64_t now_ms) {
    m->governed = false;
    for (int lane = 0; lane < LANES; lane++) {
        bool all = v->owns_all && v->grant.version > 0;
        int limit = all ? v->grant.lanes[lane].limit : a[lane].share;
        bool learned = all ? v->grant.lanes[lane].learned : limit > 0;
        admission_learn_alone(&a[lane], now_ms, limit > 0 ? limit : 1, learned);
    }
}

static void give_up_share(struct fleet_member *m, struct admission a[LANES]) {
    for (int lane = 0; lane < LANES; lane++)
        admission_revoke_share(&a[lane]);
    m->report_ms = 0; /* reports at once, so that the leader knows that it is there */
}

static void note_checks(struct fleet_member *m, const struct fleet_view *v) {
    for (int lane = 0; lane < LANES; lane++) {
        int64_t *version = &m->check_version[lane];
        if (v->grant.lanes[lane].check == QUOTA_CHECK_NONE)
            *version = 0;
        else if (*version == 0)
            *version = v->grant.version;
    }
}

void fleet_member_follow(struct fleet_member *m, const struct fleet_view *v, int64_t now_ms,
                         struct admission a[LANES]) {
    const struct fleet_share *mine = fleet_view_own_share(v);
    note_checks(m, v);
    bool govern = v->caught_up && !v->owns_all && now_ms - m->share_ms < FLEET_SILENT_MS;
    if (govern && !m->governed)
        begin_governed(m, a);
    else if (!govern && m->governed)
        begin_alone(m, v, a, now_ms);
    if (m->governed && m->was_forgotten)
        give_up_share(m, a);
    m->was_forgotten = false;
    for (int lane = 0; m->governed && mine != NULL && lane < LANES; lane++)
        admission_govern(&a[lane], mine->lanes[lane], v->grant.version);
}

/* --- reports ---------------------------------------------------------------------------------- */

static void write_report(const struct fleet_member *m, const struct fleet_view *v,
                         const struct admission a[LANES], const struct fleet_work work[LANES],
                         struct fleet_report *r) {
    *r = (struct fleet_report){.version = a[0].version};
    memcpy(r->id, v->id, sizeof r->id);
    for (int lane = 0; lane < LANES; lane++)
        r->lanes[lane] = (struct quota_report){
            .share = a[lane].share,
            .held = admission_held(&a[lane]),
            .calls = a[lane].calls,
            .waiting = work[lane].waiting,
            .backlog = work[lane].backlog,
            .limit = a[lane].cold ? 0 : a[lane].limit,
            .starts = a[lane].starts,
            .throttles = a[lane].throttles,
            .throttled_version = a[lane].throttled_version,
            .swept_version = m->swept[lane].version,
            .submitted = m->swept[lane].submitted,
            .counted_at = m->swept[lane].counted_at,
            .counted = m->swept[lane].counted,
        };
}

/* It has work and no slot for it, and no answer is outstanding that could change that. */
static bool is_full(const struct quota_report *r) {
    return r->waiting > 0 && r->held >= r->share && r->calls == 0;
}

static bool fill_differs(const struct quota_fill *was, const struct quota_fill *is) {
    return is->version != was->version || is->full != was->full || is->settled != was->settled;
}

static bool lane_differs(const struct quota_report *was, const struct quota_report *is,
                         bool is_checked) {
    if (is->throttles != was->throttles || (is_full(is) && !is_full(was)) ||
        (is->waiting == 0 && was->waiting > 0))
        return true;
    return is_checked && (is->swept_version != was->swept_version ||
                          is->counted_at != was->counted_at || (is->calls == 0 && was->calls > 0));
}

/* More of its queries run, while the leader raises a limit that was never met. */
static bool lane_grows(const struct quota_report *was, const struct quota_report *is) {
    return is->waiting > 0 && is->held - is->calls > was->held - was->calls;
}

/* Whether the leader may grant something else for it, so that the report does not wait. */
static bool is_urgent(const struct fleet_member *m, const struct fleet_view *v, int64_t now_ms,
                      const struct fleet_report *now) {
    if (now->version != m->report.version || v->epoch != m->report_epoch)
        return true;
    for (int lane = 0; lane < LANES; lane++)
        if (fill_differs(&m->reported[lane], &m->fill[lane]) ||
            lane_differs(&m->report.lanes[lane], &now->lanes[lane],
                         v->grant.lanes[lane].check != QUOTA_CHECK_NONE) ||
            (!v->grant.lanes[lane].learned && now_ms - m->report_ms >= FLEET_GROWING_MS &&
             lane_grows(&m->report.lanes[lane], &now->lanes[lane])))
            return true;
    return false;
}

bool fleet_member_reports(struct fleet_member *m, const struct fleet_view *v, int64_t now_ms,
                          const struct admission a[LANES], const struct fleet_work work[LANES]) {
    if (!v->caught_up || v->owns_all)
        return false;
    struct fleet_report now;
    write_report(m, v, a, work, &now);
    for (int lane = 0; lane < LANES; lane++)
        quota_fill_update(&m->fill[lane], &now.lanes[lane], now.version);
    if (m->report_ms != 0 && now_ms - m->report_ms < FLEET_REPORT_MS &&
        !is_urgent(m, v, now_ms, &now))
        return false;
    m->report = now;
    memcpy(m->reported, m->fill, sizeof m->reported);
    m->report_ms = now_ms;
    m->report_epoch = v->epoch;
    return true;
}
