#include "executor/limit/gate.h"

#include <stdio.h>

#include "common/base/backoff.h"
#include "common/base/log.h"

enum {
    CLOSED_LEAST_MS = 500,
    CLOSED_MOST_MS = 5000, /* a call that is refused costs nothing; each minute without work does */
};

void gate_init(struct gate *g, struct loop *loop, struct credentials_provider *credentials,
               const struct gate_events *events) {
    *g = (struct gate){.loop = loop, .credentials = credentials, .events = *events};
}

static void gate_on_timer(void *arg) {
    struct gate *g = arg;
    g->closed = false;
    g->events.opened(g->events.arg);
}

void gate_refused(struct gate *g, const struct aws_answer *answer) {
    const char *error = answer->http.error;
    const char *why = answer->message[0] != '\0'          ? answer->message
                      : answer->code[0] != '\0'           ? answer->code
                      : error != NULL && error[0] != '\0' ? error
                                                          : "refused without a reason";
    if (!g->suspect)
        log_error("no query is started: credentials refused or missing: %s", why);
    snprintf(g->why, sizeof g->why, "credentials: %s", why);
    credentials_refused_serial(g->credentials, answer->credentials);
    if (g->closed)
        return;
    g->delay_ms = backoff_next_ms(g->suspect ? g->delay_ms : 0, CLOSED_LEAST_MS, CLOSED_MOST_MS);
    g->closed = g->suspect = true;
    loop_timer_set(g->loop, &g->timer, g->delay_ms, gate_on_timer, g);
    g->events.closed(g->events.arg);
}

void gate_worked(struct gate *g) {
    if (!g->suspect)
        return;
    log_info("credentials work again");
    loop_timer_cancel(g->loop, &g->timer);
    g->closed = g->suspect = false;
    g->events.opened(g->events.arg);
}

bool gate_ready(const struct gate *g, bool idle, struct buffer *why) {
    const char *reason;
    if (g->suspect && (g->closed || !idle))
        buffer_printf(why, "%s\n", g->why);
    else if (credentials_get(g->credentials, loop_wall() / 1000, &reason) == NULL)
        buffer_printf(why, "credentials: %s\n", reason);
    else
        return true;
    return false;
}

void gate_close(struct gate *g) {
    if (g->loop != NULL)
        loop_timer_cancel(g->loop, &g->timer);
}
