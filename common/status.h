/*
 * The state of a query as the status topic tells it, and which state may follow which (pure).
 */
#ifndef COMMON_STATUS_H
#define COMMON_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/query.h"

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

/* Borrowed strings when written, owned ones when parsed (status_free). */
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
    uint8_t sha256[32]; /* of the query's text */
};

/* `userId/queryId`, each percent-encoded. At most 769 bytes; `out` of STATUS_KEY_MAX. */
enum {
    STATUS_KEY_MAX = 2 * 3 * QUERY_ID_MAX + 2
};
void status_key(const char *user_id, const char *query_id, char out[STATUS_KEY_MAX]);

/*
 * The JSON of the look-up: userId (null where none), queryId, state, queryExecutionId,
 * outputLocation, attempt, reason, updatedAt; with_sha256 adds sha256, as the topic has it.
 */
void status_write(const struct status *s, bool with_sha256, struct buffer *out);
/* From a record's value. False for what is not a status; `out` is then empty. */
bool status_read(const void *value, size_t n, struct status *out);
void status_free(struct status *s);

/*
 * Whether `next` may replace what is `known` of the same pair (NULL: nothing known). Readers apply
 * it to what they read, writers ask it before they write, because compaction keeps only the last
 * record. A state never goes back; one without an execution id does not touch the state of another
 * text of the pair:
 * - QUEUED < THROTTLED < REJECTED < STARTED < final; a lower one never follows a higher one.
 * - THROTTLED and REJECTED do not follow a QUEUED or THROTTLED of another text (sha256).
 * - QUEUED follows QUEUED only with the same text (its reason may change).
 * - REJECTED may be followed by STARTED (moved back by hand, or mended and posted again), and a
 *   final state by another final one, where `next` is not older.
 */
bool status_may_follow(const struct status *known, const struct status *next);

#endif
