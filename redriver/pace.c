#include "redriver/pace.h"

void redrive_pace_init(struct redrive_pace *r, int64_t per_s, int64_t now_ms) {
    double room = (double)per_s / 10;
    *r = (struct redrive_pace){.per_s = per_s, .room = room > 1 ? room : 1, .filled_ms = now_ms};
    r->tokens = r->room;
}

int64_t redrive_pace_wait_ms(struct redrive_pace *r, int64_t now_ms) {
    if (r->per_s <= 0)
        return 0;
    if (now_ms > r->filled_ms) {
        r->tokens += (double)(now_ms - r->filled_ms) * (double)r->per_s / 1000;
        r->filled_ms = now_ms;
    }
    if (r->tokens > r->room)
        r->tokens = r->room;
    if (r->tokens >= 1)
        return 0;
    return (int64_t)((1 - r->tokens) * 1000 / (double)r->per_s) + 1;
}

void redrive_pace_take(struct redrive_pace *r) {
    if (r->per_s > 0)
        r->tokens -= 1;
}
