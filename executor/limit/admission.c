#include "executor/limit/admission.h"

#include <limits.h>

enum {
    WINDOW_FULL_MS = 60, /* calls that take less than this get a part of the window */
    CALLS_LEAST = 4,     /* where that is less, too, … */
    RUNNING_A_CALL = 3,  /* … a call for so many that run, … */
    STARTS_A_CALL = 8,   /* … or for so many that have started */
    OPEN_CHECKS = 3,     /* after so many, what probes have taken is used like the limit */
};

void admission_init(struct admission *a) {
    *a = (struct admission){.limit = 1, .cold = true, .growing = true, .growing_ms = -1};
    probing_init(&a->probing, 0);
}

int admission_held(const struct admission *a) {
    return a->running + a->calls;
}

/* Counts of queries: all fit an int, whatever they are made from. */
static int min(int64_t a, int64_t b) {
    return (int)(a < b ? a : b);
}

static int max(int64_t a, int64_t b) {
    int64_t most = a > b ? a : b;
    return most < INT_MAX ? (int)most : INT_MAX;
}

/* --- governed --------------------------------------------------------------------------------- */

void admission_govern(struct admission *a, int share, int64_t version) {
    if (a->governed && version == a->version)
        return;
    a->governed = true;
    a->share = share;
    a->version = version;
}

void admission_revoke_share(struct admission *a) {
    if (a->governed)
        a->share = 0;
}

static void grow(struct admission *a) {
    a->growing = true;
    a->starts_growing = 0;
    a->growing_ms = -1;
}

/* A limit was set: permits that are out were given before that. */
static void begin_generation(struct admission *a) {
    a->generation++;
    a->old_calls = a->calls;
}

void admission_learn_alone(struct admission *a, int64_t now_ms, int limit, bool learned) {
    a->governed = false;
    a->limit = limit;
    a->cold = a->growing = !learned;
    if (a->growing)
        grow(a);
    a->probes = a->unconfirmed_probes = 0;
    probing_init(&a->probing, now_ms);
    begin_generation(a);
    a->check = ADMISSION_CHECK_NONE;
}

/* Until the leader knows of the throttle and grants anew, what is held is all that may be held. */
static void lower_share(struct admission *a, const struct admission_permit *permit) {
    int held = admission_held(a);
    if (permit->version == a->version && a->share > held)
        a->share = held;
    a->probing.throttles_in_row = 1;
}

/* --- permits ---------------------------------------------------------------------------------- */

/* All queries that wait or have started since it began to grow. */
static int64_t burst(const struct admission *a, int64_t backlog) {
    return backlog + a->starts_growing;
}

/* How many calls may be out, while it grows, for slots that are not known to be free. */
static int growing_window(const struct admission *a, int64_t now_ms, int64_t backlog) {
    int64_t latency_ms = a->latency_ms;
    if (latency_ms == 0 && a->growing_ms >= 0)
        latency_ms = now_ms - a->growing_ms; /* at least */
    int window = probing_window(a->cold, burst(a, backlog), a->starts_growing);
    int64_t widest = probing_widest_window(burst(a, backlog), a->starts_growing);
    int least = 1 + (a->cold ? a->running / RUNNING_A_CALL : a->starts_growing / STARTS_A_CALL);
    return max(min(least, CALLS_LEAST), min(window, latency_ms * widest / WINDOW_FULL_MS));
}

static bool may_call(const struct admission *a, int64_t now_ms, int64_t backlog) {
    int held = admission_held(a);
    int known = a->cold && a->starts_growing == 0 ? 0 : a->limit;
    if (a->open_checks >= OPEN_CHECKS && probing_is_worth(a->limit, backlog))
        known += a->unconfirmed_probes;
    if (held >= known) /* queries that perhaps run count, and show nothing about the quota */
        return a->growing && a->running < known + CALLS_LEAST &&
               held < known + growing_window(a, now_ms, backlog);
    if (a->probing.throttles_in_row > 0)
        return a->calls == 0;
    /* Until the check has decided, the limit counts slots of queries whose end was not seen. */
    return a->check != ADMISSION_CHECK_EDGE ||
           a->calls < probing_widest_window(burst(a, backlog), a->starts_growing);
}

static bool may_probe(const struct admission *a, int64_t now_ms, int64_t backlog) {
    int held = admission_held(a);
    return !a->growing && a->probes == 0 && held >= a->limit &&
           held <= a->limit + a->unconfirmed_probes &&
           probing_is_due(&a->probing, now_ms, a->limit, held, backlog);
}

static bool acquire_governed(struct admission *a) {
    return admission_held(a) < a->share && (a->probing.throttles_in_row == 0 || a->calls == 0);
}

static bool acquire_alone(struct admission *a, int64_t now_ms, int64_t backlog,
                          struct admission_permit *permit) {
    if (may_call(a, now_ms, backlog)) {
        if (a->growing && a->growing_ms < 0)
            a->growing_ms = now_ms;
        return true;
    }
    if (!may_probe(a, now_ms, backlog))
        return false;
    permit->probe = true;
    a->probes++;
    probing_probe_made(&a->probing, now_ms);
    return true;
}

bool admission_acquire(struct admission *a, int64_t now_ms, int64_t backlog,
                       struct admission_permit *permit) {
    *permit = (struct admission_permit){
        .generation = a->generation, .version = a->version, .made_ms = now_ms};
    bool acquired = a->governed ? acquire_governed(a) : acquire_alone(a, now_ms, backlog, permit);
    a->calls += acquired;
    return acquired;
}

bool admission_is_full(const struct admission *a) {
    int held = admission_held(a);
    return a->governed ? held >= a->share : !a->growing && held >= a->limit;
}

/* --- answers ---------------------------------------------------------------------------------- */

static bool is_old(const struct admission *a, const struct admission_permit *permit) {
    return permit->generation != a->generation;
}

static void return_permit(struct admission *a, const struct admission_permit *permit) {
    a->calls--;
    if (permit->probe && a->probes > 0)
        a->probes--;
    if (is_old(a, permit) && a->old_calls > 0)
        a->old_calls--;
}

static void await_sweep(struct admission *a, enum admission_check check) {
    a->check = check;
    a->check_sweep = 0;
    a->check_once_more = false;
}

static void note_latency(struct admission *a, int64_t now_ms, const struct admission_permit *p) {
    int64_t ms = now_ms - p->made_ms + 1;
    a->latency_ms = a->latency_ms == 0 ? ms : (7 * a->latency_ms + ms) / 8;
}

static void probe_started(struct admission *a, const struct admission_permit *permit) {
    a->edge_met = is_old(a, permit);
    a->unconfirmed_probes += !a->edge_met;
    /* A sweep that has begun decides about the probes before this one. */
    if (a->check == ADMISSION_CHECK_PROBE && a->check_sweep != 0)
        a->check_once_more = true;
    else
        await_sweep(a, ADMISSION_CHECK_PROBE);
}

void admission_started(struct admission *a, int64_t now_ms, const struct admission_permit *permit) {
    return_permit(a, permit);
    note_latency(a, now_ms, permit);
    a->running++;
    a->starts++;
    if (a->governed) {
        a->probing.throttles_in_row = 0;
        return;
    }
    probing_started(&a->probing, 1);
    if (permit->probe)
        probe_started(a, permit);
    if (probing_recovers(&a->probing))
        grow(a);
    a->starts_growing += a->growing;
    /* Growing, or an answer to a call of then that came after the throttle. */
    if ((a->growing || a->check == ADMISSION_CHECK_EDGE) && a->limit < a->running)
        a->limit = a->running;
}

static void probe_throttled(struct admission *a, int64_t now_ms) {
    a->edge_met = true;
    a->unconfirmed_probes = 0;
    probing_probe_throttled(&a->probing, now_ms);
}

static void throttled_alone(struct admission *a, int64_t now_ms) {
    enum probing_phase phase = PROBING_STEADY;
    int held = admission_held(a);
    if (a->check == ADMISSION_CHECK_PROBE) /* the throttle is newer than what a sweep would show */
        a->check = ADMISSION_CHECK_NONE;
    if (a->growing) {
        phase = PROBING_RAISING;
        held = a->running;
        await_sweep(a, ADMISSION_CHECK_EDGE);
        a->edge_generation = a->generation;
    } else if (a->check == ADMISSION_CHECK_EDGE) {
        phase = PROBING_CHECKING;
    }
    a->growing = a->cold = false;
    a->unconfirmed_probes = 0;
    a->limit = probing_throttled(&a->probing, now_ms, phase, a->limit, held);
}

/* It was counted as held when the limit was set, unless that was at the end of growth. */
static void throttled_late(struct admission *a) {
    if (!a->growing && a->check != ADMISSION_CHECK_EDGE && a->limit > a->running + a->calls)
        a->limit--;
}

void admission_throttled(struct admission *a, int64_t now_ms,
                         const struct admission_permit *permit) {
    bool old = is_old(a, permit), probed = a->probes + a->unconfirmed_probes > 0;
    return_permit(a, permit);
    note_latency(a, now_ms, permit);
    a->throttles++;
    a->throttled_version = permit->version;
    if (a->governed) {
        lower_share(a, permit);
        return;
    }
    if (old) {
        if (!permit->probe)
            throttled_late(a);
        return;
    }
    /* More is held than the limit allows; any of the calls may be the one that is throttled. */
    if (permit->probe || (probed && admission_held(a) >= a->limit))
        probe_throttled(a, now_ms);
    else
        throttled_alone(a, now_ms);
    begin_generation(a);
}

void admission_cancelled(struct admission *a, const struct admission_permit *permit) {
    return_permit(a, permit);
}

void admission_uncertain(struct admission *a, const struct admission_permit *permit) {
    return_permit(a, permit);
    a->running++;
}

void admission_confirmed(struct admission *a) {
    if (a->governed || !a->growing)
        return;
    a->starts_growing++;
    if (a->limit < a->running)
        a->limit = a->running;
}

void admission_found(struct admission *a) {
    a->running++;
}

void admission_ended(struct admission *a, int n) {
    a->running -= n;
}

/* --- sweeps ----------------------------------------------------------------------------------- */

/* Where the edge is, no sweep can tell before all calls of then are answered. */
void admission_sweep_begins(struct admission *a, uint64_t sweep) {
    if (a->check != ADMISSION_CHECK_NONE && a->check_sweep == 0 &&
        (a->check != ADMISSION_CHECK_EDGE || a->old_calls == 0))
        a->check_sweep = sweep;
}

uint32_t admission_generation(const struct admission *a) {
    return a->check == ADMISSION_CHECK_EDGE ? a->edge_generation : ADMISSION_ANY_GENERATION;
}

static void raise_limit(struct admission *a, int peak) {
    a->limit = peak;
    a->unconfirmed_probes = 0;
    probing_risen(&a->probing);
    if (a->edge_met)
        probing_found(&a->probing, a->probing.tested_ms, peak);
    else
        grow(a);
}

void admission_swept(struct admission *a, uint64_t sweep, int peak) {
    if (a->governed)
        return;
    if (a->check == ADMISSION_CHECK_NONE || a->check_sweep == 0 || sweep != a->check_sweep)
        return;
    bool again = a->check == ADMISSION_CHECK_PROBE && peak <= a->limit &&
                 (a->check_once_more || a->unconfirmed_probes > 0);
    if (a->check == ADMISSION_CHECK_EDGE && peak > 0 &&
        (a->probing.throttles_in_row == 0 || peak < a->limit)) {
        a->limit = peak;
        probing_corrected(&a->probing, peak);
    } else if (a->check == ADMISSION_CHECK_PROBE && peak > a->limit) {
        raise_limit(a, peak);
    }
    a->open_checks = again ? a->open_checks + 1 : 0;
    int above = max(admission_held(a) - a->limit, 0);
    if (a->open_checks < OPEN_CHECKS && a->unconfirmed_probes > above)
        a->unconfirmed_probes = above;
    await_sweep(a, again ? ADMISSION_CHECK_PROBE : ADMISSION_CHECK_NONE);
}
