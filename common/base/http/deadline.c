#include "common/base/http/deadline.h"

enum {
    SENDING_TIMEOUT_MS = 60000 /* a client that does not read its response */
};

static enum deadline_verdict judge_quiet(const struct deadline_facts *f) {
    int64_t most_ms = f->phase == CONNECTION_FRESH ? f->request_timeout_ms : f->idle_timeout_ms;
    if (f->has_begun)
        return DEADLINE_BEGUN;
    return f->quiesced || f->lasted_ms >= most_ms ? DEADLINE_SHUT : DEADLINE_KEEP;
}

enum deadline_verdict deadline_judge(const struct deadline_facts *f) {
    switch (f->phase) {
    case CONNECTION_FRESH:
    case CONNECTION_IDLE:
        return judge_quiet(f);
    case CONNECTION_RECEIVING:
        return f->lasted_ms >= f->request_timeout_ms ? DEADLINE_LATE : DEADLINE_KEEP;
    case CONNECTION_SENDING:
        return f->lasted_ms >= SENDING_TIMEOUT_MS ? DEADLINE_SHUT : DEADLINE_KEEP;
    case CONNECTION_RESPONDING: /* whoever has put the response off has a deadline of its own */
    case CONNECTION_PHASES:
        break;
    }
    return DEADLINE_KEEP;
}
