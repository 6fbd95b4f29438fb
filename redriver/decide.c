#include "redriver/decide.h"

#include <stddef.h>
#include <string.h>

bool decide_by_identity(const struct decide_rules *rules) {
    return rules->user != NULL || rules->query_id != NULL;
}

enum decision decide(const struct decide_rules *rules, const struct decide_record *record,
                     int64_t now_ms, int64_t chosen) {
    if (rules->user != NULL && strcmp(rules->user, record->user_id) != 0)
        return DECIDE_NOT_CHOSEN;
    if (rules->query_id != NULL && strcmp(rules->query_id, record->query_id) != 0)
        return DECIDE_NOT_CHOSEN;
    if (rules->min_age_ms > 0 && record->timestamp_ms >= 0 &&
        record->timestamp_ms > now_ms - rules->min_age_ms)
        return DECIDE_TOO_YOUNG;
    return rules->limit >= 0 && chosen >= rules->limit ? DECIDE_OVER_LIMIT : DECIDE_MOVE;
}

int64_t decide_limit(int64_t a, int64_t b) {
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}
