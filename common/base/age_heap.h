/*
 * Which of many is to leave first: by rank, then by time, then in the order in which they were
 * added (pure; one thread). A heap of small numbers that its owner gives to what it keeps.
 * Adding and removing take O(log n); adding the newest one, as is the rule, O(1).
 *
 * It holds the numbers apart from what they stand for: a step of the heap touches its own two small
 * arrays only, which stay in the processor's cache.
 */
#ifndef COMMON_BASE_AGE_HEAP_H
#define COMMON_BASE_AGE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct age {
    int64_t at_ms;
    uint64_t order; /* the heap's */
    uint32_t number;
    uint32_t rank; /* a lower one leaves first */
};

/* Begins zeroed. */
struct age_heap {
    struct age *ages; /* owned, like the other */
    uint32_t *places; /* of each number, in `ages` */
    size_t count, room;
    uint64_t added; /* ever */
};

/* `number` is not in the heap, and below a small multiple of the most that are ever in it. */
void age_heap_add(struct age_heap *h, uint32_t number, uint32_t rank, int64_t at_ms);
void age_heap_remove(struct age_heap *h, uint32_t number); /* must be in it */
/* The one to leave first; NULL: the heap is empty. */
const struct age *age_heap_first(const struct age_heap *h);
void age_heap_free(struct age_heap *h);

#endif
