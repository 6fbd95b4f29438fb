/*
 * A hash table of objects that are known by 64 bits, for very many small ones (pure): two words in
 * each object, one or two in the table, no allocation for an object. Each node is embedded by its
 * owner, which keeps it while it is in the table.
 *
 * Buckets are chosen by multiplication with a random odd number, so who chooses the keys does not
 * know which of them share a bucket. The table grows with its nodes and is freed with the last one.
 */
#ifndef COMMON_BASE_KEY_TABLE_H
#define COMMON_BASE_KEY_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct key_node {
    struct key_node *next;
    uint64_t key;
};

struct key_table {
    struct key_node **buckets; /* NULL: it is empty */
    unsigned bits;             /* 1 << bits buckets */
    size_t count;
    uint64_t factor;
};

/* Zeroed and empty but for a factor of its own; holds no memory. */
void key_table_init(struct key_table *t);
/* The first node with this key; NULL: there is none. */
struct key_node *key_table_find(const struct key_table *t, uint64_t key);
/* The next one with the same key; NULL: there is none. */
struct key_node *key_table_next(const struct key_node *node);
/* `node->key` is set; a key may be there more than once. */
void key_table_add(struct key_table *t, struct key_node *node);
/* The node must be in the table. */
void key_table_remove(struct key_table *t, struct key_node *node);
/* Bytes of the table itself, without the nodes. */
size_t key_table_bytes(const struct key_table *t);

#endif
