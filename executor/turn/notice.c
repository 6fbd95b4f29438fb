#include "executor/turn/notice.h"

enum {
    FIRST_AFTER_MS = 1000,
    AGAIN_AFTER_MS = 10000,
};

bool notice_is_due(const struct notice *n, int64_t now_ms, int reason, size_t before) {
    if (!n->published)
        return now_ms - n->since_ms >= FIRST_AFTER_MS;
    if (reason != n->published_reason)
        return now_ms - n->published_ms >= FIRST_AFTER_MS;
    if (reason != NOTICE_QUOTA)
        return false;
    size_t change =
        before > n->published_before ? before - n->published_before : n->published_before - before;
    return change > 0 && change >= n->published_before / 4 &&
           now_ms - n->published_ms >= AGAIN_AFTER_MS;
}
