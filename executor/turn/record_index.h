/*
 * The records that wait without being held (pure): for each an entry of about a hundred bytes in
 * place of its job, so that the window knows far more records than it has the bytes of, and whoever
 * waits behind a million of another user has a turn all the same. When the turn nears, the record
 * is fetched again (executor/turn/recall.h) and a job takes the entry's place in the window.
 *
 * Entries are in blocks that are freed when the last entry is: one at a time would cost a third
 * more. Every operation is O(1), but for dropping all entries of a partition.
 */
#ifndef EXECUTOR_TURN_RECORD_INDEX_H
#define EXECUTOR_TURN_RECORD_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/key_table.h"
#include "executor/limit/lane.h"
#include "executor/partition.h"
#include "executor/turn/window.h"

struct index_entry {
    struct window_item item; /* first: in the window of its lane, whose item it is */
    struct key_node by_pair; /* its pair, as pairs_key() has it; in the table if stands_for_pair */
    TAILQ_ENTRY(index_entry) in_partition; /* in order of arrival */
    struct partition *partition;
    int64_t offset;
    int64_t received_ms; /* the record's time stamp, UTC */
    uint32_t bytes;      /* that its job held: what fetching it again will take */
    uint8_t lane;
    bool stands_for_pair; /* the oldest entry of its pair */
};

struct index_block;
SLIST_HEAD(index_blocks, index_block);

struct record_index {
    struct key_table pairs;
    struct index_blocks blocks;
    struct index_list unused; /* entries of the blocks, by `in_partition` */
    size_t count;
    size_t block_count;
};

/* What a record is indexed by. */
struct index_row {
    int64_t offset;
    int64_t received_ms;
    uint64_t pair;
    size_t bytes;
    enum lane lane;
};

void record_index_init(struct record_index *x);

/* A new entry in the list of `p`. The caller puts its item into the window. */
struct index_entry *record_index_add(struct record_index *x, struct partition *p,
                                     const struct index_row *row);
/* Frees an entry that is in no window any more. */
void record_index_remove(struct record_index *x, struct index_entry *entry);
/* Frees all entries of a partition, and takes them out of their windows. */
void record_index_drop(struct record_index *x, struct partition *p, struct window window[LANES]);

/* The entry that stands for a pair: its oldest; NULL: none is known. */
struct index_entry *record_index_find(const struct record_index *x, uint64_t pair);
/* Bytes of memory, what partitions keep of each offset included. */
size_t record_index_bytes(const struct record_index *x);

#endif
