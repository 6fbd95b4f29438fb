#include "executor/limit/quota.h"

#include <limits.h>

/*
 * As in admission.c, with reports and grants beside the latency of calls. Found in the model of
 * test_fleet.c: four executors, quotas of 5 to 100, latencies of 15 to 500 ms.
 */
enum {
    WINDOW_FULL_MS = 60, /* a limit is raised by a part of the window after less */
    RAISE_AGAIN_MS = 50, /* after so long without an answer a cold limit is raised again */
    STEP_EVERY_MS = 25,  /* beyond a cold limit: a slot for so many ms since the last raise */
    STEP_LEAST = 4,      /* of a cold limit */
    OPEN_CHECKS = 3,     /* after so many, what probes have taken is shared like the limit */
    PROBE_TIMEOUT_MS = 5000,
    CHECK_TIMEOUT_MS = 5000,
    SERVE_FIRST_MS = 2000, /* so long a member comes first where not each can have a slot */
};

static int min(int64_t a, int64_t b) {
    return (int)(a < b ? a : b);
}

static int max(int64_t a, int64_t b) {
    int64_t most = a > b ? a : b;
    return most < INT_MAX ? (int)most : INT_MAX;
}

void quota_init(struct quota *q, int64_t now_ms) {
    *q = (struct quota){.limit = 1, .cold = true, .growing = true, .raised_ms = now_ms};
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

int quota_slots(const struct quota *q) {
    return q->limit + q->shared_probes + (q->probe_version != 0);
}

/* Probes that several checks have not decided about are shared like the limit. */
static void share_probes(struct quota *q, int64_t backlog) {
    bool shared = q->open_checks >= OPEN_CHECKS && probing_is_worth(q->limit, backlog);
    q->shared_probes = shared ? q->unconfirmed_probes : 0;
}

static void begin_to_grow(struct quota *q, int64_t now_ms) {
    q->growing = true;
    q->started_since = false;
    q->step = 0;
    q->raised_ms = now_ms;
}

static void drop_probes(struct quota *q) {
    q->probe_version = 0;
    q->unconfirmed_probes = q->open_checks = q->shared_probes = 0;
}

/* --- checks: what really ran, by Athena's clock ----------------------------------------------- */

static void begin_check(struct quota *q, bool of_probe, int64_t next_version, int64_t now_ms) {
    q->check = QUOTA_CHECK_SWEEP;
    q->check_is_of_probe = of_probe;
    q->check_waits = !of_probe;
    q->check_version = next_version;
    q->check_ms = now_ms;
    q->check_at = 0;
}

/* A query whose call is not answered is in no sweep. */
static bool all_answered(const struct quota *q, const struct quota_member *members, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct quota_member *m = &members[i];
        bool answered = m->version >= q->check_version && (m->last.calls == 0 || m->fill.settled);
        if (!answered && quota_bound(m) > 0)
            return false;
    }
    return true;
}

/* Sweeps that begin when all calls are answered count. */
static bool answers_step(struct quota *q, const struct quota_member *members, size_t count,
                         int64_t next_version) {
    if (!all_answered(q, members, count))
        return false;
    q->check_waits = false;
    q->check_version = next_version;
    return true;
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

static bool count_step(struct quota *q, const struct quota_member *members, size_t count,
                       int64_t now_ms) {
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
        drop_probes(q);
        begin_to_grow(q, now_ms);
        q->limit = active;
        probing_risen(&q->probing);
    } else if (q->check_is_of_probe) {
        q->open_checks++;
    }
    return true;
}

static bool continue_check(struct quota *q, const struct quota_member *members, size_t count,
                           int64_t next_version, int64_t now_ms) {
    if (q->check != QUOTA_CHECK_NONE && now_ms - q->check_ms >= CHECK_TIMEOUT_MS)
        q->check = QUOTA_CHECK_NONE;
    if (q->check == QUOTA_CHECK_SWEEP && q->check_waits)
        return answers_step(q, members, count, next_version);
    if (q->check == QUOTA_CHECK_SWEEP)
        return sweep_step(q, members, count, next_version);
    return q->check == QUOTA_CHECK_COUNT && count_step(q, members, count, now_ms);
}

/* --- learning --------------------------------------------------------------------------------- */

static void take_throttle(struct quota *q, const struct quota_member *members, size_t count,
                          size_t i, int64_t next_version, int64_t now_ms) {
    /* A throttle concerns the fleet's total, not the member that met it. */
    bool probed = q->probe_version != 0 && members[i].last.throttled_version >= q->probe_version;
    q->cut_version = next_version;
    drop_probes(q);
    if (q->check_is_of_probe) /* the throttle is newer than what a check would show */
        q->check = QUOTA_CHECK_NONE;
    /* This member was throttled, so it has not filled its share. */
    int held =
        quota_estimate_all(members, count) - quota_estimate(&members[i]) + members[i].last.held;
    if (!q->growing && (probed || held >= q->limit)) {
        probing_probe_throttled(&q->probing, now_ms);
        return;
    }
    enum probing_phase phase = q->growing                     ? PROBING_RAISING
                               : q->check != QUOTA_CHECK_NONE ? PROBING_CHECKING
                                                              : PROBING_STEADY;
    if (q->growing) { /* so far every call that is out may be throttled */
        begin_check(q, false, next_version, now_ms);
        held -= quota_calls_all(members, count);
    }
    q->growing = q->cold = false;
    q->limit = probing_throttled(&q->probing, now_ms, phase, q->limit, held);
}

/* Calls that were out when the limit was cut counted as held; `n` of them were throttled, too. */
static void take_late_throttles(struct quota *q, const struct quota_member *members, size_t count,
                                int64_t n) {
    int idle = q->limit - quota_held_all(members, count);
    bool checked = q->check != QUOTA_CHECK_NONE && !q->check_is_of_probe;
    if (!q->growing && !checked && idle > 0)
        q->limit -= min(n, idle);
}

static void take_starts(struct quota *q, const struct quota_member *m, int64_t n, int64_t now_ms) {
    probing_started(&q->probing, n);
    if (m->version < q->cut_version)
        return;
    if (probing_recovers(&q->probing))
        begin_to_grow(q, now_ms);
    q->started_since = true;
}

/*
 * True: the prober has used its slot, and the calls of then have started their queries. The slot is
 * taken back until a check has decided, unless several have not.
 */
static bool probe_started(struct quota *q, const struct quota_member *prober, int64_t next_version,
                          int64_t now_ms) {
    if (q->probe_version == 0 || prober->version < q->probe_version || !prober->fill.settled)
        return false;
    q->probe_version = 0;
    q->unconfirmed_probes++;
    if (q->check == QUOTA_CHECK_NONE)
        begin_check(q, true, next_version, now_ms);
    return true;
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
    quota_fill_update(&m->fill, report, version);
    int64_t throttles = report->throttles - was.throttles;
    bool news = throttles > 0 && report->throttled_version >= q->cut_version;
    if (news)
        take_throttle(q, members, count, i, next_version, now_ms);
    else if (throttles > 0)
        take_late_throttles(q, members, count, throttles);
    if (!news && report->starts > was.starts)
        take_starts(q, m, report->starts - was.starts, now_ms);
    if (!news && i == q->prober)
        news = probe_started(q, m, next_version, now_ms);
    return continue_check(q, members, count, next_version, now_ms) || news;
}

void quota_forget_member(struct quota *q, size_t i) {
    if (q->prober == i)
        q->probe_version = 0;
    else if (q->prober > i)
        q->prober--;
}

/* --- growing and probing ---------------------------------------------------------------------- */

/* Whether all members have filled what the last grant gave them, and no throttle came of it. */
static bool all_settled(const struct quota_member *members, size_t count, int64_t next_version) {
    for (size_t i = 0; i < count; i++) {
        const struct quota_member *m = &members[i];
        if (m->share > 0 && !(m->fill.version == next_version - 1 && m->fill.settled))
            return false;
    }
    return true;
}

/* All queries that wait or have started since the last throttle. */
static int64_t burst(const struct quota *q, const struct quota_member *members, size_t count) {
    return quota_backlog_all(members, count) + q->probing.starts_since;
}

/* Cold, and the calls under way take long: the first answers are not waited for. */
static int raised_unanswered(const struct quota *q, const struct quota_member *members,
                             size_t count, int64_t now_ms) {
    int64_t since_ms = now_ms - q->raised_ms;
    if (!q->cold || since_ms < RAISE_AGAIN_MS)
        return q->limit;
    int window = probing_window(true, burst(q, members, count), q->probing.starts_since);
    int64_t widest = probing_widest_window(burst(q, members, count), q->probing.starts_since);
    int more = min(window, max(since_ms, q->latency_ms) * widest / WINDOW_FULL_MS);
    int running = quota_held_all(members, count) - quota_calls_all(members, count);
    return max(q->limit, running + more);
}

static int next_step(const struct quota *q, const struct quota_member *members, size_t count,
                     int64_t now_ms) {
    int64_t since_ms = now_ms - q->raised_ms;
    int most = probing_widest_window(burst(q, members, count), q->probing.starts_since);
    if (q->cold)
        return max(STEP_LEAST, min(most, since_ms * most / WINDOW_FULL_MS));
    return min(min((int64_t)q->step * 2, most), since_ms / STEP_EVERY_MS);
}

/* True: the limit was raised. */
static bool raise_limit(struct quota *q, const struct quota_member *members, size_t count,
                        int64_t next_version, int64_t now_ms) {
    if (!q->growing || !quota_any_waits(members, count))
        return false;
    int limit = raised_unanswered(q, members, count, now_ms);
    if (q->started_since && all_settled(members, count, next_version)) {
        q->step = max(next_step(q, members, count, now_ms), 1);
        limit = q->limit + q->step;
    }
    if (limit <= q->limit)
        return false;
    q->limit = limit;
    q->started_since = false;
    q->raised_ms = now_ms;
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
    bool checked = q->check != QUOTA_CHECK_NONE && q->shared_probes == 0;
    if (q->growing || q->probe_version != 0 || checked || !quota_any_waits(members, count))
        return false;
    int held = quota_estimate_all(members, count);
    if (held != quota_slots(q) ||
        !probing_is_due(&q->probing, now_ms, q->limit, held, quota_backlog_all(members, count)))
        return false;
    q->prober = next_prober(q, members, count);
    q->probe_version = next_version;
    probing_probe_made(&q->probing, now_ms);
    return true;
}

/* --- sharing ---------------------------------------------------------------------------------- */

static int reserve_left(const struct quota *q, const struct quota_member *members, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!members[i].reported)
            return max(q->reserve, 0);
    return 0;
}

/* Where each member can have a slot a fixed order moves the fewest slots from one to another. */
static size_t served_first(struct quota *q, size_t count, int64_t now_ms) {
    if (now_ms - q->first_served_ms >= SERVE_FIRST_MS) {
        q->first_served++;
        q->first_served_ms = now_ms;
    }
    return q->limit < (int)count ? q->first_served % count : 0;
}

bool quota_allot(struct quota *q, struct quota_member *members, size_t count, int64_t next_version,
                 int64_t now_ms) {
    if (count == 0)
        return false;
    bool due = raise_limit(q, members, count, next_version, now_ms);
    share_probes(q, quota_backlog_all(members, count));
    due |= begin_probe(q, members, count, next_version, now_ms);
    const struct quota_division division = {
        .limit = q->limit + q->shared_probes,
        .above = q->probe_version != 0,
        .prober = q->prober,
        .first = served_first(q, count, now_ms),
        .reserve = reserve_left(q, members, count),
        /* A throttle has ended the growth; until the check has found the quota, no share grows. */
        .frozen = q->check != QUOTA_CHECK_NONE && !q->check_is_of_probe,
    };
    return quota_divide(&division, members, count) || due;
}
