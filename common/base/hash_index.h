/*
 * Numbers found by a hash of what they stand for (pure; one thread). Open addressing in one array
 * of eight bytes a cell, at most half full: finding one touches one line of the processor's cache,
 * and what the numbers stand for only where all 32 bits of the hash are the same.
 *
 * The hash must be one whose collisions nobody from outside can bring about.
 */
#ifndef COMMON_BASE_HASH_INDEX_H
#define COMMON_BASE_HASH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HASH_INDEX_NONE = -1
};

struct hash_cell {
    uint32_t hash;
    uint32_t number_plus_1; /* 0: empty */
};

/* Begins zeroed. */
struct hash_index {
    struct hash_cell *cells; /* owned */
    size_t count, size;      /* `size` is a power of 2 */
};

/* Whether `number` stands for what is looked for. */
typedef bool hash_index_fn(const void *arg, uint32_t number);

/* The number with this hash for which `is_it` returns true; HASH_INDEX_NONE: there is none. */
int64_t hash_index_find(const struct hash_index *x, uint32_t hash, hash_index_fn *is_it,
                        const void *arg);
void hash_index_add(struct hash_index *x, uint32_t hash, uint32_t number);    /* not in it yet */
void hash_index_remove(struct hash_index *x, uint32_t hash, uint32_t number); /* must be in it */
void hash_index_free(struct hash_index *x);

#endif
