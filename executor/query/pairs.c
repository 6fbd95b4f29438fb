#include "executor/query/pairs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/log.h"
#include "common/base/memory.h"

#define uthash_malloc(size)  mem_alloc(size)
#define uthash_free(p, size) free(p)
#include <uthash.h>

#include "executor/query/job.h"

enum {
    TOKEN_LEN = 64
};
_Static_assert(TOKEN_LEN == PAIRS_WORDS * sizeof(uint64_t), "a word of the seed for each");

/* Multiply and shift, with odd factors: two tokens share a bucket by chance only. */
static unsigned pairs_hash(const struct pairs *p, const char *token) {
    uint64_t sum = 0, word;
    for (size_t i = 0; i < PAIRS_WORDS; i++) {
        memcpy(&word, token + i * sizeof word, sizeof word);
        sum += word * p->seed[i];
    }
    return (unsigned)(sum >> 32);
}

void pairs_init(struct pairs *p) {
    *p = (struct pairs){0};
    if (getrandom(p->seed, sizeof p->seed, GRND_NONBLOCK) != (ssize_t)sizeof p->seed)
        log_warn("no random numbers: pairs are hashed without a seed");
    for (size_t i = 0; i < PAIRS_WORDS; i++)
        p->seed[i] |= 1;
}

struct job *pairs_find(const struct pairs *p, const char *token) {
    struct job *found = NULL;
    if (token[0] != '\0')
        HASH_FIND_BYHASHVALUE(by_token, p->by_token, token, TOKEN_LEN, pairs_hash(p, token), found);
    return found;
}

void pairs_add(struct pairs *p, struct job *job) {
    if (job->stands_for_pair || job->token[0] == '\0' || pairs_find(p, job->token) != NULL)
        return;
    job->stands_for_pair = true;
    HASH_ADD_KEYPTR_BYHASHVALUE(by_token, p->by_token, job->token, TOKEN_LEN,
                                pairs_hash(p, job->token), job);
}

void pairs_remove(struct pairs *p, struct job *job) {
    if (!job->stands_for_pair)
        return;
    job->stands_for_pair = false;
    HASH_DELETE(by_token, p->by_token, job);
}
