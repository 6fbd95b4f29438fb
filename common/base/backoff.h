/*
 * Exponential back-off: how long to wait after another failure (pure).
 */
#ifndef COMMON_BASE_BACKOFF_H
#define COMMON_BASE_BACKOFF_H

#include <stdint.h>

/* `least_ms` after `last_ms` 0 (no failure before it), else twice the last one, up to `most_ms`. */
int64_t backoff_next_ms(int64_t last_ms, int64_t least_ms, int64_t most_ms);

#endif
