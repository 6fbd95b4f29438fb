#include "common/base/backoff.h"

int64_t backoff_next_ms(int64_t last_ms, int64_t least_ms, int64_t most_ms) {
    int64_t next_ms = last_ms == 0 ? least_ms : last_ms * 2;
    return next_ms < most_ms ? next_ms : most_ms;
}
