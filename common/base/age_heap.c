#include "common/base/age_heap.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/base/memory.h"

static bool age_is_older(const struct age_node *a, const struct age_node *b) {
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void age_put(struct age_heap *h, size_t place, struct age_node node) {
    h->nodes[place] = node;
    node.age->place = place;
}

static void age_move_up(struct age_heap *h, size_t place, struct age_node node) {
    while (place > 0 && age_is_older(&node, &h->nodes[(place - 1) / 2])) {
        age_put(h, place, h->nodes[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    age_put(h, place, node);
}

static void age_move_down(struct age_heap *h, size_t place, struct age_node node) {
    size_t child;
    while ((child = 2 * place + 1) < h->count) {
        if (child + 1 < h->count && age_is_older(&h->nodes[child + 1], &h->nodes[child]))
            child++;
        if (!age_is_older(&h->nodes[child], &node))
            break;
        age_put(h, place, h->nodes[child]);
        place = child;
    }
    age_put(h, place, node);
}

void age_heap_add(struct age_heap *h, struct age *age, int64_t at_ms) {
    if (h->count == h->room) {
        h->room = h->room > 0 ? 2 * h->room : 64;
        h->nodes = mem_resize(h->nodes, h->room, sizeof *h->nodes);
    }
    h->count++;
    age_move_up(h, h->count - 1, (struct age_node){at_ms, h->added++, age});
}

void age_heap_remove(struct age_heap *h, struct age *age) {
    size_t place = age->place;
    struct age_node last = h->nodes[--h->count];
    if (place == h->count)
        return;
    if (place > 0 && age_is_older(&last, &h->nodes[(place - 1) / 2]))
        age_move_up(h, place, last);
    else
        age_move_down(h, place, last);
}

struct age *age_heap_oldest(const struct age_heap *h) {
    return h->count > 0 ? h->nodes[0].age : NULL;
}

int64_t age_heap_oldest_ms(const struct age_heap *h) {
    return h->nodes[0].at_ms;
}

void age_heap_free(struct age_heap *h) {
    free(h->nodes);
    *h = (struct age_heap){0};
}
