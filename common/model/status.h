/*
 * A query's state as a record of the status topic, and which state may follow which (pure; any
 * thread).
 */
#ifndef COMMON_MODEL_STATUS_H
#define COMMON_MODEL_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/must_check.h"
#include "common/model/query.h"

enum status_state { /* ordered: see status_may_follow() */
    STATUS_NONE,
    STATUS_QUEUED,
    STATUS_THROTTLED,
    STATUS_REJECTED,
    STATUS_STARTED,
    STATUS_SUCCEEDED,
    STATUS_FAILED,
    STATUS_CANCELLED,
};

const char *status_state_name(enum status_state state); /* "QUEUED" …; STATUS_NONE: "" */
enum status_state status_state_parse(const char *name, size_t n); /* STATUS_NONE: not one */
bool status_is_final(enum status_state state);                    /* SUCCEEDED, FAILED, CANCELLED */

enum {
    STATUS_VALUE_MAX = 32768,      /* bytes of JSON: status_write() stays below it */
    STATUS_REASON_MAX = 2048,      /* bytes; a longer one is cut between two characters */
    STATUS_LOCATION_MAX = 2048,    /* bytes; S3's keys have 1024 at most */
    STATUS_EXECUTION_ID_MAX = 128, /* Athena: [\w-]{1,128} */
};

/* Its strings are borrowed: when it was read, from a struct status_room. */
struct status {
    char *user_id; /* "": none */
    char *query_id;
    enum status_state state;
    char *query_execution_id; /* NULL: none */
    char *output_location;    /* NULL: none */
    char *reason;             /* NULL: none */
    int64_t attempt;          /* how often it was throttled */
    int64_t updated_at_ms;    /* UTC since the epoch */
    bool has_sha256;
    uint8_t sha256[32]; /* query_sha256() */
};

/* `userId/queryId`, each percent-encoded. At most 769 bytes; `out` of STATUS_KEY_MAX. */
enum {
    STATUS_KEY_MAX = 2 * 3 * QUERY_ID_MAX + 2
};
void status_key(const char *user_id, const char *query_id, char out[STATUS_KEY_MAX]);
/* Reads a record's key. False for a key that status_key() does not write. */
MUST_CHECK bool status_key_read(const void *key, size_t n, char user_id[QUERY_ID_MAX + 1],
                                char query_id[QUERY_ID_MAX + 1]);

/*
 * Appends the JSON of the look-up to `out`: queryId, userId, state, queryExecutionId,
 * outputLocation, attempt, reason, updatedAt, and, for a record of the status topic (with_sha256),
 * sha256. What is absent is null. Texts are cut to their maximum above, and a byte in them that is
 * not UTF-8 becomes U+FFFD.
 */
void status_write(const struct status *s, bool with_sha256, struct buffer *out);
/* Where status_read() puts the texts of one record. */
struct status_room {
    char bytes[STATUS_VALUE_MAX];
};
/*
 * Reads a record's value, without an allocation. False where it is no status: not strict JSON,
 * longer than STATUS_VALUE_MAX, queryId, state or updatedAt missing, a member of a wrong type or
 * beyond its maximum. Unknown members are skipped. The texts of `out` are in `room`, until that is
 * used again; on failure `out` is zeroed.
 */
MUST_CHECK bool status_read(const void *value, size_t n, struct status_room *room,
                            struct status *out);

/*
 * Reads of a record only whether it says SUCCEEDED, FAILED, CANCELLED or REJECTED, and since when:
 * ten times as fast as status_read(). Right for a record that status_write() has written; false
 * where it is not sure. What else is in the record is not looked at.
 */
MUST_CHECK bool status_peek_ended(const void *value, size_t n, int64_t *updated_at_ms);

/* Whether both have the same sha256, or neither has one. */
bool status_is_same_text(const struct status *a, const struct status *b);

/*
 * Whether `next` may replace `known` as the state of one pair (NULL: none is known). Readers apply
 * this to each record that they read, and writers before they write, because compaction keeps only
 * the last record of a pair. The rules:
 * - The order is QUEUED < THROTTLED < REJECTED < STARTED < final. A lower state never follows a
 *   higher one.
 * - A state that is no execution (QUEUED, THROTTLED, REJECTED, and any other without an execution
 *   id) follows only a state of the same text: both have the same sha256, or neither has one.
 *   Otherwise a repetition with another text would change the state of the first.
 * - Except that REJECTED follows any REJECTED: the query was mended, posted again and refused for
 *   another reason.
 * - A final state follows a final one only where `next` is not older (updatedAt). For all other
 *   states the order in the topic counts, and not the clocks of several machines.
 *
 * So REJECTED may be followed by STARTED (moved back by hand, or mended and posted again), and
 * QUEUED by QUEUED (its reason may change).
 */
bool status_may_follow(const struct status *known, const struct status *next);

#endif
