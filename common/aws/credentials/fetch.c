#include "common/aws/credentials/fetch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

void *fetch_new(size_t size, void (*release)(struct fetch *f), const struct fetch_context *ctx,
                fetch_done_fn *fn, void *arg) {
    struct fetch *f = mem_zero(size);
    *f = (struct fetch){release, *ctx, fn, arg};
    return f;
}

void fetch_finish(struct fetch *f, struct fetch_result *result) {
    f->fn(f->arg, result);
    credentials_wipe(&result->credentials);
    fetch_cancel(f);
}

void fetch_fail(struct fetch *f, const char *fmt, ...) {
    struct fetch_result result = {.found = CREDENTIALS_BROKEN};
    va_list args;
    va_start(args, fmt);
    vsnprintf(result.detail, sizeof result.detail, fmt, args);
    va_end(args);
    fetch_finish(f, &result);
}

void fetch_cancel(struct fetch *f) {
    if (f == NULL)
        return;
    f->release(f);
    free(f);
}

struct fetch *fetch_broken(struct fetch_result *now, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    *now = (struct fetch_result){.found = CREDENTIALS_BROKEN};
    vsnprintf(now->detail, sizeof now->detail, fmt, args);
    va_end(args);
    return NULL;
}

void fetch_found(struct fetch *f, struct credentials *credentials, int64_t date, const char *fmt,
                 ...) {
    struct fetch_result result = {.found = CREDENTIALS_FOUND, .credentials = *credentials};
    va_list args;
    va_start(args, fmt);
    vsnprintf(result.from, sizeof result.from, fmt, args);
    va_end(args);
    *credentials = (struct credentials){0};
    int64_t expires = result.credentials.expires;
    if (expires != 0 && expires <= aws_clock_now(f->ctx.clock) && date < expires)
        (void)aws_clock_learn(f->ctx.clock, date);
    if (expires != 0 && expires <= aws_clock_now(f->ctx.clock)) {
        credentials_wipe(&result.credentials);
        result.found = CREDENTIALS_BROKEN;
        snprintf(result.detail, sizeof result.detail, "what it gives has expired already");
    }
    fetch_finish(f, &result);
}
