#include "executor/lost.h"

enum {
    LOW_KNOWN_WITHIN_MS = 5000 /* librdkafka asks for the first offset with its statistics */
};

void lost_received(struct lost *l, int64_t expected, int64_t offset, int64_t now_ms) {
    if (expected < 0 || offset <= expected || l->gap)
        return;
    l->gap = true;
    l->gap_from = expected;
    l->gap_at_ms = now_ms;
}

int64_t lost_count(struct lost *l, int64_t expected, int64_t low, int64_t now_ms) {
    int64_t from = l->gap ? l->gap_from : expected;
    if (from < l->counted_below)
        from = l->counted_below;
    if (expected < 0 || low < 0)
        return 0;
    if (low > from) {
        l->counted_below = low;
        l->gap = false;
        return low - from;
    }
    if (l->gap && now_ms - l->gap_at_ms >= LOW_KNOWN_WITHIN_MS)
        l->gap = false;
    return 0;
}
