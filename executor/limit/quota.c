#include "executor/limit/quota.h"

enum {
    STEP_LEAST = 4, /* more at once while nothing is known: each may be one too many */
    STEP_SHARE = 4, /* … or a quarter of what is held */
    PROBE_TIMEOUT_MS = 5000,
    CHECK_TIMEOUT_MS = 5000,
    TURN_MS = 2000,
};

static int least(int a, int b) {
    return a < b ? a : b;
}

static int most(int a, int b) {
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
 * A share that was lowered is not given to another before its owner obeys. So what a member may
 * still hold beyond its last share can only be of what nobody was granted.
 */
void quota_inherit(struct quota *q, struct quota_member *m, int share) {
    *m = (struct quota_member){
        .share = share, .share_most = share, .next = share, .inherited = true};
    q->reserve -= share;
}

int quota_bound(const struct quota_member *m) {
    return most(most(m->share_most, m->last.share), m->last.held);
}

/* --- what is held ----------------------------------------------------------------------------- */

/* With work waiting a member fills its share at once; reports of that may be under way. */
static int estimate(const struct quota_member *m) {
    int filled = m->last.waiting > 0 ? least(m->share, m->last.share) : 0;
    return most(filled, m->last.held);
}

static int estimate_all(const struct quota_member *members, size_t count) {
    int sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += estimate(&members[i]);
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

static void ask(struct quota *q, bool probe, int64_t next_version, int64_t now_ms) {
    q->check = QUOTA_CHECK_SWEEP;
    q->check_probe = probe;
    q->check_version = next_version;
    q->check_ms = now_ms;
    q->check_at = 0;
}

/* All look, then all count at the moment of the last start that any of them has seen. */
static bool swept(struct quota *q, const struct quota_member *members, size_t count,
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

static bool counted(struct quota *q, const struct quota_member *members, size_t count) {
    int active = 0;
    for (size_t i = 0; i < count; i++) {
        if (members[i].last.counted_at != q->check_at)
            return false;
        active += members[i].last.counted;
    }
    q->check = QUOTA_CHECK_NONE;
    if (!q->check_probe && (q->probing.streak == 0 || active < q->limit)) {
        q->limit = active;
        probing_corrected(&q->probing, active);
    } else if (q->check_probe && active > q->limit) {
        q->growing = true;
        q->limit = active;
        probing_risen(&q->probing);
    }
    return true;
}

static bool go_on_checking(struct quota *q, const struct quota_member *members, size_t count,
                           int64_t next_version, int64_t now_ms) {
    if (q->check != QUOTA_CHECK_NONE && now_ms - q->check_ms >= CHECK_TIMEOUT_MS)
        q->check = QUOTA_CHECK_NONE;
    if (q->check == QUOTA_CHECK_SWEEP)
        return swept(q, members, count, next_version);
    return q->check == QUOTA_CHECK_COUNT && counted(q, members, count);
}

/* --- learning --------------------------------------------------------------------------------- */

static void throttled(struct quota *q, const struct quota_member *members, size_t count, size_t i,
                      int64_t next_version, int64_t now_ms) {
    /* Whoever it hits: all together hold one too many. */
    bool probed = q->probe_version != 0 && members[i].last.throttled_version >= q->probe_version;
    q->cut_version = next_version;
    q->probe_version = 0;
    if (q->check_probe) /* answered */
        q->check = QUOTA_CHECK_NONE;
    /* Of this one it is known: it did not fill its share. */
    int held = estimate_all(members, count) - estimate(&members[i]) + members[i].last.held;
    if (!q->growing && (probed || held >= q->limit)) {
        probing_refused(&q->probing, now_ms);
        return;
    }
    enum probing_edge edge = q->growing                     ? PROBING_EDGE_MET
                             : q->check != QUOTA_CHECK_NONE ? PROBING_EDGE_SOUGHT
                                                            : PROBING_EDGE_KNOWN;
    if (q->growing)
        ask(q, false, next_version, now_ms);
    q->growing = q->cold = false;
    q->limit = probing_throttled(&q->probing, now_ms, edge, q->limit, held);
}

static int running_all(const struct quota_member *members, size_t count) {
    int sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += members[i].last.held - members[i].last.calls;
    return sum;
}

/* True: the probe has worked, and its slot is to be given back until more is known. */
static bool started(struct quota *q, const struct quota_member *members, size_t count, size_t i,
                    int64_t n, int64_t next_version, int64_t now_ms) {
    probing_started(&q->probing, n);
    if (members[i].version < q->cut_version)
        return false;
    bool found = q->probe_version != 0 && members[i].version >= q->probe_version &&
                 running_all(members, count) > q->limit;
    if (found) {
        q->probe_version = 0;
        ask(q, true, next_version, now_ms);
    }
    q->growing |= probing_recovers(&q->probing);
    q->news = true;
    return found;
}

/* Somebody who learned alone has joined: what it knows is better than nothing. */
static void believe(struct quota *q, const struct quota_report *report) {
    if (!q->cold || report->limit == 0)
        return;
    q->limit = most(q->limit, report->limit);
    q->cold = q->growing = false;
}

bool quota_heard(struct quota *q, struct quota_member *members, size_t count, size_t i,
                 const struct quota_report *report, int64_t version, int64_t next_version,
                 int64_t now_ms) {
    struct quota_member *m = &members[i];
    struct quota_report was = m->reported ? m->last : *report;
    bool known = m->reported;
    m->last = *report;
    m->version = version;
    m->reported = true;
    if (version == next_version - 1)
        m->share_most = least(m->share, report->share);
    if (!known) {
        m->returns = !m->inherited && version > 0;
        believe(q, report);
    } else if (version == next_version - 1) {
        m->returns = false;
    }
    bool news = report->throttles > was.throttles && report->throttled_version >= q->cut_version;
    if (news)
        throttled(q, members, count, i, next_version, now_ms);
    else if (report->starts > was.starts)
        news = started(q, members, count, i, report->starts - was.starts, next_version, now_ms);
    return go_on_checking(q, members, count, next_version, now_ms) || news;
}

void quota_gone(struct quota *q, size_t i) {
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

/* When all have filled what they were granted last, and no answer is out that may be a throttle. */
static bool grow(struct quota *q, const struct quota_member *members, size_t count,
                 int64_t next_version) {
    if (!q->growing || !q->news || !anyone_waits(members, count) ||
        !all_obey(members, count, next_version))
        return false;
    int running = running_all(members, count);
    if (running < q->limit || (running > q->limit && !q->cold))
        return false;
    q->limit = running + (q->cold ? most(STEP_LEAST, running / STEP_SHARE) : 1);
    q->news = false;
    return true;
}

/* The next one after the last that has work. */
static size_t next_prober(const struct quota *q, const struct quota_member *members, size_t count) {
    for (size_t k = 1; k <= count; k++) {
        size_t i = (q->prober + k) % count;
        if (members[i].last.waiting > 0)
            return i;
    }
    return 0;
}

static bool probe(struct quota *q, const struct quota_member *members, size_t count,
                  int64_t next_version, int64_t now_ms) {
    if (q->probe_version != 0 && now_ms - q->probing.last_ms >= PROBE_TIMEOUT_MS)
        q->probe_version = 0;
    if (q->growing || q->probe_version != 0 || q->check != QUOTA_CHECK_NONE ||
        !anyone_waits(members, count))
        return false;
    int held = estimate_all(members, count);
    if (held != q->limit ||
        !probing_is_due(&q->probing, now_ms, q->limit, held, backlog_all(members, count)))
        return false;
    q->prober = next_prober(q, members, count);
    q->probe_version = next_version;
    probing_made(&q->probing, now_ms);
    return true;
}

/* --- sharing ---------------------------------------------------------------------------------- */

/* One slot a round to each that wants more: max-min fair. What nobody wants is spread evenly. */
static void share_fairly(struct quota *q, struct quota_member *members, size_t count,
                         int64_t now_ms) {
    if (now_ms - q->turn_ms >= TURN_MS) {
        q->turn++;
        q->turn_ms = now_ms;
    }
    /* Turns matter where not each can have one; else they would only move slots about. */
    size_t first = q->limit < (int)count ? q->turn % count : 0;
    int left = q->limit;
    for (size_t i = 0; i < count; i++)
        members[i].next = 0;
    for (bool wanted = true; left > 0;) {
        bool any = false;
        for (size_t k = 0; k < count && left > 0; k++) {
            struct quota_member *m = &members[(first + k) % count];
            if (wanted && m->next >= m->last.held + m->last.waiting)
                continue;
            m->next++;
            left--;
            any = true;
        }
        wanted = wanted && any;
    }
}

/* For what some hold beyond their share, others leave theirs unfilled. */
static void make_up(struct quota_member *members, size_t count, int cap) {
    int excess = -cap;
    for (size_t i = 0; i < count; i++)
        excess += most(members[i].next, members[i].last.held);
    for (size_t i = 0; i < count && excess > 0; i++) {
        int running = members[i].last.held - members[i].last.calls; /* a call may be refused */
        int idle = most(members[i].next - running, 0);
        members[i].next -= least(idle, excess);
        excess -= least(idle, excess);
    }
}

static int reserve(const struct quota *q, const struct quota_member *members, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!members[i].reported)
            return most(q->reserve, 0);
    return 0;
}

/* Takes back what would be more than the others are bound to leave. True: somebody waits. */
static bool fit(const struct quota *q, struct quota_member *members, size_t count) {
    int room = q->limit + (q->probe_version != 0);
    bool waits = false, moves = false;
    /* The limit was found too high and is not yet known: nobody gets more until it is. */
    bool frozen = q->check != QUOTA_CHECK_NONE && !q->check_probe;
    for (size_t i = 0; i < count; i++)
        room -= quota_bound(&members[i]);
    room -= reserve(q, members, count);
    for (size_t i = 0; i < count; i++) {
        struct quota_member *m = &members[i];
        if (frozen)
            m->next = least(m->next, estimate(m));
        int more = m->next - (m->returns ? m->share : quota_bound(m));
        waits |= m->last.waiting > 0 && m->next > m->share;
        if (more > 0) {
            int granted = least(more, most(room, 0));
            m->next -= more - granted;
            room -= granted;
        }
        moves |= m->next != m->share;
    }
    return waits && moves;
}

bool quota_share(struct quota *q, struct quota_member *members, size_t count, int64_t next_version,
                 int64_t now_ms) {
    if (count == 0)
        return false;
    bool due = grow(q, members, count, next_version);
    due |= probe(q, members, count, next_version, now_ms);
    share_fairly(q, members, count, now_ms);
    if (q->probe_version != 0)
        members[q->prober].next++;
    make_up(members, count, q->limit + (q->probe_version != 0));
    return fit(q, members, count) || due;
}

void quota_granted(struct quota_member *members, size_t count) {
    for (size_t i = 0; i < count; i++) {
        members[i].share = members[i].next;
        members[i].share_most = most(members[i].share_most, members[i].share);
    }
}
