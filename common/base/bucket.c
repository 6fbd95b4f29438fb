#include "common/base/bucket.h"

#include <math.h>

/* A token, less what sums of fractions lose by rounding. */
static const double whole = 1 - 1e-6;

static void bucket_fill(struct bucket *b, int64_t now_ms) {
    if (now_ms <= b->filled_ms)
        return;
    b->tokens = fmin(b->room, b->tokens + (double)(now_ms - b->filled_ms) * b->per_s / 1000);
    b->filled_ms = now_ms;
}

void bucket_init(struct bucket *b, double per_s, double room, int64_t now_ms) {
    room = fmax(room, 1);
    *b = (struct bucket){.per_s = per_s, .room = room, .tokens = room, .filled_ms = now_ms};
}

int64_t bucket_wait_ms(struct bucket *b, int64_t now_ms) {
    bucket_fill(b, now_ms);
    if (b->tokens >= whole)
        return 0;
    double wait_ms = ceil((whole - b->tokens) * 1000 / b->per_s);
    return wait_ms < (double)INT64_MAX ? (int64_t)wait_ms : INT64_MAX;
}

void bucket_take(struct bucket *b) {
    b->tokens -= 1;
}

void bucket_set_rate(struct bucket *b, double per_s, double room, int64_t now_ms) {
    bucket_fill(b, now_ms);
    b->per_s = per_s;
    b->room = fmax(room, 1);
    b->tokens = fmin(b->tokens, b->room);
}

void bucket_empty(struct bucket *b, int64_t now_ms) {
    b->tokens = 0;
    b->filled_ms = now_ms;
}

void bucket_inherit(struct bucket *b, const struct bucket *from) {
    b->tokens = fmin(from->tokens, b->room);
    b->filled_ms = from->filled_ms;
}
