#include "executor/turn/notifier.h"

#include <stdio.h>

enum {
    LOOK_EVERY_MS = 1000,
    /* In one look: apart, so that those at the front do not keep the others from being published.
     */
    FIRST_A_LOOK = 100,
    AGAIN_A_LOOK = 50,
    PLACES_A_LOOK = 20000, /* of the front: whoever waits further behind has no place to speak of */
};

struct notifier_look {
    struct notifier *notifier;
    int first_left, again_left;
    int reason; /* as in notice.h */
    int running;
};

static void write_reason(const struct notifier_look *look, size_t before, char *out, size_t size) {
    if (look->reason == NOTICE_QUOTA)
        snprintf(out, size, "waiting for the quota: %zu before it in this executor, %d running",
                 before, look->running);
    else
        snprintf(out, size, "%s", gate_reason((enum gate_cause)(look->reason - NOTICE_GATE)));
}

static bool notifier_visit(void *arg, struct window_item *item, size_t before) {
    struct notifier_look *look = arg;
    const struct notifier_parts *parts = &look->notifier->parts;
    int64_t now_ms = loop_now(parts->loop);
    if (item->is_entry) /* its record is not here */
        return true;
    struct job *job = job_of_item(item);
    struct notice *n = &job->notice;
    int *left = n->published ? &look->again_left : &look->first_left;
    if (*left == 0 || !notice_is_due(n, now_ms, look->reason, before))
        return look->first_left + look->again_left > 0;
    --*left;
    *n = (struct notice){n->since_ms, true, now_ms, before, look->reason};
    char reason[128];
    write_reason(look, before, reason, sizeof reason);
    settle_waiting(parts->settler, job, reason);
    return true;
}

/* Not for the pace, or for calls under way: those are no quota, and wait for moments only. */
static void look_at_lane(struct notifier_look *look, enum lane lane) {
    const struct notifier_parts *parts = &look->notifier->parts;
    const struct slots *slots = parts->slots;
    const struct admission *admission = &slots->admission[lane];
    bool is_shared = slots->most > 0;
    look->running = is_shared ? slots_taken(slots) : admission_held(admission);
    if (look->reason != NOTICE_QUOTA || slots_room(slots) == 0 || admission_is_full(admission))
        window_walk(&parts->jobs->window[lane], PLACES_A_LOOK, notifier_visit, look);
}

static void notifier_on_timer(void *arg) {
    struct notifier *n = arg;
    const struct gate *gate = n->parts.gate;
    int reason = gate->suspect ? NOTICE_GATE + (int)gate->cause : NOTICE_QUOTA;
    struct notifier_look look = {n, FIRST_A_LOOK, AGAIN_A_LOOK, reason, 0};
    bool has_reason = gate->suspect || n->parts.slots->tracks;
    for (int lane = 0; lane < LANES && has_reason && status_reader_caught_up(n->parts.reader);
         lane++)
        look_at_lane(&look, (enum lane)lane);
    notifier_look_soon(n);
}

void notifier_init(struct notifier *n, const struct notifier_parts *parts) {
    *n = (struct notifier){.parts = *parts};
}

void notifier_look_soon(struct notifier *n) {
    if (n->parts.jobs->count[JOB_WAITING] > 0 && !n->stopped && n->timer.place == 0)
        loop_timer_set(n->parts.loop, &n->timer, LOOK_EVERY_MS, notifier_on_timer, n);
}

void notifier_stop(struct notifier *n) {
    n->stopped = true;
    if (n->parts.loop != NULL)
        loop_timer_cancel(n->parts.loop, &n->timer);
}
