/*
 * Every order of events of two members, to a depth: when each reads the next record, starts
 * queries, is throttled or sees an end, when partition 0 moves and when its old owner learns of
 * that. The invariants of docs/fleet.md must hold in every state that can be reached.
 */
#define FLEET_MEMBERS_MAX 3
#include "executor/limit/fleet.c"
#include "executor/limit/fleet_leader.c"
#include "executor/limit/fleet_member.c"
#include "executor/limit/fleet_view.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"

enum {
    MEMBERS = 2,
    RECORDS = 40,
    LIMIT = 3,
    NOW_MS = 5000,
    SEEN_BITS = 22,
};

struct record {
    enum {
        CLAIM,
        GRANT,
        REPORT,
    } kind;
    char id[FLEET_ID_MAX];
    struct fleet_grant grant;
    struct fleet_report report;
};

struct member {
    struct fleet fleet;
    struct admission a[LANES];
    int waiting, read;
    bool throttle_next; /* its next start is throttled */
};

struct world {
    struct member members[MEMBERS];
    int64_t now_ms;
    int max_limit; /* the highest of any leader so far */
    int64_t epoch; /* the offset of the last claim */
    int records;
    struct record log[RECORDS];
};

/* --- the world -------------------------------------------------------------------------------- */

static struct record *append(struct world *w, const char *id) {
    assert_true(w->records < RECORDS);
    struct record *r = &w->log[w->records++];
    memset(r, 0, sizeof *r);
    snprintf(r->id, sizeof r->id, "%s", id);
    return r;
}

static void step(struct world *w, struct member *m) {
    struct fleet *f = &m->fleet;
    struct fleet_due due;
    const struct fleet_work work[LANES] = {{m->waiting, 1000}, {0, 0}};
    fleet_step(f, w->now_ms, m->a, work, &due);
    if (due.claim) {
        w->epoch = w->records;
        append(w, f->view.id)->kind = CLAIM;
    }
    if (due.grant) {
        struct record *r = append(w, f->view.id);
        r->kind = GRANT;
        r->grant = f->leader.grant;
    }
    if (due.report) {
        struct record *r = append(w, f->view.id);
        r->kind = REPORT;
        r->report = f->member.report;
    }
    if (f->leader.leads && f->leader.quota[LANE_DML].limit > w->max_limit)
        w->max_limit = f->leader.quota[LANE_DML].limit;
}

static bool read_one(struct world *w, struct member *m) {
    if (m->read == w->records)
        return false;
    int offset = m->read++;
    const struct record *r = &w->log[offset];
    struct fleet_grant was = m->fleet.view.grant;
    if (r->kind == CLAIM)
        fleet_apply_claim(&m->fleet, r->id, offset);
    else if (r->kind == REPORT)
        fleet_apply_report(&m->fleet, &r->report, w->now_ms);
    else
        fleet_apply_grant(&m->fleet, &r->grant, 0, w->now_ms);
    if (r->kind == GRANT && r->grant.epoch < m->fleet.view.epoch)
        assert_memory_equal(&was, &m->fleet.view.grant, sizeof was); /* of a replaced leader */
    return true;
}

/* Steps before and after starting what may be started, as the dispatcher does. */
static void work(struct world *w, struct member *m) {
    struct admission_permit permit;
    step(w, m);
    while (m->waiting > 0 && admission_acquire(&m->a[LANE_DML], w->now_ms, 1000, &permit)) {
        if (m->throttle_next) {
            admission_throttled(&m->a[LANE_DML], w->now_ms, &permit);
            m->throttle_next = false;
            break;
        }
        admission_started(&m->a[LANE_DML], w->now_ms, &permit);
    }
    step(w, m);
}

/* --- what may happen -------------------------------------------------------------------------- */

enum action {
    READ_0,
    READ_1,
    WORK_0,
    WORK_1,
    END_0,
    END_1,
    THROTTLE_0,
    THROTTLE_1,
    NO_WORK_0, /* nothing waits at the first member any more */
    PARTITION_MOVES,
    OLD_OWNER_LEARNS,
    SECOND_PASSES,
    ACTIONS,
};

static bool end_one(struct member *m) {
    if (m->a[LANE_DML].running == 0)
        return false;
    admission_ended(&m->a[LANE_DML], 1);
    return true;
}

/* False: it cannot happen, or changes nothing. */
static bool act(struct world *w, enum action action) {
    struct member *m = &w->members[action % 2];
    struct fleet *old = &w->members[0].fleet, *successor = &w->members[1].fleet;
    switch (action) {
    case READ_0:
    case READ_1:
        return read_one(w, m);
    case WORK_0:
    case WORK_1:
        work(w, m);
        return true;
    case END_0:
    case END_1:
        return end_one(m);
    case THROTTLE_0:
    case THROTTLE_1:
        if (m->throttle_next)
            return false;
        return m->throttle_next = true;
    case NO_WORK_0:
        if (w->members[0].waiting == 0)
            return false;
        w->members[0].waiting = 0;
        return true;
    case PARTITION_MOVES:
        if (successor->view.owns_first)
            return false;
        return successor->view.owns_first = true;
    case OLD_OWNER_LEARNS:
        if (!old->view.owns_first || !successor->view.owns_first)
            return false;
        old->view.owns_first = false;
        return true;
    case SECOND_PASSES:
        if (w->now_ms > NOW_MS)
            return false;
        w->now_ms += 1000;
        return true;
    case ACTIONS:
        break;
    }
    return false;
}

/* --- what must hold --------------------------------------------------------------------------- */

/* A member that has reported to the last leader may hold no more than the leader reckons with. */
static bool is_reckoned_with(const struct world *w, const struct fleet *leader,
                             const struct member *m) {
    if (!leader->leader.leads || leader->view.epoch != w->epoch || m->a[LANE_DML].version < 0)
        return true;
    for (size_t i = 0; i < leader->leader.count; i++)
        if (strcmp(leader->leader.ids[i], m->fleet.view.id) == 0 &&
            leader->leader.members[LANE_DML][i].reported)
            return m->a[LANE_DML].share <= quota_bound(&leader->leader.members[LANE_DML][i]);
    return true;
}

static const char *violation(const struct world *w) {
    int shares = 0;
    for (int i = 0; i < MEMBERS; i++) {
        const struct member *m = &w->members[i];
        shares += m->a[LANE_DML].share;
        if ((m->fleet.view.grant.version > 0 && m->fleet.view.grant.epoch > m->fleet.view.epoch) ||
            (m->fleet.member.governed && m->a[LANE_DML].version > m->fleet.view.grant.version))
            return "a grant of an earlier epoch is obeyed";
        for (int l = 0; l < MEMBERS; l++)
            if (!is_reckoned_with(w, &w->members[l].fleet, m))
                return "a member may hold more than its leader reckons with";
    }
    return shares > w->max_limit + 1 ? "all shares together exceed the limit" : NULL;
}

/* --- all orders ------------------------------------------------------------------------------- */

struct search {
    struct world *stack; /* one a depth */
    enum action path[32];
    uint64_t *seen; /* hashes, and the depth that was left */
    int64_t states;
};

static uint64_t hash(const struct world *w, int left) {
    uint64_t h = UINT64_C(14695981039346656037) + (uint64_t)left;
    const unsigned char *at = (const unsigned char *)w;
    size_t n = offsetof(struct world, log) + (size_t)w->records * sizeof w->log[0];
    for (size_t i = 0; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, 8);
        h = (h ^ word) * UINT64_C(1099511628211);
        h ^= h >> 29;
    }
    return h | 1;
}

static bool is_new(struct search *s, uint64_t h) {
    size_t mask = ((size_t)1 << SEEN_BITS) - 1;
    for (size_t i = h & mask, tried = 0; tried < 16; i = (i + 1) & mask, tried++) {
        if (s->seen[i] == h)
            return false;
        if (s->seen[i] == 0) {
            s->seen[i] = h;
            return true;
        }
    }
    return true; /* no room to remember it: it may be visited again */
}

static void search(struct search *s, int depth, int most) {
    const struct world *w = &s->stack[depth];
    s->states++;
    const char *fault = violation(w);
    if (fault != NULL) {
        for (int i = 0; i < depth; i++)
            print_message("%d ", (int)s->path[i]);
        fail_msg("%s", fault);
    }
    if (depth == most)
        return;
    for (int action = 0; action < ACTIONS; action++) {
        struct world *next = &s->stack[depth + 1];
        memcpy(next, w, offsetof(struct world, log) + (size_t)w->records * sizeof w->log[0]);
        s->path[depth] = (enum action)action;
        if (act(next, (enum action)action) && is_new(s, hash(next, most - depth)))
            search(s, depth + 1, most);
    }
}

/* --- where it begins -------------------------------------------------------------------------- */

static void settle(struct world *w, int rounds) {
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < MEMBERS; i++) {
            while (read_one(w, &w->members[i]))
                ;
            work(w, &w->members[i]);
        }
}

static void open_world(struct world *w, bool led) {
    memset(w, 0, sizeof *w);
    w->now_ms = NOW_MS;
    w->max_limit = LIMIT;
    for (int i = 0; i < MEMBERS; i++) {
        struct member *m = &w->members[i];
        fleet_init(&m->fleet, i == 0 ? "a" : "b");
        for (int lane = 0; lane < LANES; lane++)
            admission_init(&m->a[lane]);
        m->waiting = 100;
        fleet_caught_up(&m->fleet, NOW_MS);
    }
    /* The first has learned the limit alone and runs two queries. */
    struct admission *a = &w->members[0].a[LANE_DML];
    admission_learn_alone(a, NOW_MS, LIMIT, true);
    a->running = 2;
    fleet_owns(&w->members[0].fleet, true, false);
    settle(w, led ? 6 : 0);
}

/* Partition 0 has moved; its old owner does not know yet and believes that it leads. */
static void move_lead(struct world *w) {
    struct member *successor = &w->members[1];
    successor->fleet.view.owns_first = true;
    for (int i = 0; i < 2; i++) {
        work(w, successor);
        while (read_one(w, successor))
            ;
    }
    assert_true(successor->fleet.leader.leads && w->members[0].fleet.leader.leads);
}

/* `min_states`: so many must be reached, lest the search has come to cover less than it did. */
static void explore(bool led, bool passed, int depth, int64_t min_states) {
    struct search s = {.stack = mem_zero(32 * sizeof *s.stack),
                       .seen = mem_zero(((size_t)1 << SEEN_BITS) * sizeof *s.seen)};
    open_world(&s.stack[0], led);
    if (led) {
        const struct member *m = s.stack[0].members;
        assert_true(m[0].fleet.leader.leads);
        assert_int_equal(m[0].a[LANE_DML].share + m[1].a[LANE_DML].share, LIMIT);
    }
    if (passed)
        move_lead(&s.stack[0]);
    search(&s, 0, depth);
    print_message("%" PRId64 " states\n", s.states);
    assert_true(s.states >= min_states);
    free(s.stack);
    free(s.seen);
}

static void test_from_the_first_claim(void **state) {
    (void)state;
    explore(false, false, 7, 50000);
}

static void test_from_a_fleet_that_is_led(void **state) {
    (void)state;
    explore(true, false, 9, 110000);
}

static void test_from_a_change_of_lead(void **state) {
    (void)state;
    explore(true, true, 8, 120000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_the_first_claim),
        cmocka_unit_test(test_from_a_fleet_that_is_led),
        cmocka_unit_test(test_from_a_change_of_lead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
