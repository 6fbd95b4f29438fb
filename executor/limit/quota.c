#include "executor/limit/quota.h"

/*
 * Found in the model of test_fleet.c: four executors over a quota of 20 learn it in a second, with
 * less than 4 % throttled starts.
 */
enum {
    COLD_STEP_MIN = 4,   /* how far the limit is raised at once while it is cold … */
    COLD_STEP_SHARE = 4, /* … or by this part of what runs */
    PROBE_TIMEOUT_MS = 5000,
    CHECK_TIMEOUT_MS = 5000,
    SERVE_FIRST_MS = 2000, /* so long a member comes first where not each can have a slot */
};

static int min(int a, int b) {
    return a < b ? a : b;
}

static int max(int a, int b) {
    return a > b ? a : b;
}

void quota_init(struct quota *q, int64_t now_ms) {
    *q = (struct quota){.limit = 1, .cold = true, .growing = true};
    probing_init(&q->probing, now_ms);
}

void quota_resume(struct quota *q, int64_t now_ms, int limit, bool learned) {
    quota_init(q, now_ms);
    q->limit = limit;
    q->cold = q->growing = !learned;
    q->reserve = limit + 1;
}

/*
 * The last leader gave no slot to another member before its owner obeyed the lower share. So what a
 * member may still hold beyond the last grant is among the slots that this grant left unallotted.
 */
void quota_inherit(struct quota *q, struct quota_member *m, int share) {
    *m =
        (struct quota_member){.share = share, .share_max = share, .next = share, .inherited = true};
    q->reserve -= share;
}

int quota_bound(const struct quota_member *m) {
    return max(max(m->share_max, m->last.share), m->last.held);
}

/* --- what is held ----------------------------------------------------------------------------- */

/* With work waiting a member fills its share at once, before a report says so. */
static int estimate_held(const struct quota_member *m) {
    int filled = m->last.waiting > 0 ? min(m->share, m->last.share) : 0;
    return max(filled, m->last.held);
}

static int estimate_held_all(const struct quota_member *members, size_t count) {
    int sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += estimate_held(&members[i]);
    return sum;
}

static int64_t backlog_all(const struct quota_member *members, size_t count) {
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += members[i].last.backlog;
    return sum;
}

static bool anyone_waits(const struct quota_member *members, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (members[i].last.waiting > 0)
            return true;
    return false;
}

/* --- checks: what really ran, by Athena's clock ----------------------------------------------- */

static void begin_check(struct quota *q, bool of_probe, int64_t next_version, int64_t now_ms) {
    q->check = QUOTA_CHECK_SWEEP;
    q->check_is_of_probe = of_probe;
    q->check_version = next_version;
    q->check_ms = now_ms;
    q->check_at = 0;
}

/* When all have made a sweep, they are to count what was active at the latest start seen. */
static bool sweep_step(struct quota *q, const struct quota_member *members, size_t count,
                       int64_t next_version) {
    double last = 0;
    for (size_t i = 0; i < count; i++) {
        if (members[i].last.swept_version < q->check_version)
            return false;
        if (members[i].last.submitted > last)
            last = members[i].last.submitted;
    }
    q->check = last > 0 ? QUOTA_CHECK_COUNT : QUOTA_CHECK_NONE;
    q->check_at = last;
    q->check_version = next_version;
    return true;
}

static bool count_step(struct quota *q, const struct quota_member *members, size_t count) {
    int active = 0;
    for (size_t i = 0; i < count; i++) {
        if (members[i].last.counted_at != q->check_at)
            return false;
        active += members[i].last.counted;
    }
    q->check = QUOTA_CHECK_NONE;
    if (!q->check_is_of_probe && (q->probing.throttles_in_row == 0 || active < q->limit)) {
        q->limit = active;
        probing_corrected(&q->probing, active);
    } else if (q->check_is_of_probe && active > q->limit) {
        q->growing = true;
        q->limit = active;
        probing_risen(&q->probing);
    }
    return true;
}

static bool continue_check(struct quota *q, const struct quota_member *members, size_t count,
                           int64_t next_version, int64_t now_ms) {
    if (q->check != QUOTA_CHECK_NONE && now_ms - q->check_ms >= CHECK_TIMEOUT_MS)
        q->check = QUOTA_CHECK_NONE;
    if (q->check == QUOTA_CHECK_SWEEP)
        return sweep_step(q, members, count, next_version);
    return q->check == QUOTA_CHECK_COUNT && count_step(q, members, count);
}

/* --- learning --------------------------------------------------------------------------------- */

static void take_throttle(struct quota *q, const struct quota_member *members, size_t count,
                          size_t i, int64_t next_version, int64_t now_ms) {
    /* A throttle concerns the fleet's total, not the member that met it. */
    bool probed = q->probe_version != 0 && members[i].last.throttled_version >= q->probe_version;
    q->cut_version = next_version;
    q->probe_version = 0;
    if (q->check_is_of_probe) /* the throttle is newer than what a check would show */
        q->check = QUOTA_CHECK_NONE;
    /* This member was throttled, so it has not filled its share. */
    int held =
        estimate_held_all(members, count) - estimate_held(&members[i]) + members[i].last.held;
    if (!q->growing && (probed || held >= q->limit)) {
        probing_probe_throttled(&q->probing, now_ms);
        return;
    }
    enum probing_phase phase = q->growing                     ? PROBING_RAISING
                               : q->check != QUOTA_CHECK_NONE ? PROBING_CHECKING
                                                              : PROBING_STEADY;
    if (q->growing)
        begin_check(q, false, next_version, now_ms);
    q->growing = q->cold = false;
    q->limit = probing_throttled(&q->probing, now_ms, phase, q->limit, held);
}

static int running_all(const struct quota_member *members, size_t count) {
    int sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += members[i].last.held - members[i].last.calls;
    return sum;
}

/* True: the probe has started a query; its slot is taken back until a check has decided. */
static bool take_starts(struct quota *q, const struct quota_member *members, size_t count, size_t i,
                        int64_t n, int64_t next_version, int64_t now_ms) {
    probing_started(&q->probing, n);
    if (members[i].version < q->cut_version)
        return false;
    bool found = q->probe_version != 0 && members[i].version >= q->probe_version &&
                 running_all(members, count) > q->limit;
    if (found) {
        q->probe_version = 0;
        begin_check(q, true, next_version, now_ms);
    }
    q->growing |= probing_recovers(&q->probing);
    q->started_since = true;
    return found;
}

/* A member that has learned a limit alone joins: while nothing is known here, its limit is used. */
static void adopt_limit(struct quota *q, const struct quota_report *report) {
    if (!q->cold || report->limit == 0)
        return;
    q->limit = max(q->limit, report->limit);
    q->cold = q->growing = false;
}

bool quota_take_report(struct quota *q, struct quota_member *members, size_t count, size_t i,
                       const struct quota_report *report, int64_t version, int64_t next_version,
                       int64_t now_ms) {
    struct quota_member *m = &members[i];
    struct quota_report was = m->reported ? m->last : *report;
    bool known = m->reported;
    m->last = *report;
    m->version = version;
    m->reported = true;
    if (version == next_version - 1)
        m->share_max = min(m->share, report->share);
    if (!known) {
        m->was_forgotten = !m->inherited && version > 0;
        adopt_limit(q, report);
    } else if (version == next_version - 1) {
        m->was_forgotten = false;
    }
    bool news = report->throttles > was.throttles && report->throttled_version >= q->cut_version;
    if (news)
        take_throttle(q, members, count, i, next_version, now_ms);
    else if (report->starts > was.starts)
        news = take_starts(q, members, count, i, report->starts - was.starts, next_version, now_ms);
    return continue_check(q, members, count, next_version, now_ms) || news;
}

void quota_forget_member(struct quota *q, size_t i) {
    if (q->prober == i)
        q->probe_version = 0;
    else if (q->prober > i)
        q->prober--;
}

/* --- growing and probing ---------------------------------------------------------------------- */

static bool all_obey(const struct quota_member *members, size_t count, int64_t next_version) {
    for (size_t i = 0; i < count; i++)
        if (members[i].version != next_version - 1 && members[i].share > 0)
            return false;
    return true;
}

/*
 * The limit is raised when all members have filled what the last grant gave them and no call is out
 * that may be throttled. True: it was raised.
 */
static bool raise_limit(struct quota *q, const struct quota_member *members, size_t count,
                        int64_t next_version) {
    if (!q->growing || !q->started_since || !anyone_waits(members, count) ||
        !all_obey(members, count, next_version))
        return false;
    int running = running_all(members, count);
    if (running < q->limit || (running > q->limit && !q->cold))
        return false;
    q->limit = running + (q->cold ? max(COLD_STEP_MIN, running / COLD_STEP_SHARE) : 1);
    q->started_since = false;
    return true;
}

/* The next member with work after the one that probed last. */
static size_t next_prober(const struct quota *q, const struct quota_member *members, size_t count) {
    for (size_t k = 1; k <= count; k++) {
        size_t i = (q->prober + k) % count;
        if (members[i].last.waiting > 0)
            return i;
    }
    return 0;
}

static bool begin_probe(struct quota *q, const struct quota_member *members, size_t count,
                        int64_t next_version, int64_t now_ms) {
    if (q->probe_version != 0 && now_ms - q->probing.tested_ms >= PROBE_TIMEOUT_MS)
        q->probe_version = 0;
    if (q->growing || q->probe_version != 0 || q->check != QUOTA_CHECK_NONE ||
        !anyone_waits(members, count))
        return false;
    int held = estimate_held_all(members, count);
    if (held != q->limit ||
        !probing_is_due(&q->probing, now_ms, q->limit, held, backlog_all(members, count)))
        return false;
    q->prober = next_prober(q, members, count);
    q->probe_version = next_version;
    probing_probe_made(&q->probing, now_ms);
    return true;
}

/* --- sharing ---------------------------------------------------------------------------------- */

/*
 * Max-min fair: in each round every member that wants more gets one slot. What nobody wants is then
 * spread in the same way, so that a query that comes later starts without asking.
 */
static void share_fairly(struct quota *q, struct quota_member *members, size_t count,
                         int64_t now_ms) {
    if (now_ms - q->first_served_ms >= SERVE_FIRST_MS) {
        q->first_served++;
        q->first_served_ms = now_ms;
    }
    /* Where each can have a slot a fixed order moves the fewest slots from one to another. */
    size_t first = q->limit < (int)count ? q->first_served % count : 0;
    int unallotted = q->limit;
    for (size_t i = 0; i < count; i++)
        members[i].next = 0;
    for (bool wanted = true; unallotted > 0;) {
        bool any = false;
        for (size_t k = 0; k < count && unallotted > 0; k++) {
            struct quota_member *m = &members[(first + k) % count];
            if (wanted && m->next >= m->last.held + m->last.waiting)
                continue;
            m->next++;
            unallotted--;
            any = true;
        }
        wanted = wanted && any;
    }
}

/* Where some members hold more than their share, idle slots of others are not granted. */
static void offset_excess(struct quota_member *members, size_t count, int cap) {
    int excess = -cap;
    for (size_t i = 0; i < count; i++)
        excess += max(members[i].next, members[i].last.held);
    for (size_t i = 0; i < count && excess > 0; i++) {
        /* A call that is out may be throttled: its slot counts as idle. */
        int running = members[i].last.held - members[i].last.calls;
        int idle = max(members[i].next - running, 0);
        members[i].next -= min(idle, excess);
        excess -= min(idle, excess);
    }
}

static int reserve_left(const struct quota *q, const struct quota_member *members, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!members[i].reported)
            return max(q->reserve, 0);
    return 0;
}

/*
 * Lowers `next` to what the bounds of the others leave room for. True: a member with work would get
 * more, and some share changes.
 */
static bool fit_to_bounds(const struct quota *q, struct quota_member *members, size_t count) {
    int room = q->limit + (q->probe_version != 0);
    bool waits = false, moves = false;
    /* A throttle has ended the growth; until the check has found the quota, no share grows. */
    bool frozen = q->check != QUOTA_CHECK_NONE && !q->check_is_of_probe;
    for (size_t i = 0; i < count; i++)
        room -= quota_bound(&members[i]);
    room -= reserve_left(q, members, count);
    for (size_t i = 0; i < count; i++) {
        struct quota_member *m = &members[i];
        if (frozen)
            m->next = min(m->next, estimate_held(m));
        int more = m->next - (m->was_forgotten ? m->share : quota_bound(m));
        waits |= m->last.waiting > 0 && m->next > m->share;
        if (more > 0) {
            int granted = min(more, max(room, 0));
            m->next -= more - granted;
            room -= granted;
        }
        moves |= m->next != m->share;
    }
    return waits && moves;
}

bool quota_allot(struct quota *q, struct quota_member *members, size_t count, int64_t next_version,
                 int64_t now_ms) {
    if (count == 0)
        return false;
    bool due = raise_limit(q, members, count, next_version);
    due |= begin_probe(q, members, count, next_version, now_ms);
    share_fairly(q, members, count, now_ms);
    if (q->probe_version != 0)
        members[q->prober].next++;
    offset_excess(members, count, q->limit + (q->probe_version != 0));
    return fit_to_bounds(q, members, count) || due;
}

void quota_granted(struct quota_member *members, size_t count) {
    for (size_t i = 0; i < count; i++) {
        members[i].share = members[i].next;
        members[i].share_max = max(members[i].share_max, members[i].share);
    }
}
