#include "executor/turn/gate.h"

#include <stdio.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "executor/executor.h"
#include "executor/turn/dispatch.h"

enum {
    CLOSED_LEAST_MS = 500,
    CLOSED_MOST_MS = 5000, /* a call that is refused costs nothing; each minute without work does */
};

static void on_timer(void *arg) {
    struct executor *x = arg;
    x->gate.closed = false;
    dispatch_run(x);
}

void gate_refused(struct executor *x, const struct aws_answer *answer) {
    struct gate *g = &x->gate;
    const char *error = answer->http.error;
    const char *why = answer->message[0] != '\0'          ? answer->message
                      : answer->code[0] != '\0'           ? answer->code
                      : error != NULL && error[0] != '\0' ? error
                                                          : "refused without a reason";
    if (!g->suspect)
        log_error("no query is started: credentials refused or missing: %s", why);
    snprintf(g->why, sizeof g->why, "credentials: %s", why);
    credentials_refused_serial(x->credentials, answer->credentials);
    if (g->closed)
        return;
    g->delay_ms = backoff_next_ms(g->suspect ? g->delay_ms : 0, CLOSED_LEAST_MS, CLOSED_MOST_MS);
    g->closed = g->suspect = true;
    loop_timer_set(x->loop, &g->timer, g->delay_ms, on_timer, x);
}

void gate_worked(struct executor *x) {
    struct gate *g = &x->gate;
    if (!g->suspect)
        return;
    log_info("credentials work again");
    loop_timer_cancel(x->loop, &g->timer);
    g->closed = g->suspect = false;
}

bool gate_ready(const struct executor *x, struct buffer *why) {
    const char *reason;
    if (x->gate.suspect && (x->gate.closed || !dispatch_is_idle(x)))
        buffer_printf(why, "%s\n", x->gate.why);
    else if (credentials_get(x->credentials, loop_wall() / 1000, &reason) == NULL)
        buffer_printf(why, "credentials: %s\n", reason);
    else
        return true;
    return false;
}
