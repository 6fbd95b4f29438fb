#include "common/base/key_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/memory.h"

enum {
    BITS_MIN = 4,
    KEY_BITS = 64
};

void key_table_init(struct key_table *t) {
    *t = (struct key_table){0};
    if (getrandom(&t->factor, sizeof t->factor, GRND_NONBLOCK) != (ssize_t)sizeof t->factor)
        t->factor = (uint64_t)(uintptr_t)t; /* better than none: addresses are random, too */
    t->factor |= 1;
}

static struct key_node **bucket_of(const struct key_table *t, uint64_t key) {
    return &t->buckets[(key * t->factor) >> (KEY_BITS - t->bits)];
}

static void put(struct key_table *t, struct key_node *node) {
    struct key_node **bucket = bucket_of(t, node->key);
    node->next = *bucket;
    *bucket = node;
}

static void key_table_resize(struct key_table *t, unsigned bits) {
    struct key_table old = *t;
    t->bits = bits;
    t->buckets = mem_zero(((size_t)1 << bits) * sizeof *t->buckets);
    for (size_t i = 0; old.buckets != NULL && i < (size_t)1 << old.bits; i++)
        for (struct key_node *node = old.buckets[i], *next; node != NULL; node = next) {
            next = node->next;
            put(t, node);
        }
    free(old.buckets);
}

static struct key_node *first_with(struct key_node *node, uint64_t key) {
    while (node != NULL && node->key != key)
        node = node->next;
    return node;
}

struct key_node *key_table_find(const struct key_table *t, uint64_t key) {
    return t->buckets != NULL ? first_with(*bucket_of(t, key), key) : NULL;
}

struct key_node *key_table_next(const struct key_node *node) {
    return first_with(node->next, node->key);
}

void key_table_add(struct key_table *t, struct key_node *node) {
    if (t->buckets == NULL)
        key_table_resize(t, BITS_MIN);
    else if (t->count >= (size_t)1 << t->bits)
        key_table_resize(t, t->bits + 1);
    put(t, node);
    t->count++;
}

void key_table_remove(struct key_table *t, struct key_node *node) {
    struct key_node **at = bucket_of(t, node->key);
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    t->count--;
    if (t->count > 0)
        return;
    free(t->buckets);
    t->buckets = NULL;
}

size_t key_table_bytes(const struct key_table *t) {
    return t->buckets != NULL ? ((size_t)1 << t->bits) * sizeof *t->buckets : 0;
}
