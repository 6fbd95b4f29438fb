#include "executor/limit/fleet.h"

#include <string.h>

enum {
    CLAIM_AGAIN_MS = 2000,
    DEAF_MS = 3000, /* it reports once a second */
};

static void set_id(char out[FLEET_ID_MAX], const char *id) {
    size_t n = strnlen(id, FLEET_ID_MAX - 1);
    memcpy(out, id, n);
    out[n] = '\0';
}

void fleet_init(struct fleet *f, const char *id) {
    memset(f, 0, sizeof *f);
    set_id(f->id, id);
    f->epoch = -1;
}

void fleet_owns(struct fleet *f, bool first, bool all) {
    f->owns_first = first;
    f->owns_all = all;
}

static bool is_me(const struct fleet *f, const char *id) {
    return strcmp(f->id, id) == 0;
}

static struct fleet_share *find_share(struct fleet_grant *g, const char *id) {
    for (size_t i = 0; i < g->count; i++)
        if (strcmp(g->shares[i].id, id) == 0)
            return &g->shares[i];
    return NULL;
}

/* --- the members that a leader knows ---------------------------------------------------------- */

static size_t find_member(const struct fleet *f, const char *id) {
    size_t i = 0;
    while (i < f->count && strcmp(f->ids[i], id) != 0)
        i++;
    return i;
}

/* FLEET_MEMBERS_MAX: there is no room for it. */
static size_t add_member(struct fleet *f, const char *id, int64_t now_ms) {
    if (f->count == FLEET_MEMBERS_MAX)
        return FLEET_MEMBERS_MAX;
    size_t i = f->count++;
    set_id(f->ids[i], id);
    f->member_heard_ms[i] = now_ms;
    for (int lane = 0; lane < LANES; lane++)
        f->members[lane][i] = (struct quota_member){.last = {.share = 0}};
    return i;
}

static void drop_member(struct fleet *f, size_t i) {
    size_t behind = --f->count - i;
    memmove(f->ids[i], f->ids[i + 1], behind * sizeof f->ids[i]);
    memmove(&f->member_heard_ms[i], &f->member_heard_ms[i + 1],
            behind * sizeof f->member_heard_ms[i]);
    for (int lane = 0; lane < LANES; lane++) {
        struct quota_member *members = f->members[lane];
        memmove(&members[i], &members[i + 1], behind * sizeof *members);
        quota_gone(&f->quota[lane], i);
    }
    f->grant_due = true;
}

/* --- what is heard ---------------------------------------------------------------------------- */

void fleet_heard_claim(struct fleet *f, const char *id, int64_t offset) {
    f->epoch = offset;
    set_id(f->claimant, id);
    f->claimed_ms = 0;
    f->leads = false; /* fleet_step() takes office */
}

void fleet_heard_grant(struct fleet *f, const struct fleet_grant *grant, int64_t age_ms,
                       int64_t now_ms) {
    if (grant->epoch < f->epoch)
        return;
    if (grant->epoch > f->epoch) { /* the claim is no longer in the topic */
        f->epoch = grant->epoch;
        f->claimant[0] = '\0';
    }
    f->grant = *grant;
    f->grant_ms = now_ms - (age_ms > 0 ? age_ms : 0);
    if (find_share(&f->grant, f->id) != NULL)
        f->heard_ms = now_ms;
}

static bool hears_itself(const struct fleet *f, int64_t now_ms) {
    return now_ms - f->heard_self_ms < DEAF_MS;
}

/* What the others wrote while the leader slept, or was cut off, it has read before this. */
static void hear_myself(struct fleet *f, int64_t now_ms) {
    for (size_t i = 0; i < f->count && !hears_itself(f, now_ms); i++)
        f->member_heard_ms[i] = now_ms;
    f->heard_self_ms = now_ms;
}

void fleet_heard_report(struct fleet *f, const struct fleet_report *report, int64_t now_ms) {
    if (!f->leads)
        return;
    if (is_me(f, report->id))
        hear_myself(f, now_ms);
    size_t i = find_member(f, report->id);
    if (i == f->count && (i = add_member(f, report->id, now_ms)) == FLEET_MEMBERS_MAX)
        return;
    f->member_heard_ms[i] = now_ms;
    for (int lane = 0; lane < LANES; lane++)
        f->grant_due |=
            quota_heard(&f->quota[lane], f->members[lane], f->count, i, &report->lanes[lane],
                        report->version, f->led.version + 1, now_ms);
}

void fleet_heard_leave(struct fleet *f, const char *id) {
    size_t i = find_member(f, id);
    if (f->leads && i < f->count)
        drop_member(f, i);
    f->forgotten |= is_me(f, id);
    struct fleet_share *left = find_share(&f->grant, id);
    if (left != NULL)
        *left = f->grant.shares[--f->grant.count];
}

void fleet_caught_up(struct fleet *f, int64_t now_ms) {
    f->caught_up = true;
    f->heard_ms = now_ms;
}

/* --- looks at what runs ----------------------------------------------------------------------- */

void fleet_sweep_begins(struct fleet *f) {
    f->sweeping_version = f->grant.version;
}

double fleet_asks_at(const struct fleet *f, enum lane lane) {
    return f->sweeping_version == f->grant.version ? f->grant.lanes[lane].check_at : 0;
}

void fleet_swept(struct fleet *f, enum lane lane, double submitted, int counted) {
    f->swept[lane].version = f->sweeping_version;
    f->swept[lane].submitted = submitted;
    if (fleet_asks_at(f, lane) > 0) {
        f->swept[lane].counted_at = fleet_asks_at(f, lane);
        f->swept[lane].counted = counted;
    }
}

/* --- the member ------------------------------------------------------------------------------- */

static void begin_governed(struct fleet *f, struct admission a[LANES]) {
    f->governed = true;
    for (int lane = 0; lane < LANES; lane++) /* it keeps what it has, until a grant tells */
        admission_govern(&a[lane], a[lane].cold ? admission_out(&a[lane]) : a[lane].limit, -1);
}

static void begin_alone(struct fleet *f, struct admission a[LANES], int64_t now_ms) {
    f->governed = false;
    for (int lane = 0; lane < LANES; lane++) {
        bool all = f->owns_all && f->grant.version > 0;
        int limit = all ? f->grant.lanes[lane].limit : a[lane].share;
        bool learned = all ? f->grant.lanes[lane].learned : limit > 0;
        admission_alone(&a[lane], now_ms, limit > 0 ? limit : 1, learned);
    }
}

static void follow(struct fleet *f, struct admission a[LANES], int64_t now_ms) {
    const struct fleet_share *mine = find_share(&f->grant, f->id);
    bool govern = f->caught_up && !f->owns_all && now_ms - f->heard_ms < FLEET_SILENT_MS;
    if (govern && !f->governed)
        begin_governed(f, a);
    else if (!govern && f->governed)
        begin_alone(f, a, now_ms);
    if (f->governed && f->forgotten) {
        for (int lane = 0; lane < LANES; lane++)
            admission_forgotten(&a[lane]);
        f->sent_ms = 0; /* who leads is to know at once that we are there */
    }
    f->forgotten = false;
    for (int lane = 0; f->governed && mine != NULL && lane < LANES; lane++)
        admission_govern(&a[lane], mine->lanes[lane], f->grant.version);
}

static void describe(const struct fleet *f, const struct admission a[LANES],
                     const struct fleet_work work[LANES], struct fleet_report *r) {
    *r = (struct fleet_report){.version = a[0].version};
    memcpy(r->id, f->id, sizeof r->id);
    for (int lane = 0; lane < LANES; lane++)
        r->lanes[lane] = (struct quota_report){
            .share = a[lane].share,
            .held = admission_out(&a[lane]),
            .calls = a[lane].pending,
            .waiting = work[lane].waiting,
            .backlog = work[lane].backlog,
            .limit = a[lane].cold ? 0 : a[lane].limit,
            .starts = a[lane].starts,
            .throttles = a[lane].throttles,
            .throttled_version = a[lane].throttled_version,
            .swept_version = f->swept[lane].version,
            .submitted = f->swept[lane].submitted,
            .counted_at = f->swept[lane].counted_at,
            .counted = f->swept[lane].counted,
        };
}

/* It can start no more, and would. */
static bool is_full(const struct quota_report *r) {
    return r->waiting > 0 && r->held >= r->share && r->calls == 0;
}

static bool matters(const struct fleet *f, const struct fleet_report *now) {
    if (now->version != f->sent.version || f->epoch != f->sent_epoch)
        return true;
    for (int lane = 0; lane < LANES; lane++) {
        const struct quota_report *r = &now->lanes[lane], *was = &f->sent.lanes[lane];
        bool asked = f->grant.lanes[lane].check != QUOTA_CHECK_NONE;
        if (r->throttles != was->throttles || (is_full(r) && !is_full(was)) ||
            (r->waiting == 0 && was->waiting > 0) ||
            (asked && (r->swept_version != was->swept_version || r->counted_at != was->counted_at)))
            return true;
    }
    return false;
}

static void report(struct fleet *f, int64_t now_ms, const struct admission a[LANES],
                   const struct fleet_work work[LANES], struct fleet_due *due) {
    if (!f->caught_up || f->owns_all)
        return;
    struct fleet_report now;
    describe(f, a, work, &now);
    if (f->sent_ms != 0 && now_ms - f->sent_ms < FLEET_REPORT_MS && !matters(f, &now))
        return;
    f->sent = now;
    f->sent_ms = now_ms;
    f->sent_epoch = f->epoch;
    due->report = true;
}

/* --- the leader ------------------------------------------------------------------------------- */

/* What was learned alone just now, else by the last leader, is where it goes on. */
static void resume_quota(struct fleet *f, int lane, const struct admission *a, int64_t now_ms) {
    bool fresh = f->grant.version > 0 && now_ms - f->grant_ms < FLEET_SILENT_MS;
    if (f->grant.version > 0 && (fresh || a->cold))
        quota_resume(&f->quota[lane], now_ms, f->grant.lanes[lane].limit,
                     f->grant.lanes[lane].learned);
    else if (a->cold)
        quota_init(&f->quota[lane], now_ms);
    else
        quota_resume(&f->quota[lane], now_ms, a->limit, true);
}

static void take_office(struct fleet *f, const struct admission a[LANES], int64_t now_ms) {
    f->leads = f->grant_due = true;
    f->count = 0;
    f->led = f->grant;
    f->led_ms = f->heard_self_ms = now_ms;
    for (int lane = 0; lane < LANES; lane++)
        resume_quota(f, lane, &a[lane], now_ms);
    /*
     * What the last leader has granted holds until each has said what it does, or is gone. None is
     * before it could be heard by this one: until now nobody has listened.
     */
    int64_t heard_ms = now_ms - FLEET_GONE_MS + DEAF_MS;
    if (f->grant_ms > heard_ms)
        heard_ms = f->grant_ms;
    for (size_t i = 0; i < f->grant.count; i++) {
        const struct fleet_share *s = &f->grant.shares[i];
        size_t m = add_member(f, s->id, heard_ms);
        for (int lane = 0; lane < LANES; lane++)
            quota_inherit(&f->quota[lane], &f->members[lane][m], s->lanes[lane]);
    }
}

static void expire(struct fleet *f, int64_t now_ms, struct fleet_due *due) {
    /* Deaf, it would take its own silence for theirs; and another may lead by now. */
    for (size_t i = 0; i < f->count && !due->bury && hears_itself(f, now_ms); i++)
        if (now_ms - f->member_heard_ms[i] >= FLEET_GONE_MS) {
            due->bury = true;
            memcpy(due->buried, f->ids[i], sizeof due->buried);
            drop_member(f, i);
        }
}

static bool is_same(const struct fleet_grant *a, const struct fleet_grant *b) {
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

static void write_grant(struct fleet *f, int64_t now_ms) {
    struct fleet_grant g = {.epoch = f->epoch, .version = f->led.version, .count = f->count};
    for (int lane = 0; lane < LANES; lane++) {
        const struct quota *q = &f->quota[lane];
        g.lanes[lane].limit = q->limit;
        g.lanes[lane].learned = !q->cold;
        g.lanes[lane].check = q->check;
        g.lanes[lane].check_at = q->check_at;
    }
    for (size_t i = 0; i < f->count; i++) {
        memcpy(g.shares[i].id, f->ids[i], sizeof g.shares[i].id);
        for (int lane = 0; lane < LANES; lane++)
            g.shares[i].lanes[lane] = f->members[lane][i].next;
    }
    if (f->grant_due || !is_same(&g, &f->led))
        g.version++;
    for (int lane = 0; lane < LANES; lane++)
        quota_granted(f->members[lane], f->count);
    f->led = g;
    f->led_ms = now_ms;
    f->grant_due = false;
}

static void lead(struct fleet *f, int64_t now_ms, const struct admission a[LANES],
                 struct fleet_due *due) {
    bool leader = f->caught_up && f->owns_first && !f->owns_all;
    if (!leader) {
        f->leads = false;
        return;
    }
    if (!is_me(f, f->claimant)) {
        due->claim = f->claimed_ms == 0 || now_ms - f->claimed_ms >= CLAIM_AGAIN_MS;
        if (due->claim)
            f->claimed_ms = now_ms;
        return;
    }
    if (!f->leads)
        take_office(f, a, now_ms);
    expire(f, now_ms, due);
    for (int lane = 0; lane < LANES; lane++)
        f->grant_due |=
            quota_share(&f->quota[lane], f->members[lane], f->count, f->led.version + 1, now_ms);
    due->grant = f->grant_due || now_ms - f->led_ms >= FLEET_GRANT_MS;
    if (due->grant)
        write_grant(f, now_ms);
}

void fleet_step(struct fleet *f, int64_t now_ms, struct admission a[LANES],
                const struct fleet_work work[LANES], struct fleet_due *due) {
    *due = (struct fleet_due){.claim = false};
    follow(f, a, now_ms);
    lead(f, now_ms, a, due);
    report(f, now_ms, a, work, due);
}
