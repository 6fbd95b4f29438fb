/*
 * A token bucket: so many takes a second, and a bounded burst (pure, the clock is passed in).
 *
 * It fills at `per_s` tokens a second up to `room`; each take costs one. All times are in ms of one
 * clock; a time that goes back fills nothing.
 */
#ifndef COMMON_BASE_BUCKET_H
#define COMMON_BASE_BUCKET_H

#include <stdint.h>

struct bucket {
    double per_s;
    double room; /* the most tokens it holds, 1 at least: the longest burst */
    double tokens;
    int64_t filled_ms; /* when `tokens` was right */
};

/* Full. `room` below 1 counts as 1. */
void bucket_init(struct bucket *b, double per_s, double room, int64_t now_ms);
/*
 * 0: one may be taken now. Else after how many ms to ask again; INT64_MAX where it is empty and
 * `per_s` is 0.
 */
int64_t bucket_wait_ms(struct bucket *b, int64_t now_ms);
/* Right after bucket_wait_ms() gave 0. Taken without asking, the bucket goes into debt. */
void bucket_take(struct bucket *b);
/* What it holds stays, up to the new room. Tokens of the time until now come at the old rate. */
void bucket_set_rate(struct bucket *b, double per_s, double room, int64_t now_ms);
void bucket_empty(struct bucket *b, int64_t now_ms);
/* Goes on with what `from`, an earlier bucket for the same taker, holds. */
void bucket_inherit(struct bucket *b, const struct bucket *from);

#endif
