/*
 * Whether a pass moves one dead letter (pure).
 */
#ifndef REDRIVER_DECIDE_H
#define REDRIVER_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

/* What a pass may move. Zeroed but for `limit` = -1: all. */
struct decide_rules {
    const char *user;     /* only this user's; "": only those without a user; NULL: of all */
    const char *query_id; /* only this one; NULL: all */
    int64_t min_age_ms;   /* younger ones wait for a later pass */
    int64_t limit;        /* the most to move in one pass, -1: no limit */
};

/* What is known of the record. The ids may be NULL where decide_by_identity() is false. */
struct decide_record {
    const char *user_id; /* "": none */
    const char *query_id;
    int64_t timestamp_ms; /* of the record in the topic, UTC since the epoch; -1: not known */
};

enum decision {
    DECIDE_MOVE,
    DECIDE_NOT_CHOSEN, /* by --user or --query-id */
    DECIDE_TOO_YOUNG,
    DECIDE_OVER_LIMIT, /* the limit of the pass is reached; else it would move */
};

/* Whether the rules need the record's ids. */
bool decide_by_identity(const struct decide_rules *rules);
/*
 * `chosen`: how many this pass has moved, or is about to. A record without a timestamp counts as
 * old enough.
 */
enum decision decide(const struct decide_rules *rules, const struct decide_record *record,
                     int64_t now_ms, int64_t chosen);
/* The smaller of two limits of which -1 is none. */
int64_t decide_limit(int64_t a, int64_t b);

#endif
