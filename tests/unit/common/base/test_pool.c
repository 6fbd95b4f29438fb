#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/pool.h"

enum {
    SIZE = 100,
    KEPT_MAX = 3
};

static void assert_zeroed(const char *block) {
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(block[i], 0);
}

static void test_blocks_are_zeroed_and_bounded(void **state) {
    (void)state;
    struct pool p = {.size = SIZE, .kept_max = KEPT_MAX};
    char *blocks[KEPT_MAX + 2];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < KEPT_MAX + 2; i++) {
            blocks[i] = pool_take(&p);
            assert_zeroed(blocks[i]);
            memset(blocks[i], 'x', SIZE);
        }
        for (size_t i = 0; i < KEPT_MAX + 2; i++)
            pool_return(&p, blocks[i]);
        assert_true(p.kept <= KEPT_MAX);
    }
    pool_free(&p);
    assert_int_equal(p.kept, 0);
    assert_null(p.first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_zeroed_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
