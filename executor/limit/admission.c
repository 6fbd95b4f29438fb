#include "executor/limit/admission.h"

/* Found by trying them in a model and over HTTP: ±, not magic. */
enum {
    CALLS_MOST = 4, /* at once: each may be one too many */
    /* So many starts while it grows are worth one more call at once. */
    CALL_MORE_COLD = 3,
    CALL_MORE_GROWN = 8,
    CALL_SLOW_MS = 50, /* a call that takes longer does not hold up the next */
};

void admission_init(struct admission *a) {
    *a = (struct admission){.limit = 1, .cold = true, .growing = true};
    probing_init(&a->probing, 0);
}

static void ask_sweep(struct admission *a, enum admission_check check) {
    a->check = check;
    a->check_armed = a->check_again = false;
}

int admission_out(const struct admission *a) {
    return a->held + a->pending;
}

static int calls_most(const struct admission *a, int64_t now_ms) {
    if (a->probing.streak > 0)
        return 1;
    if (!a->growing || now_ms - a->asked_ms >= CALL_SLOW_MS)
        return CALLS_MOST;
    int most = 1 + (a->cold ? a->held / CALL_MORE_COLD : a->grown / CALL_MORE_GROWN);
    return most < CALLS_MOST ? most : CALLS_MOST;
}

static bool may_probe(const struct admission *a) {
    return !a->growing && a->pending == 0 && a->held <= a->limit + a->above;
}

/* --- governed --------------------------------------------------------------------------------- */

void admission_govern(struct admission *a, int share, int64_t version) {
    if (a->governed && version == a->version)
        return;
    a->governed = true;
    a->share = share;
    a->version = version;
}

void admission_forgotten(struct admission *a) {
    if (a->governed)
        a->share = 0;
}

void admission_alone(struct admission *a, int64_t now_ms, int limit, bool learned) {
    a->governed = false;
    a->limit = limit;
    a->cold = a->growing = !learned;
    a->grown = a->above = 0;
    probing_init(&a->probing, now_ms);
    a->epoch++;
    a->check = CHECK_NONE;
}

/* Until the leader has heard of it, what is held is all that may be held. */
static void throttled_governed(struct admission *a, const struct admission_permit *permit) {
    int out = admission_out(a);
    if (permit->version == a->version && a->share > out)
        a->share = out;
    a->probing.streak = 1;
}

/* --- alone ------------------------------------------------------------------------------------ */

bool admission_want(struct admission *a, int64_t now_ms, int64_t backlog,
                    struct admission_permit *permit) {
    int out = admission_out(a);
    if (now_ms < a->probing.last_ms) /* the clock went back */
        a->probing.last_ms = now_ms;
    if (now_ms < a->asked_ms)
        a->asked_ms = now_ms;
    *permit = (struct admission_permit){false, a->epoch, a->version};
    if (a->governed) {
        if (out >= a->share || a->pending >= (a->probing.streak > 0 ? 1 : CALLS_MOST))
            return false;
        a->pending++;
        return true;
    }
    bool below = out < a->limit;
    /* What nobody knows of brings no news: while calls are lost it does not grow without end. */
    bool grow = a->growing && out < a->limit + CALLS_MOST;
    if (below || grow) {
        if (a->pending >= calls_most(a, now_ms))
            return false;
    } else {
        if (!may_probe(a) || !probing_is_due(&a->probing, now_ms, a->limit, a->held, backlog))
            return false;
        permit->probe = true;
        probing_made(&a->probing, now_ms);
    }
    a->asked_ms = now_ms;
    a->pending++;
    return true;
}

bool admission_is_full(const struct admission *a) {
    int out = admission_out(a);
    return a->governed ? out >= a->share : !a->growing && out >= a->limit;
}

void admission_started(struct admission *a, const struct admission_permit *permit) {
    a->pending--;
    a->held++;
    a->starts++;
    if (a->governed) {
        a->probing.streak = 0;
        return;
    }
    probing_started(&a->probing, 1);
    if (permit->probe) {
        a->above++;
        a->met = false;
        /* A sweep under way tells of the probes before this one. */
        if (a->check == CHECK_PROBE && a->check_armed)
            a->check_again = true;
        else
            ask_sweep(a, CHECK_PROBE);
    }
    if (probing_recovers(&a->probing)) {
        a->growing = true;
        a->grown = 0;
    }
    if (a->growing) {
        a->grown++;
        if (a->limit < a->held)
            a->limit = a->held;
    }
}

void admission_throttled(struct admission *a, int64_t now_ms,
                         const struct admission_permit *permit) {
    a->pending--;
    a->throttles++;
    a->throttled_version = permit->version;
    if (a->governed) {
        throttled_governed(a, permit);
        return;
    }
    if (permit->epoch != a->epoch)
        return;
    a->epoch++;
    if (permit->probe) { /* nothing is known but that there is no more */
        a->met = true;
        probing_refused(&a->probing, now_ms);
        return;
    }
    if (a->check == CHECK_PROBE) /* older than what is known now */
        a->check = CHECK_NONE;
    enum probing_edge edge = a->growing               ? PROBING_EDGE_MET
                             : a->check == CHECK_EDGE ? PROBING_EDGE_SOUGHT
                                                      : PROBING_EDGE_KNOWN;
    if (a->growing)
        ask_sweep(a, CHECK_EDGE);
    a->growing = a->cold = false;
    a->limit = probing_throttled(&a->probing, now_ms, edge, a->limit, a->held);
}

void admission_cancelled(struct admission *a) {
    a->pending--;
}

void admission_uncertain(struct admission *a) {
    a->pending--;
    a->held++;
}

void admission_confirmed(struct admission *a) {
    if (!a->governed && a->growing && a->limit < a->held)
        a->limit = a->held;
}

void admission_found(struct admission *a) {
    a->held++;
}

void admission_ended(struct admission *a, int n) {
    a->held -= n;
}

void admission_sweep_begins(struct admission *a) {
    a->check_armed = true;
}

static void rise(struct admission *a, int peak) {
    a->limit = peak;
    a->growing = !a->met;
    a->grown = 0;
    probing_risen(&a->probing);
    if (a->met)
        probing_found(&a->probing, a->probing.last_ms, peak);
}

void admission_swept(struct admission *a, int peak) {
    if (a->governed || !a->check_armed)
        return;
    bool again = a->check == CHECK_PROBE && a->check_again && peak <= a->limit;
    if (a->check == CHECK_EDGE && (a->probing.streak == 0 || peak < a->limit)) {
        a->limit = peak;
        probing_corrected(&a->probing, peak);
    } else if (a->check == CHECK_PROBE && peak > a->limit) {
        rise(a, peak);
    }
    ask_sweep(a, again ? CHECK_PROBE : CHECK_NONE);
    int above = a->held > a->limit ? a->held - a->limit : 0;
    if (a->above > above)
        a->above = above;
}

/* --- pace ------------------------------------------------------------------------------------- */

static const double pace_least = 0.5, pace_cut = 0.7, pace_rise = 1.0, pace_free = 200;
enum {
    PACE_CUT_EVERY_MS = 1000
};

void pace_init(struct pace *p) {
    *p = (struct pace){0};
}

static void count_call(struct pace *p, int64_t now_ms) {
    if (now_ms < p->second_ms || now_ms - p->second_ms >= 1000) {
        p->calls_before = now_ms - p->second_ms < 2000 ? p->calls : 0;
        p->calls = 0;
        p->second_ms = now_ms;
    }
    p->calls++;
}

bool pace_open(struct pace *p, int64_t now_ms) {
    if (p->rate <= 0)
        return true;
    double passed_s = now_ms > p->filled_ms ? (double)(now_ms - p->filled_ms) / 1000 : 0;
    double room = p->rate > 1 ? p->rate : 1;
    p->tokens = p->tokens + passed_s * p->rate < room ? p->tokens + passed_s * p->rate : room;
    p->filled_ms = now_ms;
    return p->tokens >= 1;
}

void pace_take(struct pace *p, int64_t now_ms) {
    if (p->rate > 0)
        p->tokens--;
    count_call(p, now_ms);
}

void pace_throttled(struct pace *p, int64_t now_ms) {
    if (p->rate > 0 && now_ms >= p->cut_ms && now_ms - p->cut_ms < PACE_CUT_EVERY_MS)
        return; /* calls that were under way: one cut for them all */
    double was = p->rate;
    if (was <= 0)
        was = p->calls > p->calls_before ? p->calls : p->calls_before;
    p->rate = was * pace_cut > pace_least ? was * pace_cut : pace_least;
    p->tokens = 0;
    p->filled_ms = p->cut_ms = now_ms;
}

void pace_worked(struct pace *p) {
    if (p->rate <= 0)
        return;
    p->rate += pace_rise / p->rate;
    if (p->rate > pace_free)
        p->rate = 0;
}
