#include "common/aws/credentials/background.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/attempts.h"
#include "common/base/backoff.h"
#include "common/base/memory.h"

enum {
    AGAIN_MIN_MS = 1000,
    AGAIN_MAX_MS = 30000
};

struct background {
    struct fetch_context ctx;
    fetch_start_fn *start;
    void (*ready)(void *arg);
    void *arg;
    struct fetch *running;
    struct fetch_result result;
    bool come;   /* `result` has not been given to the provider yet */
    bool failed; /* `result` is the answer until `again_ms` */
    int64_t again_ms, delay_ms;
    char from[sizeof((struct fetch_result *)0)->from];
};

static void background_on_done(void *arg, struct fetch_result *result) {
    struct background *b = arg;
    b->running = NULL;
    b->result = *result;
    result->credentials = (struct credentials){0};
    b->come = true;
    b->ready(b->arg);
}

static void background_back_off(struct background *b) {
    b->delay_ms = backoff_next_ms(b->delay_ms, AGAIN_MIN_MS, AGAIN_MAX_MS);
    b->again_ms =
        loop_now(b->ctx.loop) + (int64_t)((0.5 + attempts_random() / 2) * (double)b->delay_ms);
    b->failed = true;
}

static enum credentials_found background_result(struct background *b, struct credentials *out,
                                                char *detail, size_t detail_size) {
    if (b->result.found == CREDENTIALS_FOUND) {
        *out = b->result.credentials;
        b->result.credentials = (struct credentials){0};
        memcpy(b->from, b->result.from, sizeof b->from);
        b->delay_ms = 0;
    } else {
        snprintf(detail, detail_size, "%s", b->result.detail);
    }
    return b->result.found;
}

enum credentials_found background_fetch(void *state, struct credentials *out, char *detail,
                                        size_t detail_size) {
    struct background *b = state;
    if (b->running != NULL)
        return CREDENTIALS_COMING;
    if (b->come) {
        b->come = false;
        if (b->result.found != CREDENTIALS_FOUND)
            background_back_off(b);
        return background_result(b, out, detail, detail_size);
    }
    if (b->failed && loop_now(b->ctx.loop) < b->again_ms)
        return background_result(b, out, detail, detail_size);
    b->failed = false;
    b->result = (struct fetch_result){0};
    b->running = b->start(&b->ctx, &b->result, background_on_done, b);
    return b->running != NULL ? CREDENTIALS_COMING : background_result(b, out, detail, detail_size);
}

const char *background_from(const struct background *b) {
    return b->from;
}

struct background *background_open(const struct fetch_context *ctx, fetch_start_fn *start,
                                   void (*ready)(void *arg), void *arg) {
    struct background *b = mem_zero(sizeof *b);
    b->ctx = *ctx;
    b->start = start;
    b->ready = ready;
    b->arg = arg;
    return b;
}

void background_close(struct background *b) {
    if (b == NULL)
        return;
    fetch_cancel(b->running);
    credentials_wipe(&b->result.credentials);
    free(b);
}
