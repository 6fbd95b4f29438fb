/*
 * Items in the order of a time, the oldest first: a binary heap (pure; one thread). Adding and
 * removing take O(log n); adding the newest one, as is the rule, O(1).
 */
#ifndef COMMON_BASE_AGE_HEAP_H
#define COMMON_BASE_AGE_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* Embedded in what is kept; its owner knows where (offsetof). */
struct age {
    size_t place; /* the heap's */
};

struct age_node {
    int64_t at_ms;
    uint64_t order;
    struct age *age;
};

/* Begins zeroed. */
struct age_heap {
    struct age_node *nodes; /* owned */
    size_t count, room;
    uint64_t added; /* ever */
};

/* `age` must outlive its time in the heap. Of two with the same time the one added first is older.
 */
void age_heap_add(struct age_heap *h, struct age *age, int64_t at_ms);
void age_heap_remove(struct age_heap *h, struct age *age); /* must be in it */
/* NULL: the heap is empty. */
struct age *age_heap_oldest(const struct age_heap *h);
int64_t age_heap_oldest_ms(const struct age_heap *h); /* of a heap that is not empty */
/* Frees the heap's own memory; the ages in it are their owner's. */
void age_heap_free(struct age_heap *h);

#endif
