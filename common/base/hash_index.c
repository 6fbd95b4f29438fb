#include "common/base/hash_index.h"

#include <stdlib.h>

#include "common/base/memory.h"

int64_t hash_index_find(const struct hash_index *x, uint32_t hash, hash_index_fn *is_it,
                        const void *arg) {
    if (x->count == 0)
        return HASH_INDEX_NONE;
    size_t mask = x->size - 1;
    for (size_t i = hash & mask; x->cells[i].number_plus_1 != 0; i = (i + 1) & mask)
        if (x->cells[i].hash == hash && is_it(arg, x->cells[i].number_plus_1 - 1))
            return x->cells[i].number_plus_1 - 1;
    return HASH_INDEX_NONE;
}

static void hash_index_put(struct hash_index *x, struct hash_cell cell) {
    size_t mask = x->size - 1, i = cell.hash & mask;
    while (x->cells[i].number_plus_1 != 0)
        i = (i + 1) & mask;
    x->cells[i] = cell;
}

static void hash_index_grow(struct hash_index *x) {
    struct hash_index larger = {.size = x->size > 0 ? 2 * x->size : 64};
    larger.cells = mem_zero(larger.size * sizeof *larger.cells);
    for (size_t i = 0; i < x->size; i++)
        if (x->cells[i].number_plus_1 != 0)
            hash_index_put(&larger, x->cells[i]);
    larger.count = x->count;
    free(x->cells);
    *x = larger;
}

void hash_index_add(struct hash_index *x, uint32_t hash, uint32_t number) {
    if (2 * (x->count + 1) > x->size)
        hash_index_grow(x);
    hash_index_put(x, (struct hash_cell){hash, number + 1});
    x->count++;
}

/* What was put behind the cell only because that was taken moves up (Knuth 6.4, algorithm R). */
void hash_index_remove(struct hash_index *x, uint32_t hash, uint32_t number) {
    size_t mask = x->size - 1, hole = hash & mask;
    while (x->cells[hole].number_plus_1 != number + 1)
        hole = (hole + 1) & mask;
    for (size_t i = (hole + 1) & mask; x->cells[i].number_plus_1 != 0; i = (i + 1) & mask) {
        size_t home = x->cells[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            x->cells[hole] = x->cells[i];
            hole = i;
        }
    }
    x->cells[hole] = (struct hash_cell){0};
    x->count--;
}

void hash_index_free(struct hash_index *x) {
    free(x->cells);
    *x = (struct hash_index){0};
}
