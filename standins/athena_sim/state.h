/*
 * The queries of the stand-in (pure, the clock is passed in): started once a token, held against
 * two quotas while they run, and ended by the clock.
 *
 * Times are microseconds since the epoch. A query ends when its time has come, whether or not
 * anyone looks: every call first ends what is due by `now_us`, which should not go backwards.
 */
#ifndef STANDINS_ATHENA_SIM_STATE_H
#define STANDINS_ATHENA_SIM_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "standins/athena_sim/sql.h"

struct sim_query {
    char id[37];
    char *token;             /* owned, like the other strings */
    uint8_t fingerprint[32]; /* of all parameters that Athena compares */
    uint8_t sha256[32];      /* of the text */
    bool remembered;         /* from the ledger: nothing else is known of it */
    char *text, *database, *catalog, *work_group, *output_location; /* NULL: not given */
    int reuse_minutes; /* MaxAgeInMinutes; -1: no result is to be reused */
    struct sim_sql sql;
    int64_t submitted_us, begins_us, ends_us; /* QUEUED until it begins */
    bool ended;
    size_t place; /* in the heap of what runs, from 1; 0: not in it */
    UT_hash_handle by_id, by_token;
};

struct sim_counts {
    uint64_t started, repeated, throttled, mismatch;
    uint64_t ended, ended_as[SIM_ENDS];
    uint64_t running[SIM_LANES], max_running[SIM_LANES];
};

struct sim_state {
    int64_t active[SIM_LANES]; /* quotas; may be changed at any time, for the starts to come */
    struct sim_counts counts;
    struct sim_query *ids, *tokens; /* uthash */
    struct sim_query **heap;        /* the next to end at [1] */
    size_t heap_count, heap_room;
};

enum sim_found {
    SIM_FREE,     /* no such token, and the quota has room: sim_state_start() may follow */
    SIM_REPEATED, /* the same query: `*found` is it */
    SIM_MISMATCH, /* the token belongs to other parameters */
    SIM_QUOTA_FULL
};

/* What a start is compared by. */
struct sim_identity {
    const char *token;
    uint8_t fingerprint[32], sha256[32];
};

/*
 * The token is looked up before the quota, so that the repetition of a started query gets its id
 * even when all is full. Counts what it finds.
 */
enum sim_found sim_state_find(struct sim_state *s, const struct sim_identity *identity,
                              enum sim_lane lane, int64_t now_us, struct sim_query **found);

/* Takes over a query that sim_state_find() has called free; it runs for `run_us` from now. */
void sim_state_start(struct sim_state *s, struct sim_query *q, int64_t run_us, int64_t now_us);

/*
 * A query of an earlier life of the stand-in, with its token, id, sha256, submitted_us and
 * sql.end: it has ended so, counts nowhere, and differs from others by its text alone. A token that
 * is known already, of an execution before the tokens were forgotten, becomes this query's. False
 * where the id is known already; then the query stays the caller's.
 */
bool sim_state_remember(struct sim_state *s, struct sim_query *q);

/*
 * No token is known any more: the next start with one that was known starts anew. The executions
 * stay. AWS documents nowhere how long Athena remembers a token.
 */
void sim_state_forget_tokens(struct sim_state *s);

/* A running query ends now, as CANCELLED; one that has ended stays as it is. */
void sim_state_stop(struct sim_state *s, struct sim_query *q, int64_t now_us);

void sim_state_advance(struct sim_state *s, int64_t now_us);
struct sim_query *sim_state_get(struct sim_state *s, const char *id); /* NULL: none */

extern const char *const sim_ends[SIM_ENDS]; /* SUCCEEDED, FAILED, CANCELLED */

/* One of these, QUEUED or RUNNING, after sim_state_advance(). */
const char *sim_query_state(const struct sim_query *q, int64_t now_us);
void sim_query_free(struct sim_query *q);
void sim_state_free(struct sim_state *s);

#endif
