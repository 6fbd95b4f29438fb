#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/hash_index.h"

enum {
    NUMBERS = 500,
    STEPS = 50000
};

static bool is_number(const void *arg, uint32_t number) {
    return *(const uint32_t *)arg == number;
}

/* So few hashes that most collide, also around the end of the table, and such as differ in high
 * bits only. */
static uint32_t hash_of(uint32_t number) {
    return number % 7 == 0 ? UINT32_MAX - number % 3 : (number % 50) << (number % 2 * 20);
}

static void test_like_a_set(void **state) {
    (void)state;
    struct hash_index index = {0};
    bool there[NUMBERS] = {false};
    size_t count = 0;
    uint32_t seed = 99;
    for (int step = 0; step < STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        uint32_t number = (seed >> 12) % NUMBERS;
        if (there[number])
            hash_index_remove(&index, hash_of(number), number);
        else
            hash_index_add(&index, hash_of(number), number);
        there[number] = !there[number];
        count += there[number] ? 1 : (size_t)-1;
        assert_int_equal(index.count, count);
        for (uint32_t i = number; i < NUMBERS; i += 37)
            assert_int_equal(hash_index_find(&index, hash_of(i), is_number, &i),
                             there[i] ? (int64_t)i : HASH_INDEX_NONE);
    }
    hash_index_free(&index);
    uint32_t none = 0;
    assert_int_equal(hash_index_find(&index, 0, is_number, &none), HASH_INDEX_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_a_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
