/*
 * A discrete-event model of one executor and one lane of Athena around executor/limit/admission.c,
 * in model time: calls take a round trip, sweeps of 50 queries a call show what has ended, as in
 * tracker.c, and some calls are lost or refused. After each event the counts of admission must
 * agree with the model's.
 */
#ifndef TESTS_UNIT_EXECUTOR_LIMIT_ADMISSION_MODEL_H
#define TESTS_UNIT_EXECUTOR_LIMIT_ADMISSION_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "executor/limit/admission.h"
#include "executor/query/poll_pace.h"
#include "executor/query/sweep.h"
#include "executor/query/tracker.h"

struct model_config {
    int queries, quota;
    int64_t duration_ms;
    double jitter; /* a duration is up to this share of it shorter or longer, … */
    int tail;      /* … and one in twenty is so many times as long */
    int64_t rtt_ms;
    int64_t sweep_ms; /* 0: poll_pace_interval_ms() of the duration */
    int max_calls;    /* at once: MAX_IN_FLIGHT */
    double lost;      /* share of calls whose answer is lost; half of them have started */
    double refused;   /* share of calls that say nothing about the quota */
    int found;        /* so many queries run already when the executor begins */
    uint64_t seed;
};

enum model_state {
    MODEL_WAITS,
    MODEL_CALLS,
    MODEL_PERHAPS, /* its answer was lost; between two calls */
    MODEL_RUNS,    /* as far as the executor knows */
    MODEL_DONE,
};

enum model_answer {
    ANSWER_STARTED,
    ANSWER_QUOTA,
    ANSWER_LOST,
    ANSWER_REFUSED,
};

struct model_query {
    enum model_state state;
    bool holds; /* a slot, not a permit */
    struct admission_permit permit;
    enum model_answer answer;
    int tries;
    int64_t duration_us;
    int64_t submitted_us, ends_us; /* by the server; 0: not started */
    uint64_t sweep;
    bool seen_ended;
};

struct model;

struct model_event {
    int64_t at_us;
    uint64_t turn;
    void (*what)(struct model *m, int q);
    int q;
};

struct model {
    struct model_config c;
    struct admission a;
    int64_t now_us;
    int quota;
    struct model_query *queries; /* owned */
    int *backlog;                /* owned, a ring of c.queries */
    int waiting, first;
    struct model_event *events; /* owned, a heap */
    size_t event_count, event_room;
    uint64_t turn, random;
    int calls_now;

    uint64_t sweep;
    bool sweeping, sweep_waits; /* for its timer or its answer */
    int64_t swept_us;           /* of the last call */
    int batch[TRACKER_BATCH], batch_count;
    struct sweep_seen *seen; /* owned */
    size_t seen_count;

    int calls, throttled, done, max_held;
    int64_t end_us; /* of the last query, by the server */
};

/* --- random numbers and events ---------------------------------------------------------------- */

/* splitmix64 */
static uint64_t model_random(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double model_share(struct model *m) {
    return (double)(model_random(&m->random) >> 11) / 9007199254740992.0;
}

static bool model_before(const struct model_event *a, const struct model_event *b) {
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->turn < b->turn;
}

static void model_in(struct model *m, int64_t delay_us, void (*what)(struct model *, int), int q) {
    if (m->event_count == m->event_room) {
        m->event_room = m->event_room * 2 + 64;
        m->events = mem_resize(m->events, m->event_room, sizeof *m->events);
    }
    struct model_event e = {m->now_us + delay_us, m->turn++, what, q};
    size_t at = m->event_count++;
    for (; at > 0 && model_before(&e, &m->events[(at - 1) / 2]); at = (at - 1) / 2)
        m->events[at] = m->events[(at - 1) / 2];
    m->events[at] = e;
}

static struct model_event model_next(struct model *m) {
    struct model_event first = m->events[0], e = m->events[--m->event_count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < m->event_count) {
        if (child + 1 < m->event_count && model_before(&m->events[child + 1], &m->events[child]))
            child++;
        if (!model_before(&m->events[child], &e))
            break;
        m->events[at] = m->events[child];
        at = child;
    }
    m->events[at] = e;
    return first;
}

/* --- the server ------------------------------------------------------------------------------- */

static int model_active(const struct model *m) {
    int active = 0;
    for (int q = 0; q < m->c.queries; q++)
        active += m->queries[q].ends_us > m->now_us;
    return active;
}

static void model_submit(struct model *m, struct model_query *q) {
    q->submitted_us = m->now_us;
    q->ends_us = m->now_us + q->duration_us;
    if (q->ends_us > m->end_us)
        m->end_us = q->ends_us;
}

static void model_answered(struct model *m, int q);

/* A call reaches the server. The same query again is the same token: it starts once. */
static void model_arrives(struct model *m, int at) {
    struct model_query *q = &m->queries[at];
    double chance = model_share(m);
    m->calls++;
    if (chance < m->c.refused) {
        q->answer = ANSWER_REFUSED;
    } else if (chance < m->c.refused + m->c.lost / 2) {
        q->answer = ANSWER_LOST;
    } else if (q->ends_us == 0 && model_active(m) >= m->quota) {
        q->answer = ANSWER_QUOTA;
        m->throttled++;
    } else {
        if (q->ends_us == 0)
            model_submit(m, q);
        q->answer = chance < m->c.refused + m->c.lost ? ANSWER_LOST : ANSWER_STARTED;
    }
    model_in(m, m->c.rtt_ms * 500, model_answered, at);
}

/* --- sweeps, as tracker.c makes them ---------------------------------------------------------- */

static void model_sweeps(struct model *m, int unused);
static void model_dispatch(struct model *m);

static void model_sweep_in(struct model *m, int64_t delay_ms) {
    int64_t least_us = m->swept_us + 100000 - m->now_us, delay_us = delay_ms * 1000;
    m->sweep_waits = true;
    model_in(m, delay_us > least_us ? delay_us : least_us, model_sweeps, 0);
}

static int64_t model_sweep_ms(const struct model *m) {
    return m->c.sweep_ms > 0 ? m->c.sweep_ms
                             : poll_pace_interval_ms((double)m->c.duration_ms / 1000);
}

static bool model_sweep_goes_on(const struct model *m) {
    for (int q = 0; q < m->c.queries; q++)
        if (m->queries[q].state == MODEL_RUNS && m->queries[q].sweep != m->sweep)
            return true;
    return false;
}

static void model_swept(struct model *m, int unused) {
    (void)unused;
    for (int i = 0; i < m->batch_count; i++) {
        struct model_query *q = &m->queries[m->batch[i]];
        m->seen[m->seen_count++] =
            (struct sweep_seen){LANE_DML, 1 + (double)q->submitted_us / 1e6,
                                q->seen_ended ? 1 + (double)q->ends_us / 1e6 : 0};
        if (!q->seen_ended)
            continue;
        q->state = MODEL_DONE;
        q->holds = false;
        m->done++;
        admission_ended(&m->a, 1);
    }
    bool goes_on = model_sweep_goes_on(m);
    m->sweep_waits = false;
    if (!goes_on) {
        admission_swept(&m->a, sweep_peak(m->seen, m->seen_count, LANE_DML));
        m->sweeping = false;
        m->sweep++;
    }
    if (goes_on || model_sweep_goes_on(m))
        model_sweep_in(m, goes_on ? 0 : model_sweep_ms(m) - (m->now_us - m->swept_us) / 1000);
    model_dispatch(m);
}

static void model_looks(struct model *m, int unused) {
    (void)unused;
    for (int i = 0; i < m->batch_count; i++) {
        struct model_query *q = &m->queries[m->batch[i]];
        q->seen_ended = q->ends_us <= m->now_us;
    }
    model_in(m, m->c.rtt_ms * 500, model_swept, 0);
}

static void model_sweeps(struct model *m, int unused) {
    (void)unused;
    if (!m->sweeping) {
        m->sweeping = true;
        m->seen_count = 0;
        admission_sweep_begins(&m->a);
    }
    m->batch_count = 0;
    for (int q = 0; q < m->c.queries && m->batch_count < TRACKER_BATCH; q++)
        if (m->queries[q].state == MODEL_RUNS && m->queries[q].sweep != m->sweep) {
            m->queries[q].sweep = m->sweep;
            m->batch[m->batch_count++] = q;
        }
    m->swept_us = m->now_us;
    model_in(m, m->c.rtt_ms * 500, model_looks, 0);
}

static void model_runs(struct model *m, struct model_query *q) {
    q->state = MODEL_RUNS;
    q->holds = true;
    q->sweep = m->sweeping ? m->sweep : m->sweep - 1;
    if (!m->sweep_waits)
        model_sweep_in(m, model_sweep_ms(m));
}

/* --- the executor ----------------------------------------------------------------------------- */

static void model_waits(struct model *m, int q) {
    m->queries[q].state = MODEL_WAITS;
    m->backlog[(m->first + m->waiting++) % m->c.queries] = q;
}

static void model_calls(struct model *m, int q) {
    m->queries[q].state = MODEL_CALLS;
    m->calls_now++;
    model_in(m, m->c.rtt_ms * 500, model_arrives, q);
}

/* At most one slot is used that is not known to be free. */
static void model_check_permit(const struct model *m) {
    int out = m->a.running + m->a.calls;
    if (!m->a.growing && out > m->a.limit + m->a.unconfirmed_probes + 1)
        fail_msg("seed %" PRIu64 ": %d out at %" PRId64 " ms, limit %d", m->c.seed, out,
                 m->now_us / 1000, m->a.limit);
}

static void model_dispatch(struct model *m) {
    struct admission_permit permit;
    while (m->waiting > 0 && m->calls_now < m->c.max_calls &&
           admission_acquire(&m->a, m->now_us / 1000, m->waiting, &permit)) {
        int q = m->backlog[m->first];
        model_check_permit(m);
        m->first = (m->first + 1) % m->c.queries;
        m->waiting--;
        m->queries[q].permit = permit;
        model_calls(m, q);
    }
}

static void model_again(struct model *m, int q) {
    model_calls(m, q);
}

static void model_answer_to_permit(struct model *m, int at) {
    struct model_query *q = &m->queries[at];
    switch (q->answer) {
    case ANSWER_STARTED:
        admission_started(&m->a, &q->permit);
        break;
    case ANSWER_QUOTA:
        admission_throttled(&m->a, m->now_us / 1000, &q->permit);
        break;
    case ANSWER_LOST:
        admission_uncertain(&m->a);
        q->holds = true;
        break;
    case ANSWER_REFUSED:
        admission_cancelled(&m->a);
        break;
    }
}

static void model_answered(struct model *m, int at) {
    struct model_query *q = &m->queries[at];
    m->calls_now--;
    if (!q->holds)
        model_answer_to_permit(m, at);
    else if (q->answer == ANSWER_STARTED)
        admission_confirmed(&m->a);
    else if (q->answer != ANSWER_LOST)
        admission_ended(&m->a, 1);
    q->holds = q->answer == ANSWER_STARTED || q->answer == ANSWER_LOST;
    if (q->answer == ANSWER_STARTED) {
        model_runs(m, q);
    } else if (q->answer == ANSWER_LOST) {
        int64_t most_us = INT64_C(100000) << (q->tries < 7 ? q->tries : 7);
        q->tries++;
        q->state = MODEL_PERHAPS;
        model_in(m, (int64_t)((double)most_us * model_share(m)) + 1000, model_again, at);
    } else {
        model_waits(m, at);
    }
    model_dispatch(m);
}

static void model_ticks(struct model *m, int unused) {
    (void)unused;
    model_dispatch(m);
    if (m->done < m->c.queries)
        model_in(m, 50000, model_ticks, 0);
}

/* --- life ------------------------------------------------------------------------------------- */

static void model_open(struct model *m, const struct model_config *c) {
    *m = (struct model){.c = *c, .quota = c->quota, .random = c->seed, .sweep = 1};
    m->queries = mem_zero((size_t)c->queries * sizeof *m->queries);
    m->backlog = mem_zero((size_t)c->queries * sizeof *m->backlog);
    m->seen = mem_zero((size_t)c->queries * sizeof *m->seen);
    m->swept_us = -1000000;
    admission_init(&m->a);
    for (int i = 0; i < c->queries; i++) {
        struct model_query *q = &m->queries[i];
        double ms = (double)c->duration_ms * (1 + c->jitter * (2 * model_share(m) - 1));
        q->duration_us =
            (int64_t)(ms * 1000) * (c->tail > 1 && model_share(m) < 0.05 ? c->tail : 1);
        if (i >= c->found) {
            model_waits(m, i);
            continue;
        }
        model_submit(m, q);
        admission_found(&m->a);
        model_runs(m, q);
    }
    model_in(m, 0, model_ticks, 0);
}

static void model_close(struct model *m) {
    free(m->queries);
    free(m->backlog);
    free(m->seen);
    free(m->events);
}

static void model_check_counts(struct model *m) {
    int pending = 0, held = 0;
    for (int q = 0; q < m->c.queries; q++) {
        pending += m->queries[q].state == MODEL_CALLS && !m->queries[q].holds;
        held += m->queries[q].holds;
    }
    if (m->a.calls != pending || m->a.running != held || m->a.limit < 0)
        fail_msg("seed %" PRIu64 ": pending %d, not %d; held %d, not %d; limit %d at %" PRId64
                 " ms",
                 m->c.seed, m->a.calls, pending, m->a.running, held, m->a.limit, m->now_us / 1000);
    if (held + pending > m->max_held)
        m->max_held = held + pending;
}

/* To `until_ms`, or to the end of the last query. */
static void model_run(struct model *m, int64_t until_ms) {
    while (m->done < m->c.queries && m->events[0].at_us <= until_ms * 1000) {
        struct model_event e = model_next(m);
        m->now_us = e.at_us;
        e.what(m, e.q);
        model_check_counts(m);
    }
}

/* Time ÷ ideal: the work ÷ the quota, as if no slot were ever idle. */
static double model_ratio(const struct model *m) {
    double work_us = 0;
    for (int q = 0; q < m->c.queries; q++)
        work_us += (double)m->queries[q].duration_us;
    return (double)m->end_us / (work_us / m->c.quota);
}

static double model_waste(const struct model *m) {
    return (double)m->throttled / m->calls;
}

#endif
