#include "common/base/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_doubles_up_to_the_most(void **state) {
    (void)state;
    static const int64_t cases[][3] = {
        /* last, least, most */
        {0, 100, 1000},   {100, 100, 1000},  {400, 100, 1000},
        {800, 100, 1000}, {1000, 100, 1000}, {0, 2000, 1000},
    };
    static const int64_t next[] = {100, 200, 800, 1000, 1000, 1000};
    for (size_t i = 0; i < sizeof next / sizeof *next; i++)
        assert_int_equal(backoff_next_ms(cases[i][0], cases[i][1], cases[i][2]), next[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles_up_to_the_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
