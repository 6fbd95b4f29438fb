#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>

#include "common/base/age_heap.h"

enum {
    ITEMS = 200,
    STEPS = 20000
};

struct item {
    struct age age;
    int64_t at_ms;
    int added; /* the step; 0: it is not in the heap */
};

static struct item items[ITEMS];

static const struct age *oldest_of_all(void) {
    const struct item *oldest = NULL;
    for (const struct item *i = items; i < items + ITEMS; i++)
        if (i->added != 0 && (oldest == NULL || i->at_ms < oldest->at_ms ||
                              (i->at_ms == oldest->at_ms && i->added < oldest->added)))
            oldest = i;
    return oldest != NULL ? &oldest->age : NULL;
}

/* Added and removed at random, the oldest is always the one that a walk over all finds. */
static void test_like_a_walk(void **state) {
    (void)state;
    struct age_heap heap = {0};
    uint32_t seed = 4711;
    assert_null(age_heap_oldest(&heap));
    for (int step = 1; step <= STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        struct item *item = &items[(seed >> 16) % ITEMS];
        if (item->added != 0) {
            age_heap_remove(&heap, &item->age);
            item->added = 0;
        } else {
            item->at_ms = (seed >> 8) % 64 - 32;
            item->added = step;
            age_heap_add(&heap, &item->age, item->at_ms);
        }
        assert_ptr_equal(age_heap_oldest(&heap), oldest_of_all());
        if (heap.count > 0)
            assert_int_equal(age_heap_oldest_ms(&heap),
                             ((const struct item *)age_heap_oldest(&heap))->at_ms);
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
