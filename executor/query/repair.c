#include "executor/query/repair.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/model/status_view.h"
#include "executor/executor.h"
#include "executor/query/settle.h"

enum {
    /* Most late records have what they cover behind them: it is read within this time. */
    REPAIR_AFTER_MS = 2000,
    REPAIRS_MAX = 10000, /* bounds the memory; over it a wrong word may stay the last */
};

struct repair {
    TAILQ_ENTRY(repair) link;
    int64_t due_ms;
    char *user_id, *query_id; /* owned */
};

static void drop(struct repairs *rs, struct repair *r) {
    TAILQ_REMOVE(&rs->due, r, link);
    rs->count--;
    free(r->user_id);
    free(r->query_id);
    free(r);
}

static void do_one(struct executor *x, const struct repair *r) {
    struct status known;
    if (!status_view_find_covered(x->view, r->user_id, r->query_id, &known))
        return;
    log_debug("a late record covers a state, which is told again: state=%s queryId=%s",
              status_state_name(known.state), known.query_id);
    settle_tell_again(x, &known);
}

static void on_timer(void *arg) {
    struct executor *x = arg;
    struct repairs *rs = &x->repairs;
    struct repair *r;
    while ((r = TAILQ_FIRST(&rs->due)) != NULL && r->due_ms <= loop_now(x->loop)) {
        do_one(x, r);
        drop(rs, r);
    }
    if (r != NULL)
        loop_timer_set(x->loop, &rs->timer, r->due_ms - loop_now(x->loop), on_timer, x);
}

void repair_init(struct executor *x) {
    TAILQ_INIT(&x->repairs.due);
}

void repair_later(void *arg, const struct status *late) {
    struct executor *x = arg;
    struct repairs *rs = &x->repairs;
    if (rs->count >= REPAIRS_MAX)
        return;
    struct repair *r = mem_zero(sizeof *r);
    r->due_ms = loop_now(x->loop) + REPAIR_AFTER_MS;
    r->user_id = mem_string(late->user_id);
    r->query_id = mem_string(late->query_id);
    TAILQ_INSERT_TAIL(&rs->due, r, link);
    rs->count++;
    if (rs->timer.place == 0)
        loop_timer_set(x->loop, &rs->timer, REPAIR_AFTER_MS, on_timer, x);
}

void repair_close(struct executor *x) {
    struct repairs *rs = &x->repairs;
    loop_timer_cancel(x->loop, &rs->timer);
    while (!TAILQ_EMPTY(&rs->due))
        drop(rs, TAILQ_FIRST(&rs->due));
}
