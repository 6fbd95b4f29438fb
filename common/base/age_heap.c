#include "common/base/age_heap.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/base/memory.h"

/* Side by side, so few lines of the processor's cache are read: twice as fast as with two. */
enum {
    CHILDREN = 8
};

static bool age_is_before(const struct age *a, const struct age *b) {
    if (a->rank != b->rank)
        return a->rank < b->rank;
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void age_put(struct age_heap *h, size_t place, const struct age *age) {
    h->ages[place] = *age;
    h->places[age->number] = (uint32_t)place;
}

static void age_move_up(struct age_heap *h, size_t place, struct age age) {
    while (place > 0 && age_is_before(&age, &h->ages[(place - 1) / CHILDREN])) {
        age_put(h, place, &h->ages[(place - 1) / CHILDREN]);
        place = (place - 1) / CHILDREN;
    }
    age_put(h, place, &age);
}

static void age_move_down(struct age_heap *h, size_t place, struct age age) {
    size_t child;
    while ((child = CHILDREN * place + 1) < h->count) {
        size_t end = child + CHILDREN < h->count ? child + CHILDREN : h->count, least = child;
        while (++child < end)
            least = age_is_before(&h->ages[child], &h->ages[least]) ? child : least;
        if (!age_is_before(&h->ages[least], &age))
            break;
        age_put(h, place, &h->ages[least]);
        place = least;
    }
    age_put(h, place, &age);
}

static void age_make_room(struct age_heap *h, uint32_t number) {
    if (h->count < h->room && number < h->room)
        return;
    size_t wanted = h->count > number ? h->count : number;
    h->room = wanted < 32 ? 64 : 2 * wanted;
    h->ages = mem_resize(h->ages, h->room, sizeof *h->ages);
    h->places = mem_resize(h->places, h->room, sizeof *h->places);
}

void age_heap_add(struct age_heap *h, uint32_t number, uint32_t rank, int64_t at_ms) {
    age_make_room(h, number);
    h->count++;
    age_move_up(h, h->count - 1, (struct age){at_ms, h->added++, number, rank});
}

void age_heap_remove(struct age_heap *h, uint32_t number) {
    size_t place = h->places[number];
    struct age last = h->ages[--h->count];
    if (place == h->count)
        return;
    if (place > 0 && age_is_before(&last, &h->ages[(place - 1) / CHILDREN]))
        age_move_up(h, place, last);
    else
        age_move_down(h, place, last);
}

const struct age *age_heap_first(const struct age_heap *h) {
    return h->count > 0 ? &h->ages[0] : NULL;
}

void age_heap_free(struct age_heap *h) {
    free(h->ages);
    free(h->places);
    *h = (struct age_heap){0};
}
