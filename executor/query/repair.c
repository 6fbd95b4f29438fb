#include "executor/query/repair.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"

enum {
    /* Most late records have what they cover behind them: it is read within this time. */
    REPAIR_AFTER_MS = 2000,
    REPAIRS_MAX = 10000, /* bounds the memory; over it a wrong state may stay the last */
};

struct repair {
    TAILQ_ENTRY(repair) link;
    int64_t due_ms;
    char *user_id, *query_id; /* owned */
};

static void repair_drop(struct repairs *rs, struct repair *r) {
    TAILQ_REMOVE(&rs->due, r, link);
    rs->count--;
    free(r->user_id);
    free(r->query_id);
    free(r);
}

static void repair_one(struct repairs *rs, const struct repair *r) {
    struct status known;
    if (!status_view_find_covered(rs->view, r->user_id, r->query_id, &known))
        return;
    log_debug("a late record covers a state, which is published again: state=%s queryId=%s",
              status_state_name(known.state), known.query_id);
    settle_republish(rs->settler, &known);
}

static void repair_on_timer(void *arg) {
    struct repairs *rs = arg;
    int64_t now_ms = loop_now(rs->loop);
    struct repair *r;
    while ((r = TAILQ_FIRST(&rs->due)) != NULL && r->due_ms <= now_ms) {
        repair_one(rs, r);
        repair_drop(rs, r);
    }
    if (r != NULL)
        loop_timer_set(rs->loop, &rs->timer, r->due_ms - now_ms, repair_on_timer, rs);
}

void repair_init(struct repairs *rs, struct loop *loop, struct status_view *view,
                 struct settler *settler) {
    *rs = (struct repairs){.loop = loop, .view = view, .settler = settler};
    TAILQ_INIT(&rs->due);
}

void repair_later(void *arg, const struct status *late) {
    struct repairs *rs = arg;
    if (rs->count >= REPAIRS_MAX)
        return;
    struct repair *r = mem_zero(sizeof *r);
    r->due_ms = loop_now(rs->loop) + REPAIR_AFTER_MS;
    r->user_id = mem_string(late->user_id);
    r->query_id = mem_string(late->query_id);
    TAILQ_INSERT_TAIL(&rs->due, r, link);
    rs->count++;
    if (rs->timer.place == 0)
        loop_timer_set(rs->loop, &rs->timer, REPAIR_AFTER_MS, repair_on_timer, rs);
}

void repair_close(struct repairs *rs) {
    if (rs->loop == NULL)
        return;
    loop_timer_cancel(rs->loop, &rs->timer);
    while (!TAILQ_EMPTY(&rs->due))
        repair_drop(rs, TAILQ_FIRST(&rs->due));
}
