#include "executor/limit/quota_member.h"

static int min(int a, int b) {
    return a < b ? a : b;
}

static int max(int a, int b) {
    return a > b ? a : b;
}

/* --- what a member holds ---------------------------------------------------------------------- */

void quota_fill_update(struct quota_fill *f, const struct quota_report *r, int64_t version) {
    int64_t answers = r->starts + r->throttles;
    if (f->version != version)
        *f = (struct quota_fill){.version = version};
    if (!f->full && r->held >= r->share) {
        f->full = true;
        f->answers_due = answers + r->calls;
    }
    f->settled = f->full && answers >= f->answers_due;
}

int quota_bound(const struct quota_member *m) {
    return max(max(m->share_max, m->last.share), m->last.held);
}

int quota_estimate(const struct quota_member *m) {
    int filled = m->last.waiting > 0 ? min(m->share, m->last.share) : 0;
    return max(filled, m->last.held);
}

int quota_estimate_all(const struct quota_member *members, size_t count) {
    int sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += quota_estimate(&members[i]);
    return sum;
}

int quota_held_all(const struct quota_member *members, size_t count) {
    int sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += members[i].last.held;
    return sum;
}

int quota_calls_all(const struct quota_member *members, size_t count) {
    int sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += members[i].last.calls;
    return sum;
}

int64_t quota_backlog_all(const struct quota_member *members, size_t count) {
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += members[i].last.backlog;
    return sum;
}

bool quota_any_waits(const struct quota_member *members, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (members[i].last.waiting > 0)
            return true;
    return false;
}

/* --- dividing --------------------------------------------------------------------------------- */

/*
 * Max-min fair: in each round every member that wants more gets one slot. What nobody wants is then
 * spread in the same way, so that a query that comes later starts without asking.
 */
static void divide_fairly(const struct quota_division *d, struct quota_member *members,
                          size_t count) {
    int unallotted = d->limit;
    for (size_t i = 0; i < count; i++)
        members[i].next = 0;
    for (bool wanted = true; unallotted > 0;) {
        bool any = false;
        for (size_t k = 0; k < count && unallotted > 0; k++) {
            struct quota_member *m = &members[(d->first + k) % count];
            if (wanted && m->next >= m->last.held + m->last.waiting)
                continue;
            m->next++;
            unallotted--;
            any = true;
        }
        wanted = wanted && any;
    }
    if (d->above > 0)
        members[d->prober].next += d->above;
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

/* Lowers `next` to what the bounds of the others leave room for. */
static bool fit_to_bounds(const struct quota_division *d, struct quota_member *members,
                          size_t count) {
    int room = d->limit + d->above - d->reserve;
    bool waits = false, moves = false;
    for (size_t i = 0; i < count; i++)
        room -= quota_bound(&members[i]);
    for (size_t i = 0; i < count; i++) {
        struct quota_member *m = &members[i];
        if (d->frozen)
            m->next = min(m->next, quota_estimate(m));
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

bool quota_divide(const struct quota_division *d, struct quota_member *members, size_t count) {
    divide_fairly(d, members, count);
    offset_excess(members, count, d->limit + d->above);
    return fit_to_bounds(d, members, count);
}

void quota_granted(struct quota_member *members, size_t count) {
    for (size_t i = 0; i < count; i++) {
        members[i].share = members[i].next;
        members[i].share_max = max(members[i].share_max, members[i].share);
    }
}
