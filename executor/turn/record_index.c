#include "executor/turn/record_index.h"

#include <stdlib.h>

#include "common/base/memory.h"

enum {
    BLOCK_ENTRIES = 2048, /* larger than what malloc keeps for itself */
    OFFSET_BYTES = 32 /* of common/kafka/offsets.h for an offset that is not finished, at most */
};

struct index_block {
    SLIST_ENTRY(index_block) link;
    struct index_entry entries[BLOCK_ENTRIES];
};

void record_index_init(struct record_index *x) {
    *x = (struct record_index){0};
    key_table_init(&x->pairs);
    SLIST_INIT(&x->blocks);
    TAILQ_INIT(&x->unused);
}

/* --- blocks ----------------------------------------------------------------------------------- */

static void add_block(struct record_index *x) {
    struct index_block *block = mem_alloc(sizeof *block);
    SLIST_INSERT_HEAD(&x->blocks, block, link);
    x->block_count++;
    for (size_t i = 0; i < BLOCK_ENTRIES; i++)
        TAILQ_INSERT_TAIL(&x->unused, &block->entries[i], in_partition);
}

static void free_blocks(struct record_index *x) {
    struct index_block *block;
    while ((block = SLIST_FIRST(&x->blocks)) != NULL) {
        SLIST_REMOVE_HEAD(&x->blocks, link);
        free(block);
    }
    TAILQ_INIT(&x->unused);
    x->block_count = 0;
}

static struct index_entry *take_unused(struct record_index *x) {
    if (TAILQ_EMPTY(&x->unused))
        add_block(x);
    struct index_entry *entry = TAILQ_FIRST(&x->unused);
    TAILQ_REMOVE(&x->unused, entry, in_partition);
    return entry;
}

/* --- entries ---------------------------------------------------------------------------------- */

static struct index_entry *entry_of(struct key_node *node) {
    return node != NULL
               ? (struct index_entry *)((char *)node - offsetof(struct index_entry, by_pair))
               : NULL;
}

struct index_entry *record_index_find(const struct record_index *x, uint64_t pair) {
    return entry_of(key_table_find(&x->pairs, pair));
}

struct index_entry *record_index_add(struct record_index *x, struct partition *p,
                                     const struct index_row *row) {
    struct index_entry *entry = take_unused(x);
    *entry = (struct index_entry){
        .item = {.is_entry = 1},
        .by_pair = {.key = row->pair},
        .partition = p,
        .offset = row->offset,
        .received_ms = row->received_ms,
        .bytes = row->bytes < UINT32_MAX ? (uint32_t)row->bytes : UINT32_MAX,
        .lane = (uint8_t)row->lane,
        .stands_for_pair = record_index_find(x, row->pair) == NULL,
    };
    if (entry->stands_for_pair)
        key_table_add(&x->pairs, &entry->by_pair);
    TAILQ_INSERT_TAIL(&p->indexed, entry, in_partition);
    p->indexed_count++;
    x->count++;
    return entry;
}

void record_index_remove(struct record_index *x, struct index_entry *entry) {
    struct partition *p = entry->partition;
    if (entry->stands_for_pair)
        key_table_remove(&x->pairs, &entry->by_pair);
    TAILQ_REMOVE(&p->indexed, entry, in_partition);
    p->indexed_count--;
    TAILQ_INSERT_HEAD(&x->unused, entry, in_partition);
    if (--x->count == 0)
        free_blocks(x);
}

void record_index_drop(struct record_index *x, struct partition *p, struct window window[LANES]) {
    struct index_entry *entry;
    while ((entry = TAILQ_FIRST(&p->indexed)) != NULL) {
        window_remove(&window[entry->lane], &entry->item);
        record_index_remove(x, entry);
    }
}

size_t record_index_bytes(const struct record_index *x) {
    return x->block_count * sizeof(struct index_block) + x->count * OFFSET_BYTES +
           key_table_bytes(&x->pairs);
}
