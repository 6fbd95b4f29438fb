#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>

#include "common/base/age_heap.h"

enum {
    NUMBERS = 200,
    STEPS = 20000
};

static struct {
    uint32_t rank;
    int64_t at_ms;
    int added; /* the step; 0: it is not in the heap */
} kept[NUMBERS];

static bool leaves_before(uint32_t i, uint32_t j) {
    if (kept[i].rank != kept[j].rank)
        return kept[i].rank < kept[j].rank;
    if (kept[i].at_ms != kept[j].at_ms)
        return kept[i].at_ms < kept[j].at_ms;
    return kept[i].added < kept[j].added;
}

static int64_t first_of_all(void) {
    int64_t first = -1;
    for (uint32_t i = 0; i < NUMBERS; i++)
        if (kept[i].added != 0 && (first < 0 || leaves_before(i, (uint32_t)first)))
            first = i;
    return first;
}

/* Added and removed at random, the first is always the one that a walk over all finds. */
static void test_like_a_walk(void **state) {
    (void)state;
    struct age_heap heap = {0};
    uint32_t seed = 4711;
    assert_null(age_heap_first(&heap));
    for (int step = 1; step <= STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        uint32_t i = (seed >> 16) % NUMBERS;
        if (kept[i].added != 0) {
            age_heap_remove(&heap, i);
            kept[i].added = 0;
        } else {
            kept[i].rank = (seed >> 4) % 3;
            kept[i].at_ms = (int64_t)((seed >> 8) % 64) - 32;
            kept[i].added = step;
            age_heap_add(&heap, i, kept[i].rank, kept[i].at_ms);
        }
        const struct age *first = age_heap_first(&heap);
        assert_int_equal(first != NULL ? (int64_t)first->number : -1, first_of_all());
        if (first != NULL)
            assert_int_equal(first->at_ms, kept[first->number].at_ms);
    }
    age_heap_free(&heap);
    age_heap_free(&heap);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_a_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
