/*
 * The pairs of userId and queryId that this executor has in hand, each with the one job that stands
 * for it: the first that waits for a start, is asked for, runs or is settled. Repetitions wait
 * behind it (job_state.h), so Athena is asked about a pair once, however often it is posted.
 */
#ifndef EXECUTOR_QUERY_PAIRS_H
#define EXECUTOR_QUERY_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/key_table.h"

struct job;

struct pairs {
    struct key_table by_key; /* of jobs' `by_pair` */
};

/* The first 64 bits of a ClientRequestToken, which is a hash of the pair. */
uint64_t pairs_key(const char *token);

void pairs_init(struct pairs *p);
/* The job that stands for the pair with this token of 64 characters; NULL: there is none. */
struct job *pairs_find(const struct pairs *p, const char *token);
/* Whether a job stands for a pair with this key. */
bool pairs_has_key(const struct pairs *p, uint64_t key);
/* The job stands for its pair from now on. Nothing where another one does, or it has no token. */
void pairs_add(struct pairs *p, struct job *job);
/* It does no longer. Nothing where it did not. */
void pairs_remove(struct pairs *p, struct job *job);

#endif
