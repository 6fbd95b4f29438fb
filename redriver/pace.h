/*
 * So many a second: a token bucket (pure; the caller tells the time).
 *
 * It holds a tenth of a second's worth, one at least, so that a pass begins no burst.
 */
#ifndef REDRIVER_PACE_H
#define REDRIVER_PACE_H

#include <stdint.h>

struct redrive_pace {
    int64_t per_s; /* 0: no limit */
    double tokens, room;
    int64_t filled_ms;
};

/* Full. `now_ms` is of a clock that never goes back. */
void redrive_pace_init(struct redrive_pace *r, int64_t per_s, int64_t now_ms);
/* 0: one may be taken now. Else in how many ms to ask again. */
int64_t redrive_pace_wait_ms(struct redrive_pace *r, int64_t now_ms);
/* Only right after redrive_pace_wait_ms() gave 0. */
void redrive_pace_take(struct redrive_pace *r);

#endif
