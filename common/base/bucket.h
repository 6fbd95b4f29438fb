/*
 * A token bucket: a rate in takes a second with a bounded burst (pure, the clock is passed in).
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
    int64_t filled_ms; /* when `tokens` was brought up to date */
};

/* Full. `room` below 1 counts as 1. */
void bucket_init(struct bucket *b, double per_s, double room, int64_t now_ms);
/*
 * Returns 0 where a token may be taken now, else in how many ms to ask again: INT64_MAX where the
 * bucket is empty and `per_s` is 0.
 */
int64_t bucket_wait_ms(struct bucket *b, int64_t now_ms);
/* Call right after bucket_wait_ms() returned 0; otherwise the bucket may go into debt. */
void bucket_take(struct bucket *b);
/* The tokens that it holds stay, up to the new room; those due until now come at the old rate. */
void bucket_set_rate(struct bucket *b, double per_s, double room, int64_t now_ms);
void bucket_empty(struct bucket *b, int64_t now_ms);
/* Goes on with what `from`, an earlier bucket for the same taker, holds. */
void bucket_inherit(struct bucket *b, const struct bucket *from);

#endif
