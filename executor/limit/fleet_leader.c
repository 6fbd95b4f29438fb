#include "executor/limit/fleet_leader.h"

#include <string.h>

enum {
    CLAIM_AGAIN_MS = 2000,
    CUT_OFF_MS = 3000, /* three of its own reports (FLEET_REPORT_MS) are missing */
};

void fleet_leader_init(struct fleet_leader *l) {
    memset(l, 0, sizeof *l);
}

/* --- members ---------------------------------------------------------------------------------- */

static size_t find_member(const struct fleet_leader *l, const char *id) {
    size_t i = 0;
    while (i < l->count && strcmp(l->ids[i], id) != 0)
        i++;
    return i;
}

/* FLEET_MEMBERS_MAX: there is no room for it. */
static size_t add_member(struct fleet_leader *l, const char *id, int64_t now_ms) {
    if (l->count == FLEET_MEMBERS_MAX)
        return FLEET_MEMBERS_MAX;
    size_t i = l->count++;
    fleet_id_copy(l->ids[i], id);
    l->report_ms[i] = now_ms;
    for (int lane = 0; lane < LANES; lane++)
        l->members[lane][i] = (struct quota_member){.last = {.share = 0}};
    return i;
}

static void remove_member(struct fleet_leader *l, size_t i) {
    size_t behind = --l->count - i;
    memmove(l->ids[i], l->ids[i + 1], behind * sizeof l->ids[i]);
    memmove(&l->report_ms[i], &l->report_ms[i + 1], behind * sizeof l->report_ms[i]);
    for (int lane = 0; lane < LANES; lane++) {
        struct quota_member *members = l->members[lane];
        memmove(&members[i], &members[i + 1], behind * sizeof *members);
        quota_forget_member(&l->quota[lane], i);
    }
    l->grant_due = true;
}

/* --- what is read ----------------------------------------------------------------------------- */

void fleet_leader_apply_claim(struct fleet_leader *l) {
    l->claim_ms = 0;
    l->leads = false; /* fleet_leader_step() begins to lead if the claim is this executor's */
}

/* If its own reports do not come back, this executor is cut off, and silence proves nothing. */
static bool is_connected(const struct fleet_leader *l, int64_t now_ms) {
    return now_ms - l->own_report_ms < CUT_OFF_MS;
}

/*
 * After it was cut off, or did not run, the silence of the others counts from now on: what they
 * wrote meanwhile stands in the topic before its own report, and has been read.
 */
static void take_own_report(struct fleet_leader *l, int64_t now_ms) {
    for (size_t i = 0; i < l->count && !is_connected(l, now_ms); i++)
        l->report_ms[i] = now_ms;
    l->own_report_ms = now_ms;
}

void fleet_leader_apply_report(struct fleet_leader *l, const struct fleet_view *v,
                               const struct fleet_report *report, int64_t now_ms) {
    if (!l->leads)
        return;
    if (fleet_view_is_self(v, report->id))
        take_own_report(l, now_ms);
    size_t i = find_member(l, report->id);
    if (i == l->count && (i = add_member(l, report->id, now_ms)) == FLEET_MEMBERS_MAX)
        return;
    l->report_ms[i] = now_ms;
    for (int lane = 0; lane < LANES; lane++)
        l->grant_due |=
            quota_take_report(&l->quota[lane], l->members[lane], l->count, i, &report->lanes[lane],
                              report->version, l->grant.version + 1, now_ms);
}

void fleet_leader_apply_leave(struct fleet_leader *l, const char *id) {
    size_t i = find_member(l, id);
    if (l->leads && i < l->count)
        remove_member(l, i);
}

/* --- beginning to lead ------------------------------------------------------------------------ */

/* Goes on from what it has learned alone just now, else from the last leader's grant. */
static void resume_quota(struct fleet_leader *l, const struct fleet_view *v, int lane,
                         const struct admission *a, int64_t now_ms) {
    bool granted = v->grant.version > 0;
    bool fresh = granted && now_ms - v->grant_ms < FLEET_SILENT_MS;
    if (granted && (fresh || a->cold))
        quota_resume(&l->quota[lane], now_ms, v->grant.lanes[lane].limit,
                     v->grant.lanes[lane].learned);
    else if (a->cold)
        quota_init(&l->quota[lane], now_ms);
    else
        quota_resume(&l->quota[lane], now_ms, a->limit, true);
}

/*
 * The members of the last leader's grant hold what it gave them until each has reported or is
 * forgotten. None is forgotten before this executor could have read a report of it: until now it
 * has read none.
 */
static void inherit_members(struct fleet_leader *l, const struct fleet_view *v, int64_t now_ms) {
    int64_t heard_ms = now_ms - FLEET_GONE_MS + CUT_OFF_MS;
    if (v->grant_ms > heard_ms)
        heard_ms = v->grant_ms;
    for (size_t i = 0; i < v->grant.count; i++) {
        const struct fleet_share *s = &v->grant.shares[i];
        size_t m = add_member(l, s->id, heard_ms);
        for (int lane = 0; lane < LANES; lane++)
            quota_inherit(&l->quota[lane], &l->members[lane][m], s->lanes[lane]);
    }
}

static void begin_to_lead(struct fleet_leader *l, const struct fleet_view *v,
                          const struct admission a[LANES], int64_t now_ms) {
    l->leads = l->grant_due = true;
    l->count = 0;
    l->grant = v->grant;
    l->grant_ms = l->own_report_ms = now_ms;
    for (int lane = 0; lane < LANES; lane++)
        resume_quota(l, v, lane, &a[lane], now_ms);
    inherit_members(l, v, now_ms);
}

/* --- leading ---------------------------------------------------------------------------------- */

static void forget_one(struct fleet_leader *l, int64_t now_ms, struct fleet_due *due) {
    for (size_t i = 0; i < l->count && is_connected(l, now_ms); i++)
        if (now_ms - l->report_ms[i] >= FLEET_GONE_MS) {
            due->tombstone = true;
            memcpy(due->gone, l->ids[i], sizeof due->gone);
            remove_member(l, i);
            return;
        }
}

static bool is_same_grant(const struct fleet_grant *a, const struct fleet_grant *b) {
    if (a->epoch != b->epoch || a->count != b->count)
        return false;
    for (int lane = 0; lane < LANES; lane++)
        if (a->lanes[lane].limit != b->lanes[lane].limit ||
            a->lanes[lane].learned != b->lanes[lane].learned ||
            a->lanes[lane].check != b->lanes[lane].check ||
            a->lanes[lane].check_at != b->lanes[lane].check_at)
            return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->shares[i].id, b->shares[i].id) != 0 ||
            memcmp(a->shares[i].lanes, b->shares[i].lanes, sizeof a->shares[i].lanes) != 0)
            return false;
    return true;
}

static struct fleet_grant next_grant(const struct fleet_leader *l, const struct fleet_view *v) {
    struct fleet_grant g = {.epoch = v->epoch, .version = l->grant.version, .count = l->count};
    for (int lane = 0; lane < LANES; lane++) {
        const struct quota *q = &l->quota[lane];
        g.lanes[lane].limit = q->limit;
        g.lanes[lane].learned = !q->cold;
        g.lanes[lane].check = q->check;
        g.lanes[lane].check_at = q->check_at;
    }
    for (size_t i = 0; i < l->count; i++) {
        memcpy(g.shares[i].id, l->ids[i], sizeof g.shares[i].id);
        for (int lane = 0; lane < LANES; lane++)
            g.shares[i].lanes[lane] = l->members[lane][i].next;
    }
    return g;
}

/* A grant that says the same as the last one keeps its version. */
static void grant_shares(struct fleet_leader *l, const struct fleet_view *v, int64_t now_ms) {
    struct fleet_grant g = next_grant(l, v);
    if (l->grant_due || !is_same_grant(&g, &l->grant))
        g.version++;
    for (int lane = 0; lane < LANES; lane++)
        quota_granted(l->members[lane], l->count);
    l->grant = g;
    l->grant_ms = now_ms;
    l->grant_due = false;
}

static bool claims(struct fleet_leader *l, int64_t now_ms) {
    if (l->claim_ms != 0 && now_ms - l->claim_ms < CLAIM_AGAIN_MS)
        return false;
    l->claim_ms = now_ms;
    return true;
}

void fleet_leader_step(struct fleet_leader *l, const struct fleet_view *v, int64_t now_ms,
                       const struct admission a[LANES], struct fleet_due *due) {
    if (!v->caught_up || !v->owns_first || v->owns_all) {
        l->leads = false;
        return;
    }
    if (!fleet_view_is_self(v, v->claimant)) {
        due->claim = claims(l, now_ms);
        return;
    }
    if (!l->leads)
        begin_to_lead(l, v, a, now_ms);
    forget_one(l, now_ms, due);
    for (int lane = 0; lane < LANES; lane++) {
        l->quota[lane].latency_ms = a[lane].latency_ms;
        l->grant_due |=
            quota_allot(&l->quota[lane], l->members[lane], l->count, l->grant.version + 1, now_ms);
    }
    due->grant = l->grant_due || now_ms - l->grant_ms >= FLEET_GRANT_MS;
    if (due->grant)
        grant_shares(l, v, now_ms);
}
