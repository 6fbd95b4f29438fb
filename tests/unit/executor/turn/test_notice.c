/* When one that waits is published as waiting, and when again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "executor/turn/notice.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
    const char *what;
    struct notice notice;
    int64_t now_ms;
    size_t before;
    bool want;
} cases[] = {
    {"has just come", {.since_ms = 5000}, 5000, 3, false},
    {"not a second yet", {.since_ms = 5000}, 5999, 3, false},
    {"a second", {.since_ms = 5000}, 6000, 3, true},
    {"a second, next in line", {.since_ms = 5000}, 6000, 0, true},
    {"since the clock's first moment", {.since_ms = 0}, 999, 0, false},
    {"long ago, never published", {.since_ms = 5000}, 500000, 3, true},
    {"published, far from it soon", {0, true, 6000, 100}, 15999, 1, false},
    {"published, far from it after ten seconds", {0, true, 6000, 100}, 16000, 1, true},
    {"the same place", {0, true, 6000, 100}, 900000, 100, false},
    {"next in line for long", {0, true, 6000, 0}, 900000, 0, false},
    {"not next any more", {0, true, 6000, 0}, 16000, 1, true},
    {"next in line now", {0, true, 6000, 1}, 16000, 0, true},
    {"a little nearer", {0, true, 6000, 100}, 900000, 76, false},
    {"a quarter nearer", {0, true, 6000, 100}, 900000, 75, true},
    {"a little farther", {0, true, 6000, 100}, 900000, 124, false},
    {"a quarter farther", {0, true, 6000, 100}, 900000, 125, true},
    {"published in the clock's first moment", {0, true, 0, 100}, 9999, 1, false},
};

static void test_due(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (notice_is_due(&cases[i].notice, cases[i].now_ms, cases[i].before) != cases[i].want)
            fail_msg("%s", cases[i].what);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_due)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
