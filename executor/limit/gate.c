#include "executor/limit/gate.h"

#include <stdio.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/log.h"

enum {
    CLOSED_LEAST_MS = 500,
    CLOSED_MOST_MS = 5000, /* a call that is refused costs nothing; each minute without work does */
};

static const struct {
    const char *log, *ready, *reason; /* `reason` is for users */
} causes[] = {
    [GATE_CREDENTIALS] = {"credentials refused or missing", "credentials",
                          "waiting: AWS does not take the executor's credentials"},
    [GATE_CONFIGURATION] = {"AWS refuses the configuration", "configuration",
                            "waiting: AWS refuses the executor's configuration"},
    [GATE_DENIED] = {"AWS denies the default work group", "rights",
                     "waiting: AWS denies the executor the work group"},
    [GATE_UNREACHABLE] = {"Athena cannot be reached", "Athena cannot be reached",
                          "waiting: Athena cannot be reached"},
};
_Static_assert(sizeof causes / sizeof *causes == GATE_CAUSES, "words for each cause");

void gate_init(struct gate *g, struct loop *loop, struct credentials_provider *credentials,
               const struct gate_events *events) {
    *g =
        (struct gate){.loop = loop, .credentials = credentials, .events = *events, .worked_ms = -1};
}

static void gate_on_timer(void *arg) {
    struct gate *g = arg;
    g->closed = false;
    g->events.opened(g->events.arg);
}

static const char *why_of(const struct aws_answer *answer) {
    const char *error = answer->http.error;
    return answer->message[0] != '\0'          ? answer->message
           : answer->code[0] != '\0'           ? answer->code
           : error != NULL && error[0] != '\0' ? error
                                               : "refused without a reason";
}

/* Once, until it works again or the cause is another. What was denied is not forgotten by that. */
static void log_closed(struct gate *g, enum gate_cause cause, const char *why) {
    bool is_known = g->suspect && g->cause == cause;
    if (cause == GATE_DENIED ? g->denied_logged : is_known)
        return;
    g->denied_logged = g->denied_logged || cause == GATE_DENIED;
    log_error("no query is started: %s: %s", causes[cause].log, why);
}

void gate_refused(struct gate *g, enum gate_cause cause, const struct aws_answer *answer) {
    const char *why = why_of(answer);
    log_closed(g, cause, why);
    g->cause = cause;
    snprintf(g->why, sizeof g->why, "%s: %s", causes[cause].ready, why);
    if (cause == GATE_CREDENTIALS)
        credentials_refused_serial(g->credentials, answer->credentials);
    if (g->closed)
        return;
    g->delay_ms = backoff_next_ms(g->suspect ? g->delay_ms : 0, CLOSED_LEAST_MS, CLOSED_MOST_MS);
    g->closed = g->suspect = true;
    loop_timer_set(g->loop, &g->timer, g->delay_ms, gate_on_timer, g);
    g->events.closed(g->events.arg);
}

bool gate_denied(struct gate *g, const char *token, const struct aws_answer *answer) {
    bool is_first = g->denied[0] == '\0';
    if (is_first)
        snprintf(g->denied, sizeof g->denied, "%s", token);
    bool is_same = strcmp(g->denied, token) == 0;
    if (!is_same || (g->suspect && g->cause == GATE_DENIED)) {
        gate_refused(g, GATE_DENIED, answer);
        return true;
    }
    if (is_first)
        log_warn("a query is denied, others are tried: %s", why_of(answer));
    gate_worked(g); /* for whatever else it was closed */
    return false;
}

void gate_worked(struct gate *g) {
    g->worked_ms = loop_now(g->loop);
    if (!g->suspect)
        return;
    log_info("queries are started again");
    loop_timer_cancel(g->loop, &g->timer);
    g->closed = g->suspect = false;
    g->events.opened(g->events.arg);
}

void gate_allowed(struct gate *g) {
    g->denied[0] = '\0';
    g->denied_logged = false;
}

const char *gate_reason(enum gate_cause cause) {
    return causes[cause].reason;
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
