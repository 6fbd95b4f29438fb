/*
 * The pairs of userId and queryId that this executor has in hand, each with the one job that stands
 * for it: the first that waits for a start, is asked for, runs or is settled. Repetitions wait
 * behind it (job_state.h), so Athena is asked about a pair once, however often it is posted.
 *
 * Looked up by ClientRequestToken in a hash table with a random seed: clients choose the ids and so
 * know the tokens, but not which of them share a bucket.
 */
#ifndef EXECUTOR_QUERY_PAIRS_H
#define EXECUTOR_QUERY_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

struct job;

enum {
    PAIRS_WORDS = 8 /* of 64 bits, in a token */
};

struct pairs {
    struct job *by_token;
    uint64_t seed[PAIRS_WORDS];
};

void pairs_init(struct pairs *p);
/* The job that stands for the pair with this token of 64 characters; NULL: there is none. */
struct job *pairs_find(const struct pairs *p, const char *token);
/* The job stands for its pair from now on. Nothing where another one does, or it has no token. */
void pairs_add(struct pairs *p, struct job *job);
/* It does no longer. Nothing where it did not. */
void pairs_remove(struct pairs *p, struct job *job);

#endif
