#include "executor/limit/admission.h"

/*
 * The numbers were found in the model of test_admission_model.c and held against case A of
 * tests/bench (400 queries of 2 s, quota 20): each call that is out when the quota is reached may
 * be throttled, so more at once learn faster and waste more.
 */
enum {
    CALLS_MAX = 4,
    STARTS_A_CALL_COLD = 3,    /* one more call at once for so many that run */
    STARTS_A_CALL_GROWING = 8, /* … for so many starts since it began to grow */
    CALL_SLOW_MS = 50,         /* a call that takes longer does not hold up the next one */
};

void admission_init(struct admission *a) {
    *a = (struct admission){.limit = 1, .cold = true, .growing = true};
    probing_init(&a->probing, 0);
}

static void await_sweep(struct admission *a, enum admission_check check) {
    a->check = check;
    a->check_sweeping = a->check_once_more = false;
}

int admission_held(const struct admission *a) {
    return a->running + a->calls;
}

static int max_calls(const struct admission *a, int64_t now_ms) {
    if (a->probing.throttles_in_row > 0)
        return 1;
    if (!a->growing || now_ms - a->permit_ms >= CALL_SLOW_MS)
        return CALLS_MAX;
    int calls =
        1 + (a->cold ? a->running / STARTS_A_CALL_COLD : a->starts_growing / STARTS_A_CALL_GROWING);
    return calls < CALLS_MAX ? calls : CALLS_MAX;
}

static bool may_probe(const struct admission *a) {
    return !a->growing && a->calls == 0 && a->running <= a->limit + a->unconfirmed_probes;
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

void admission_learn_alone(struct admission *a, int64_t now_ms, int limit, bool learned) {
    a->governed = false;
    a->limit = limit;
    a->cold = a->growing = !learned;
    a->starts_growing = a->unconfirmed_probes = 0;
    probing_init(&a->probing, now_ms);
    a->generation++;
    a->check = ADMISSION_CHECK_NONE;
}

/* Until the leader knows of the throttle and grants anew, what is held is all that may be held. */
static void lower_share(struct admission *a, const struct admission_permit *permit) {
    int held = admission_held(a);
    if (permit->version == a->version && a->share > held)
        a->share = held;
    a->probing.throttles_in_row = 1;
}

static bool acquire_governed(struct admission *a) {
    int calls = a->probing.throttles_in_row > 0 ? 1 : CALLS_MAX;
    if (admission_held(a) >= a->share || a->calls >= calls)
        return false;
    a->calls++;
    return true;
}

/* --- alone ------------------------------------------------------------------------------------ */

static bool acquire_alone(struct admission *a, int64_t now_ms, int64_t backlog,
                          struct admission_permit *permit) {
    int held = admission_held(a);
    bool below = held < a->limit;
    /* Bounded, because calls whose answers are lost count as held and raise no limit. */
    bool grows = a->growing && held < a->limit + CALLS_MAX;
    if (below || grows) {
        if (a->calls >= max_calls(a, now_ms))
            return false;
    } else {
        if (!may_probe(a) || !probing_is_due(&a->probing, now_ms, a->limit, a->running, backlog))
            return false;
        permit->probe = true;
        probing_probe_made(&a->probing, now_ms);
    }
    a->permit_ms = now_ms;
    a->calls++;
    return true;
}

bool admission_acquire(struct admission *a, int64_t now_ms, int64_t backlog,
                       struct admission_permit *permit) {
    if (now_ms < a->probing.tested_ms) /* the clock went back */
        a->probing.tested_ms = now_ms;
    if (now_ms < a->permit_ms)
        a->permit_ms = now_ms;
    *permit = (struct admission_permit){false, a->generation, a->version};
    return a->governed ? acquire_governed(a) : acquire_alone(a, now_ms, backlog, permit);
}

bool admission_is_full(const struct admission *a) {
    int held = admission_held(a);
    return a->governed ? held >= a->share : !a->growing && held >= a->limit;
}

static void probe_started(struct admission *a) {
    a->unconfirmed_probes++;
    a->edge_met = false;
    /* A sweep that has begun decides about the probes before this one. */
    if (a->check == ADMISSION_CHECK_PROBE && a->check_sweeping)
        a->check_once_more = true;
    else
        await_sweep(a, ADMISSION_CHECK_PROBE);
}

void admission_started(struct admission *a, const struct admission_permit *permit) {
    a->calls--;
    a->running++;
    a->starts++;
    if (a->governed) {
        a->probing.throttles_in_row = 0;
        return;
    }
    probing_started(&a->probing, 1);
    if (permit->probe)
        probe_started(a);
    if (probing_recovers(&a->probing)) {
        a->growing = true;
        a->starts_growing = 0;
    }
    if (a->growing) {
        a->starts_growing++;
        if (a->limit < a->running)
            a->limit = a->running;
    }
}

static enum probing_phase phase(const struct admission *a) {
    return a->growing                         ? PROBING_RAISING
           : a->check == ADMISSION_CHECK_EDGE ? PROBING_CHECKING
                                              : PROBING_STEADY;
}

static void throttled_alone(struct admission *a, int64_t now_ms) {
    if (a->check == ADMISSION_CHECK_PROBE) /* the throttle is newer than what a sweep would show */
        a->check = ADMISSION_CHECK_NONE;
    enum probing_phase was = phase(a);
    if (a->growing)
        await_sweep(a, ADMISSION_CHECK_EDGE);
    a->growing = a->cold = false;
    a->limit = probing_throttled(&a->probing, now_ms, was, a->limit, a->running);
}

void admission_throttled(struct admission *a, int64_t now_ms,
                         const struct admission_permit *permit) {
    a->calls--;
    a->throttles++;
    a->throttled_version = permit->version;
    if (a->governed) {
        lower_share(a, permit);
        return;
    }
    if (permit->generation != a->generation)
        return;
    a->generation++;
    if (permit->probe) {
        a->edge_met = true;
        probing_probe_throttled(&a->probing, now_ms);
    } else {
        throttled_alone(a, now_ms);
    }
}

void admission_cancelled(struct admission *a) {
    a->calls--;
}

void admission_uncertain(struct admission *a) {
    a->calls--;
    a->running++;
}

void admission_confirmed(struct admission *a) {
    if (!a->governed && a->growing && a->limit < a->running)
        a->limit = a->running;
}

void admission_found(struct admission *a) {
    a->running++;
}

void admission_ended(struct admission *a, int n) {
    a->running -= n;
}

/* --- sweeps ----------------------------------------------------------------------------------- */

void admission_sweep_begins(struct admission *a) {
    a->check_sweeping = true;
}

static void raise_limit(struct admission *a, int peak) {
    a->limit = peak;
    a->growing = !a->edge_met;
    a->starts_growing = 0;
    probing_risen(&a->probing);
    if (a->edge_met)
        probing_found(&a->probing, a->probing.tested_ms, peak);
}

void admission_swept(struct admission *a, int peak) {
    if (a->governed || !a->check_sweeping)
        return;
    bool again = a->check == ADMISSION_CHECK_PROBE && a->check_once_more && peak <= a->limit;
    if (a->check == ADMISSION_CHECK_EDGE && (a->probing.throttles_in_row == 0 || peak < a->limit)) {
        a->limit = peak;
        probing_corrected(&a->probing, peak);
    } else if (a->check == ADMISSION_CHECK_PROBE && peak > a->limit) {
        raise_limit(a, peak);
    }
    await_sweep(a, again ? ADMISSION_CHECK_PROBE : ADMISSION_CHECK_NONE);
    int above = a->running > a->limit ? a->running - a->limit : 0;
    if (a->unconfirmed_probes > above)
        a->unconfirmed_probes = above;
}
