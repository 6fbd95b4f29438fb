/*
 * A model of several executors around executor/limit/fleet.c, in steps of a millisecond of model
 * time: a log that each of them reads with a delay of its own, Athena's quota for one lane, calls
 * that take `latency_ms` on average, sweeps over what runs, which overlap. After each step the
 * invariants of docs/fleet.md are checked.
 */
#ifndef TESTS_UNIT_EXECUTOR_LIMIT_FLEET_MODEL_H
#define TESTS_UNIT_EXECUTOR_LIMIT_FLEET_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "executor/limit/fleet.h"

enum {
    MODEL_EXECUTORS = 6,
    MODEL_RUNNING = 600,
    MODEL_SWEEPS = 16,
    MODEL_POLL_EVERY_MS = 100, /* a look at 50 queries */
    MODEL_LOG = 200000,
};

struct model_record {
    enum {
        RECORD_CLAIM,
        RECORD_REPORT,
        RECORD_GRANT,
        RECORD_LEAVE,
    } kind;
    int64_t at_ms;
    char id[FLEET_ID_MAX];
    void *body; /* owned: of a report or a grant */
};

/* A query that runs, or whose call is under way. */
struct model_query {
    bool calling, refused;
    struct admission_permit permit;
    int64_t answered_ms, submitted_ms, ends_ms;
    bool seen; /* by a sweep */
};

struct model_executor {
    bool alive, paused;
    bool cut_off; /* from Kafka, but not from Athena */
    bool mute;    /* it reads, but its records do not arrive */
    struct fleet fleet;
    struct admission a[LANES];
    size_t read; /* of the log */
    int64_t heard_until_ms;
    struct model_query queries[MODEL_RUNNING];
    size_t running;
    int backlog;
    uint64_t sweep;                      /* the last one that began */
    int64_t sweep_ms;                    /* when */
    int64_t sweep_ends_ms[MODEL_SWEEPS]; /* by number; 0: it is not under way */
    int64_t ended[256][2];               /* submitted, completed */
    size_t ended_next;
    int done;
};

struct model {
    int quota;
    int64_t duration_ms, delay_ms, sweep_every_ms;
    int64_t latency_ms; /* of a start, on average */
    int64_t look_ms;    /* of a look at what runs; 0: as a start */
    int max_calls;      /* of an executor: MAX_IN_FLIGHT */
    int64_t now_ms;
    uint64_t random;
    struct model_record *log;
    size_t log_count;
    struct model_executor executors[MODEL_EXECUTORS];
    size_t count, leader;
    int calls, throttled, done;
    int64_t active_ends_ms[1000]; /* of all that run in Athena */
    size_t active;
    int records_max_a_second;
};

static uint64_t model_random(struct model *m) {
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random * UINT64_C(2685821657736338717) >> 11;
}

static double model_share(struct model *m) {
    return (double)(model_random(m) % 1000000) / 1e6;
}

/* --- the log ---------------------------------------------------------------------------------- */

static void append(struct model *m, int kind, const char *id, const void *body, size_t size) {
    assert_true(m->log_count < MODEL_LOG);
    struct model_record *r = &m->log[m->log_count++];
    r->kind = kind;
    r->at_ms = m->now_ms;
    snprintf(r->id, sizeof r->id, "%s", id);
    r->body = size > 0 ? mem_bytes(body, size) : NULL;
}

static void deliver(struct model *m, struct model_executor *e, size_t offset) {
    const struct model_record *r = &m->log[offset];
    bool past = !e->fleet.view.caught_up;
    if (r->kind == RECORD_CLAIM)
        fleet_apply_claim(&e->fleet, r->id, (int64_t)offset);
    else if (r->kind == RECORD_GRANT)
        fleet_apply_grant(&e->fleet, r->body, m->now_ms - r->at_ms, m->now_ms);
    else if (r->kind == RECORD_REPORT && !past)
        fleet_apply_report(&e->fleet, r->body, m->now_ms);
    else if (r->kind == RECORD_LEAVE)
        fleet_apply_leave(&e->fleet, r->id);
}

static void read_log(struct model *m, struct model_executor *e) {
    int64_t delay_ms = m->delay_ms / 2 + (int64_t)(model_random(m) % (uint64_t)m->delay_ms);
    while (e->read < m->log_count && m->log[e->read].at_ms + delay_ms <= m->now_ms)
        deliver(m, e, e->read++);
}

/* --- Athena ----------------------------------------------------------------------------------- */

static void end_queries(struct model *m) {
    for (size_t i = 0; i < m->active;)
        if (m->active_ends_ms[i] <= m->now_ms)
            m->active_ends_ms[i] = m->active_ends_ms[--m->active];
        else
            i++;
}

static void call(struct model *m, struct model_executor *e, const struct admission_permit *permit) {
    assert_true(e->running < MODEL_RUNNING);
    struct model_query *q = &e->queries[e->running++];
    *q = (struct model_query){.calling = true, .permit = *permit};
    q->answered_ms =
        m->now_ms + m->latency_ms / 2 + (int64_t)(model_random(m) % (uint64_t)m->latency_ms);
    m->calls++;
    e->backlog--;
    if (m->active >= (size_t)m->quota) {
        q->refused = true;
        m->throttled++;
        return;
    }
    q->submitted_ms = m->now_ms;
    q->ends_ms = m->now_ms + (int64_t)((double)m->duration_ms * (0.9 + 0.2 * model_share(m)));
    m->active_ends_ms[m->active++] = q->ends_ms;
}

static void take_answers(struct model *m, struct model_executor *e) {
    for (size_t i = 0; i < e->running; i++) {
        struct model_query *q = &e->queries[i];
        if (!q->calling || q->answered_ms > m->now_ms)
            continue;
        q->calling = false;
        if (!q->refused) {
            admission_started(&e->a[0], m->now_ms, &q->permit);
            continue;
        }
        admission_throttled(&e->a[0], m->now_ms, &q->permit);
        e->backlog++; /* the redriver brings it back */
        *q = e->queries[--e->running];
        i--;
    }
}

/* --- sweeps ----------------------------------------------------------------------------------- */

static int count_at(const struct model_executor *e, double at) {
    int n = 0;
    int64_t at_ms = (int64_t)(at * 1000 + 0.5);
    for (size_t i = 0; i < e->running; i++)
        n += e->queries[i].seen && e->queries[i].submitted_ms <= at_ms;
    for (size_t i = 0; i < 256; i++)
        n += e->ended[i][1] > at_ms && e->ended[i][0] <= at_ms && e->ended[i][1] > 0;
    return n;
}

static int64_t look_ms(const struct model *m) {
    return m->look_ms > 0 ? m->look_ms : m->latency_ms;
}

static void end_sweep(struct model *m, struct model_executor *e, uint64_t number) {
    int64_t *ends_ms = &e->sweep_ends_ms[number % MODEL_SWEEPS];
    int64_t at_ms = *ends_ms - look_ms(m) / 2, last_ms = 0;
    for (size_t i = 0; i < e->running; i++) {
        struct model_query *q = &e->queries[i];
        if (q->calling || q->submitted_ms > at_ms)
            continue;
        q->seen = true;
        if (q->permit.version < fleet_counts_before(&e->fleet, LANE_DML))
            last_ms = q->submitted_ms > last_ms ? q->submitted_ms : last_ms;
        if (q->ends_ms > at_ms)
            continue;
        e->ended[e->ended_next % 256][0] = q->submitted_ms;
        e->ended[e->ended_next++ % 256][1] = q->ends_ms;
        admission_ended(&e->a[0], 1);
        e->done++;
        m->done++;
        *q = e->queries[--e->running];
        i--;
    }
    fleet_swept(&e->fleet, number, LANE_DML, (double)last_ms / 1000,
                count_at(e, fleet_count_at(&e->fleet, number, LANE_DML)));
    fleet_swept(&e->fleet, number, LANE_DDL, 0, 0);
    admission_swept(&e->a[0], number, count_at(e, (double)last_ms / 1000));
    *ends_ms = 0;
}

static void sweep(struct model *m, struct model_executor *e) {
    int64_t calls_ms = (int64_t)(1 + e->running / 50) * MODEL_POLL_EVERY_MS;
    int64_t every_ms = calls_ms > m->sweep_every_ms ? calls_ms : m->sweep_every_ms;
    for (int i = 0; i < MODEL_SWEEPS; i++) {
        uint64_t number = e->sweep - (uint64_t)i;
        int64_t ends_ms = e->sweep_ends_ms[number % MODEL_SWEEPS];
        if (ends_ms != 0 && ends_ms <= m->now_ms)
            end_sweep(m, e, number);
    }
    if (m->now_ms - e->sweep_ms < every_ms || e->sweep_ends_ms[(e->sweep + 1) % MODEL_SWEEPS] != 0)
        return;
    e->sweep++;
    e->sweep_ms = m->now_ms;
    fleet_sweep_begins(&e->fleet, e->sweep);
    admission_sweep_begins(&e->a[0], e->sweep);
    e->sweep_ends_ms[e->sweep % MODEL_SWEEPS] = m->now_ms + look_ms(m);
}

/* --- invariants ------------------------------------------------------------------------------- */

static int bounds(const struct fleet *f) {
    int sum = 0;
    for (size_t i = 0; i < f->leader.count; i++)
        sum += quota_bound(&f->leader.members[LANE_DML][i]);
    return sum;
}

static const struct model_executor *executor_of(const struct model *m, const char *id) {
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->executors[i].fleet.view.id, id) == 0)
            return &m->executors[i];
    return NULL;
}

/* No member may hold more than its leader reckons with. */
static void check_bounds(const struct model *m, const struct fleet *leader) {
    for (size_t i = 0; i < leader->leader.count; i++) {
        const struct model_executor *e = executor_of(m, leader->leader.ids[i]);
        if (e == NULL || !e->alive || !e->fleet.member.governed || e->a[0].version < 0 ||
            e->fleet.view.grant.epoch != leader->view.epoch)
            continue;
        if (e->a[0].share > quota_bound(&leader->leader.members[LANE_DML][i]))
            fail_msg("%s may hold %d, its leader reckons with %d at %d ms", leader->leader.ids[i],
                     e->a[0].share, quota_bound(&leader->leader.members[LANE_DML][i]),
                     (int)m->now_ms);
    }
}

/* --- a step ----------------------------------------------------------------------------------- */

static void step_fleet(struct model *m, struct model_executor *e) {
    struct fleet *f = &e->fleet;
    struct fleet_due due;
    const struct fleet_work work[LANES] = {{e->backlog, e->backlog}, {0, 0}};
    bool led = f->leader.leads;
    int before = bounds(f);
    fleet_step(f, m->now_ms, e->a, work, &due);
    if (led && f->leader.leads && due.grant) {
        int after = bounds(f), most = quota_slots(&f->leader.quota[0]);
        if (after > most && after > before)
            fail_msg("a grant raises what may be held from %d to %d, limit %d, at %d ms", before,
                     after, f->leader.quota[0].limit, (int)m->now_ms);
    }
    if (f->leader.leads)
        check_bounds(m, f);
    if (e->cut_off || e->mute)
        return;
    if (due.claim)
        append(m, RECORD_CLAIM, f->view.id, NULL, 0);
    if (due.tombstone)
        append(m, RECORD_LEAVE, due.gone, NULL, 0);
    if (due.grant)
        append(m, RECORD_GRANT, f->view.id, &f->leader.grant, sizeof f->leader.grant);
    if (due.report)
        append(m, RECORD_REPORT, f->view.id, &f->member.report, sizeof f->member.report);
}

static void step(struct model *m, struct model_executor *e) {
    struct admission_permit permit;
    if (!e->cut_off)
        read_log(m, e);
    take_answers(m, e);
    sweep(m, e);
    step_fleet(m, e);
    bool any = false;
    while (e->backlog > 0 && e->a[0].calls < m->max_calls &&
           admission_acquire(&e->a[0], m->now_ms, e->backlog, &permit)) {
        call(m, e, &permit);
        any = true;
    }
    if (any)
        step_fleet(m, e);
    assert_true(e->a[0].running >= 0 && e->a[0].calls >= 0);
}

static void model_run(struct model *m, int64_t until_ms) {
    for (; m->now_ms < until_ms; m->now_ms++) {
        end_queries(m);
        for (size_t i = 0; i < m->count; i++)
            if (m->executors[i].alive && !m->executors[i].paused)
                step(m, &m->executors[i]);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static void model_own(struct model *m, size_t leader) {
    size_t alive = 0;
    for (size_t i = 0; i < m->count; i++)
        alive += m->executors[i].alive;
    m->leader = leader;
    for (size_t i = 0; i < m->count; i++)
        fleet_owns(&m->executors[i].fleet, i == leader, i == leader && alive == 1);
}

static struct model_executor *model_add(struct model *m, int backlog) {
    char id[FLEET_ID_MAX];
    struct model_executor *e = &m->executors[m->count++];
    memset(e, 0, sizeof *e);
    snprintf(id, sizeof id, "e%zu", m->count - 1);
    fleet_init(&e->fleet, id);
    for (int lane = 0; lane < LANES; lane++)
        admission_init(&e->a[lane]);
    e->alive = true;
    e->backlog = backlog;
    while (e->read < m->log_count)
        deliver(m, e, e->read++);
    fleet_caught_up(&e->fleet, m->now_ms);
    e->sweep_ms = m->now_ms + (int64_t)(model_random(m) % (uint64_t)m->sweep_every_ms);
    return e;
}

static struct model *model_open(int quota, int64_t duration_ms, uint64_t seed) {
    struct model *m = mem_zero(sizeof *m);
    m->quota = quota;
    m->duration_ms = duration_ms;
    m->latency_ms = 20;
    m->max_calls = 10;
    m->delay_ms = 10;
    m->sweep_every_ms = duration_ms / 20 > 50 ? duration_ms / 20 : 50;
    m->random = seed * 7919 + 1;
    m->now_ms = 1;
    m->log = mem_zero(MODEL_LOG * sizeof *m->log);
    return m;
}

static void model_close(struct model *m) {
    for (size_t i = 0; i < m->log_count; i++)
        free(m->log[i].body);
    free(m->log);
    free(m);
}

#endif
