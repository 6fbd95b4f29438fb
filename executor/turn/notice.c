#include "executor/turn/notice.h"

#include <stdio.h>

#include "executor/executor.h"
#include "executor/limit/slot.h"
#include "executor/query/settle.h"
#include "executor/turn/dispatch.h"

enum {
    LOOK_EVERY_MS = 1000,
    FIRST_AFTER_MS = 1000,
    AGAIN_AFTER_MS = 10000,
    /* In one look: apart, so that those at the front do not keep the others from being told. */
    FIRST_A_LOOK = 100,
    AGAIN_A_LOOK = 50,
};

bool notice_is_due(const struct notice *n, int64_t now_ms, size_t before) {
    if (!n->told)
        return now_ms - n->since_ms >= FIRST_AFTER_MS;
    size_t change = before > n->told_before ? before - n->told_before : n->told_before - before;
    return change > 0 && change >= n->told_before / 4 && now_ms - n->told_ms >= AGAIN_AFTER_MS;
}

struct look {
    struct executor *x;
    int first_left, again_left;
    int running;
};

static void look_at(void *arg, struct window_item *item, size_t before) {
    struct look *look = arg;
    struct executor *x = look->x;
    struct job *job = job_of_item(item);
    struct notice *n = &job->notice;
    int *left = n->told ? &look->again_left : &look->first_left;
    if (*left == 0 || !notice_is_due(n, loop_now(x->loop), before))
        return;
    --*left;
    *n = (struct notice){n->since_ms, true, loop_now(x->loop), before};
    char reason[128];
    snprintf(reason, sizeof reason,
             "waiting for the quota: %zu before it in this executor, %d running", before,
             look->running);
    settle_waiting(x, job, reason);
}

/* Not for the pace, or for calls under way: those are no quota, and wait for moments only. */
static void look_at_lane(struct look *look, enum lane lane) {
    struct executor *x = look->x;
    int of_all = slot_count(x);
    bool is_shared = x->config->max_running > 0;
    look->running = is_shared ? of_all : admission_held(&x->admission[lane]);
    if ((is_shared && of_all >= x->config->max_running) || admission_is_full(&x->admission[lane]))
        window_walk(&x->window[lane], look_at, look);
}

static void on_timer(void *arg) {
    struct executor *x = arg;
    struct look look = {x, FIRST_A_LOOK, AGAIN_A_LOOK, 0};
    bool may_start = !x->stopping && !x->gate.suspect && status_reader_caught_up(x->reader);
    for (int lane = 0; lane < LANES && may_start && x->config->track_queries; lane++)
        look_at_lane(&look, (enum lane)lane);
    notice_look(x);
}

void notice_look(struct executor *x) {
    if (dispatch_any_waits(x) && !x->stopping && x->notice_timer.place == 0)
        loop_timer_set(x->loop, &x->notice_timer, LOOK_EVERY_MS, on_timer, x);
}
