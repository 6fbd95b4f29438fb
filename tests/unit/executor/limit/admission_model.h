/*
 * A discrete-event model of one executor and one lane of Athena around executor/limit/admission.c,
 * in model time: calls take `latency_ms`, sweeps of 50 queries a call show what has ended, as in
 * tracker.c, the API may limit the rate of calls, and some calls are lost or refused. After each
 * event the counts of admission must agree with the model's.
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
#include "executor/limit/pace.h"
#include "executor/query/poll.h"
#include "executor/query/poll_pace.h"

struct model_config {
    int queries, quota;
    int64_t duration_ms;
    double jitter;      /* a duration is up to this share of it shorter or longer, … */
    int tail;           /* … and one in twenty is so many times as long */
    int64_t latency_ms; /* of a start */
    int64_t poll_ms;    /* of a look at what runs; 0: latency_ms */
    bool acts_at_once;  /* Athena does, and answers late; else it acts after half of the latency */
    int64_t sweep_ms;   /* 0: poll_pace_interval_ms() of the duration */
    int max_calls;      /* at once: MAX_IN_FLIGHT */
    double rate;        /* calls a second that the API allows, four times as many at once; 0: any */
    int64_t redrive_ms; /* a throttled query waits for the next multiple of this; 0: not at all */
    double lost;        /* share of calls whose answer is lost; half of them have started */
    double refused;     /* share of calls that say nothing about the quota */
    int found;          /* so many queries run already when the executor begins */
    uint64_t seed;
};

enum model_state {
    MODEL_WAITS,
    MODEL_CALLS,
    MODEL_PERHAPS, /* its answer was lost; between two calls */
    MODEL_REFUSED, /* it waits for the redriver, or for the API's rate */
    MODEL_RUNS,    /* as far as the executor knows */
    MODEL_DONE,
};

enum model_answer {
    ANSWER_STARTED,
    ANSWER_QUOTA,
    ANSWER_RATE,
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
    int64_t made_us;               /* when its call was made */
    int64_t rate_us;               /* since when the API's rate refuses it; 0: it does not */
    int64_t submitted_us, ends_us; /* by the server; 0: not started */
    uint64_t sweep, poll;          /* the last ones that asked for it */
    bool seen_ended;
};

enum {
    MODEL_POLLS = 16, /* BatchGetQueryExecution calls at once */
    MODEL_POLL_SPACING_US = 100000,
    MODEL_DUE_MAX = 40, /* of a poll, that may have ended; the others are next in the sweep */
    MODEL_BEGINS_US = 1000000,
};

/* One BatchGetQueryExecution under way. */
struct model_poll {
    bool open;
    uint64_t sweep;
    int batch[POLL_MAX], count;
    bool ended[POLL_MAX];
};

/* Of the sweeps, which overlap where answers take long; by the number modulo MODEL_POLLS. */
struct model_sweep {
    uint64_t number; /* 0: it has ended */
    int open;        /* calls under way */
    bool asked_all;
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
    struct pace pace;
    int64_t now_us;
    int quota;
    struct model_query *queries; /* owned */
    int *backlog;                /* owned, a ring of c.queries */
    int waiting, first;
    int low, high; /* all that are neither done nor untouched are from `low` to below `high` */
    struct model_event *events; /* owned, a heap */
    size_t event_count, event_room;
    uint64_t turn, random;
    int calls_now;

    uint64_t sweep;              /* the last one that began; 0: none has */
    int64_t sweep_us, polled_us; /* when it began, when the last poll was made */
    bool poll_waits;             /* for its timer */
    struct model_sweep sweeps[MODEL_POLLS];
    struct model_poll polls[MODEL_POLLS];
    uint64_t poll;            /* the last one */
    int64_t durations_us[31]; /* of the last that ended, a ring */
    int duration_count;

    double rate_tokens;
    int64_t rate_us;

    int calls, throttled, rate_limited, done, max_held, max_calls_now;
    int64_t rate_waited_us; /* the longest from a refusal for the rate to another answer */
    int64_t end_us;         /* of the last query, by the server */
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
    for (int q = m->low; q < m->high; q++)
        active += m->queries[q].ends_us > m->now_us;
    return active;
}

static void model_submit(struct model *m, struct model_query *q) {
    q->submitted_us = m->now_us;
    q->ends_us = m->now_us + q->duration_us;
    if (q->ends_us > m->end_us)
        m->end_us = q->ends_us;
}

static int64_t model_arrival_us(const struct model *m, int64_t latency_ms) {
    return m->c.acts_at_once ? 0 : latency_ms * 500;
}

static void model_answered(struct model *m, int q);

static bool model_is_within_rate(struct model *m) {
    double room = 4 * m->c.rate;
    if (m->c.rate <= 0)
        return true;
    m->rate_tokens += (double)(m->now_us - m->rate_us) / 1e6 * m->c.rate;
    m->rate_us = m->now_us;
    if (m->rate_tokens > room)
        m->rate_tokens = room;
    if (m->rate_tokens < 1)
        return false;
    m->rate_tokens--;
    return true;
}

/* A call reaches the server. The same query again is the same token: it starts once. */
static void model_arrives(struct model *m, int at) {
    struct model_query *q = &m->queries[at];
    double chance = model_share(m);
    m->calls++;
    if (!model_is_within_rate(m)) {
        q->answer = ANSWER_RATE;
        m->rate_limited++;
    } else if (chance < m->c.refused) {
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
    model_in(m, m->c.latency_ms * 1000 - model_arrival_us(m, m->c.latency_ms), model_answered, at);
}

/* --- sweeps, as tracker.c makes them ---------------------------------------------------------- */

static void model_polls(struct model *m, int unused);
static void model_dispatch(struct model *m);

static int64_t model_interval_us(const struct model *m) {
    int64_t ms =
        m->c.sweep_ms > 0 ? m->c.sweep_ms : poll_pace_interval_ms((double)m->c.duration_ms / 1000);
    return ms * 1000;
}

static struct model_sweep *model_last_sweep(struct model *m) {
    return &m->sweeps[m->sweep % MODEL_POLLS];
}

/* The next query that the last sweep has not asked for; -1: none. */
static int model_unasked(const struct model *m) {
    for (int q = m->low; q < m->high; q++)
        if (m->queries[q].state == MODEL_RUNS && m->queries[q].sweep != m->sweep)
            return q;
    return -1;
}

static bool model_begins_sweep(struct model *m) {
    return m->sweep == 0 || model_last_sweep(m)->asked_all;
}

static void model_poll_in(struct model *m) {
    int64_t at_us = m->polled_us + MODEL_POLL_SPACING_US;
    if (model_begins_sweep(m) && at_us < m->sweep_us + model_interval_us(m))
        at_us = m->sweep_us + model_interval_us(m);
    m->poll_waits = true;
    model_in(m, at_us > m->now_us ? at_us - m->now_us : 0, model_polls, 0);
}

static bool model_is_known(const struct model_query *q) {
    return q->state == MODEL_RUNS || q->seen_ended;
}

static int model_known_from(const struct model *m) {
    return m->low > 1000 ? m->low - 1000 : 0; /* those before have long ended */
}

static int model_known_active(const struct model *m, int64_t at_us) {
    int active = 0;
    for (int i = model_known_from(m); i < m->high; i++) {
        const struct model_query *q = &m->queries[i];
        active +=
            model_is_known(q) && q->submitted_us <= at_us && (!q->seen_ended || q->ends_us > at_us);
    }
    return active;
}

/* As tracker_peak(). */
static int model_peak(const struct model *m) {
    uint32_t generation = admission_generation(&m->a);
    int64_t last_us = 0;
    int most = 0;
    for (int i = model_known_from(m); i < m->high; i++) {
        const struct model_query *q = &m->queries[i];
        if (!model_is_known(q))
            continue;
        last_us = q->submitted_us > last_us ? q->submitted_us : last_us;
        if (q->permit.generation == generation) {
            int active = model_known_active(m, q->submitted_us);
            most = active > most ? active : most;
        }
    }
    return generation == ADMISSION_ANY_GENERATION ? model_known_active(m, last_us) : most;
}

static void model_end_sweep(struct model *m, struct model_sweep *s) {
    if (s->number == 0 || !s->asked_all || s->open > 0)
        return;
    admission_swept(&m->a, s->number, model_peak(m));
    s->number = 0;
}

static void model_see_end(struct model *m, struct model_query *q) {
    m->durations_us[m->duration_count++ % 31] = q->duration_us;
    q->state = MODEL_DONE;
    q->seen_ended = true;
    q->holds = false;
    m->done++;
    admission_ended(&m->a, 1);
}

static void model_polled(struct model *m, int at) {
    struct model_poll *p = &m->polls[at];
    struct model_sweep *s = &m->sweeps[p->sweep % MODEL_POLLS];
    for (int i = 0; i < p->count; i++) {
        struct model_query *q = &m->queries[p->batch[i]];
        if (p->ended[i] && q->state == MODEL_RUNS)
            model_see_end(m, q);
    }
    p->open = false;
    s->open--;
    model_end_sweep(m, s);
    if (!m->poll_waits)
        model_poll_in(m);
    model_dispatch(m);
}

static int64_t model_poll_ms(const struct model *m) {
    return m->c.poll_ms > 0 ? m->c.poll_ms : m->c.latency_ms;
}

static void model_looks(struct model *m, int at) {
    struct model_poll *p = &m->polls[at];
    for (int i = 0; i < p->count; i++)
        p->ended[i] = m->queries[p->batch[i]].ends_us <= m->now_us;
    model_in(m, model_poll_ms(m) * 1000 - model_arrival_us(m, model_poll_ms(m)), model_polled, at);
}

/* Queries that run for less have hardly ended, by the last that have. */
static int64_t model_due_us(const struct model *m) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < 31 && i < m->duration_count; i++)
        least = m->durations_us[i] < least ? m->durations_us[i] : least;
    return m->duration_count > 0 ? least * 9 / 10 : 0;
}

/* Of those that may have ended the one that was asked for longest ago; -1: none. */
static int model_due(const struct model *m) {
    int64_t age_us = model_due_us(m) - m->c.latency_ms * 1000;
    int best = -1;
    for (int i = m->low; i < m->high; i++) {
        const struct model_query *q = &m->queries[i];
        if (q->state == MODEL_RUNS && m->now_us - q->made_us >= age_us && q->poll != m->poll &&
            (best < 0 || q->poll < m->queries[best].poll))
            best = i;
    }
    return best;
}

static void model_fill_batch(struct model *m, struct model_poll *p) {
    int q;
    *p = (struct model_poll){.open = true, .sweep = m->sweep};
    m->poll++;
    while (p->count < MODEL_DUE_MAX && (q = model_due(m)) >= 0) {
        m->queries[q].poll = m->poll;
        m->queries[q].sweep = m->sweep;
        p->batch[p->count++] = q;
    }
    while (p->count < POLL_MAX && (q = model_unasked(m)) >= 0) {
        m->queries[q].sweep = m->sweep;
        m->queries[q].poll = m->poll;
        p->batch[p->count++] = q;
    }
}

static void model_polls(struct model *m, int unused) {
    (void)unused;
    int at = 0;
    m->poll_waits = false;
    while (at < MODEL_POLLS && m->polls[at].open)
        at++;
    if (at == MODEL_POLLS)
        return; /* until one is answered */
    if (model_begins_sweep(m)) {
        m->sweep++;
        *model_last_sweep(m) = (struct model_sweep){.number = m->sweep};
        m->sweep_us = m->now_us;
        admission_sweep_begins(&m->a, m->sweep);
    }
    model_fill_batch(m, &m->polls[at]);
    struct model_sweep *s = model_last_sweep(m);
    s->asked_all = model_unasked(m) < 0;
    if (m->polls[at].count == 0) {
        m->polls[at].open = false;
        model_end_sweep(m, s);
    } else {
        s->open++;
        m->polled_us = m->now_us;
        model_in(m, model_arrival_us(m, model_poll_ms(m)), model_looks, at);
    }
    if (m->a.running > 0)
        model_poll_in(m);
}

static void model_runs(struct model *m, struct model_query *q) {
    if (m->high <= q - m->queries)
        m->high = (int)(q - m->queries) + 1;
    q->state = MODEL_RUNS;
    q->holds = true;
    q->sweep = m->sweep; /* for the next one */
    if (!m->poll_waits)
        model_poll_in(m);
}

/* --- the executor ----------------------------------------------------------------------------- */

static void model_waits(struct model *m, int q) {
    m->queries[q].state = MODEL_WAITS;
    m->backlog[(m->first + m->waiting++) % m->c.queries] = q;
}

static void model_calls(struct model *m, int q) {
    m->queries[q].state = MODEL_CALLS;
    m->calls_now++;
    m->max_calls_now = m->calls_now > m->max_calls_now ? m->calls_now : m->max_calls_now;
    if (m->high <= q)
        m->high = q + 1;
    m->queries[q].made_us = m->now_us;
    pace_take(&m->pace, m->now_us / 1000);
    model_in(m, model_arrival_us(m, m->c.latency_ms), model_arrives, q);
}

/* At most one slot is used that is not known to be free. */
static void model_check_permit(const struct model *m) {
    int held = admission_held(&m->a);
    if (!m->a.growing && held > m->a.limit + m->a.unconfirmed_probes + 1)
        fail_msg("seed %" PRIu64 ": %d held at %" PRId64 " ms, limit %d", m->c.seed, held,
                 m->now_us / 1000, m->a.limit);
}

static void model_dispatch(struct model *m) {
    struct admission_permit permit;
    while (m->waiting > 0 && m->calls_now < m->c.max_calls &&
           pace_open(&m->pace, m->now_us / 1000) &&
           admission_acquire(&m->a, m->now_us / 1000, m->waiting, &permit)) {
        int q = m->backlog[m->first];
        model_check_permit(m);
        m->first = (m->first + 1) % m->c.queries;
        m->waiting--;
        m->queries[q].permit = permit;
        model_calls(m, q);
    }
}

static void model_calls_again(struct model *m, int q) {
    model_calls(m, q);
}

static void model_is_redriven(struct model *m, int q) {
    model_waits(m, q);
    model_dispatch(m);
}

/* It goes back to its place before the others. */
static void model_waits_again(struct model *m, int q) {
    m->first = (m->first + m->c.queries - 1) % m->c.queries;
    m->queries[q].state = MODEL_WAITS;
    m->backlog[m->first] = q;
    m->waiting++;
    model_dispatch(m);
}

static void model_answer_to_permit(struct model *m, int at) {
    struct model_query *q = &m->queries[at];
    int64_t now_ms = m->now_us / 1000;
    switch (q->answer) {
    case ANSWER_STARTED:
        admission_started(&m->a, now_ms, &q->permit);
        break;
    case ANSWER_QUOTA:
        admission_throttled(&m->a, now_ms, &q->permit);
        break;
    case ANSWER_LOST:
        admission_uncertain(&m->a, &q->permit);
        q->holds = true;
        break;
    case ANSWER_REFUSED:
    case ANSWER_RATE:
        admission_cancelled(&m->a, &q->permit);
        break;
    }
}

/* Tried again in so many us: its slot is given back. */
static void model_refused(struct model *m, int at, int64_t in_us,
                          void (*then)(struct model *, int)) {
    m->queries[at].state = MODEL_REFUSED;
    model_in(m, in_us, then, at);
}

static void model_act(struct model *m, int at) {
    struct model_query *q = &m->queries[at];
    int64_t redrive_us = m->c.redrive_ms * 1000, most_us;
    switch (q->answer) {
    case ANSWER_STARTED:
        pace_worked(&m->pace);
        model_runs(m, q);
        break;
    case ANSWER_QUOTA:
        model_refused(m, at, redrive_us > 0 ? redrive_us - m->now_us % redrive_us : 0,
                      model_is_redriven);
        break;
    case ANSWER_RATE:
        pace_throttled(&m->pace, m->now_us / 1000);
        q->rate_us = q->rate_us > 0 ? q->rate_us : m->now_us;
        model_refused(m, at, 250000 + (int64_t)(500000 * model_share(m)), model_waits_again);
        break;
    case ANSWER_LOST:
        most_us = INT64_C(100000) << (q->tries < 7 ? q->tries : 7);
        q->tries++;
        q->state = MODEL_PERHAPS;
        model_in(m, (int64_t)((double)most_us * model_share(m)) + 1000, model_calls_again, at);
        break;
    case ANSWER_REFUSED:
        model_waits(m, at);
        break;
    }
}

static void model_note_rate(struct model *m, struct model_query *q) {
    if (q->answer == ANSWER_RATE || q->rate_us == 0)
        return;
    int64_t waited_us = m->now_us - q->rate_us;
    m->rate_waited_us = waited_us > m->rate_waited_us ? waited_us : m->rate_waited_us;
    q->rate_us = 0;
}

static void model_answered(struct model *m, int at) {
    struct model_query *q = &m->queries[at];
    m->calls_now--;
    model_note_rate(m, q);
    if (!q->holds)
        model_answer_to_permit(m, at);
    else if (q->answer == ANSWER_STARTED)
        admission_confirmed(&m->a);
    else if (q->answer != ANSWER_LOST)
        admission_ended(&m->a, 1);
    q->holds = q->answer == ANSWER_STARTED || q->answer == ANSWER_LOST;
    model_act(m, at);
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
    *m = (struct model){.c = *c, .quota = c->quota, .random = c->seed};
    m->queries = mem_zero((size_t)c->queries * sizeof *m->queries);
    m->backlog = mem_zero((size_t)c->queries * sizeof *m->backlog);
    m->polled_us = m->sweep_us = -10000000;
    m->now_us = MODEL_BEGINS_US;
    m->rate_us = m->now_us;
    m->rate_tokens = 4 * c->rate;
    pace_init(&m->pace);
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
    free(m->events);
}

static void model_check_counts(struct model *m) {
    int pending = 0, held = 0;
    while (m->low < m->high && m->queries[m->low].state == MODEL_DONE)
        m->low++;
    for (int q = m->low; q < m->high; q++) {
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
    while (m->done < m->c.queries && m->events[0].at_us <= MODEL_BEGINS_US + until_ms * 1000) {
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
    return (double)(m->end_us - MODEL_BEGINS_US) / (work_us / m->c.quota);
}

static double model_waste(const struct model *m) {
    return (double)m->throttled / m->calls;
}

#endif
