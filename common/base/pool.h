/*
 * Memory of one size that is used again: what one request returns, the next one gets.
 *
 * Hundreds of requests are under way at once, and malloc() keeps only seven freed blocks of a size
 * at hand. Under AddressSanitizer nothing is kept, so that it sees each use after a return.
 */
#ifndef COMMON_BASE_POOL_H
#define COMMON_BASE_POOL_H

#include <stddef.h>

#include "common/base/must_check.h"

/* A zeroed one keeps nothing; of one thread. */
struct pool {
    size_t size;     /* of a block, at least sizeof(void *) */
    size_t kept_max; /* blocks that are kept at most */
    size_t kept;
    void *first; /* of those that are kept; each begins with the address of the next */
};

MUST_CHECK void *pool_take(struct pool *p); /* zeroed; never NULL, see common/base/memory.h */
void pool_return(struct pool *p, void *block);
void pool_free(struct pool *p); /* what is kept; what was taken is still its owner's to free() */

#endif
