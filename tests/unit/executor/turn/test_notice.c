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
    int reason;
    size_t before;
    bool want;
} cases[] = {
    {"has just come", {.since_ms = 5000}, 5000, NOTICE_QUOTA, 3, false},
    {"not a second yet", {.since_ms = 5000}, 5999, NOTICE_QUOTA, 3, false},
    {"a second", {.since_ms = 5000}, 6000, NOTICE_QUOTA, 3, true},
    {"a second, next in line", {.since_ms = 5000}, 6000, NOTICE_QUOTA, 0, true},
    {"since the clock's first moment", {.since_ms = 0}, 999, NOTICE_QUOTA, 0, false},
    {"long ago, never published", {.since_ms = 5000}, 500000, NOTICE_QUOTA, 3, true},
    {"published, far from it soon",
     {0, true, 6000, 100, NOTICE_QUOTA},
     15999,
     NOTICE_QUOTA,
     1,
     false},
    {"published, far from it after ten seconds",
     {0, true, 6000, 100, NOTICE_QUOTA},
     16000,
     NOTICE_QUOTA,
     1,
     true},
    {"the same place", {0, true, 6000, 100, NOTICE_QUOTA}, 900000, NOTICE_QUOTA, 100, false},
    {"next in line for long", {0, true, 6000, 0, NOTICE_QUOTA}, 900000, NOTICE_QUOTA, 0, false},
    {"not next any more", {0, true, 6000, 0, NOTICE_QUOTA}, 16000, NOTICE_QUOTA, 1, true},
    {"next in line now", {0, true, 6000, 1, NOTICE_QUOTA}, 16000, NOTICE_QUOTA, 0, true},
    {"a little nearer", {0, true, 6000, 100, NOTICE_QUOTA}, 900000, NOTICE_QUOTA, 76, false},
    {"a quarter nearer", {0, true, 6000, 100, NOTICE_QUOTA}, 900000, NOTICE_QUOTA, 75, true},
    {"a little farther", {0, true, 6000, 100, NOTICE_QUOTA}, 900000, NOTICE_QUOTA, 124, false},
    {"a quarter farther", {0, true, 6000, 100, NOTICE_QUOTA}, 900000, NOTICE_QUOTA, 125, true},
    {"the gate, not a second yet", {.since_ms = 5000}, 5999, NOTICE_GATE, 3, false},
    {"the gate, a second", {.since_ms = 5000}, 6000, NOTICE_GATE, 3, true},
    {"the gate after the quota, not a second yet",
     {0, true, 6000, 100, NOTICE_QUOTA},
     6999,
     NOTICE_GATE,
     100,
     false},
    {"the gate after the quota", {0, true, 6000, 100, NOTICE_QUOTA}, 7000, NOTICE_GATE, 100, true},
    {"the gate again", {0, true, 6000, 100, NOTICE_GATE}, 900000, NOTICE_GATE, 1, false},
    {"the gate for another cause", {0, true, 6000, 9, NOTICE_GATE}, 7000, NOTICE_GATE + 1, 9, true},
    {"the quota after the gate", {0, true, 6000, 100, NOTICE_GATE}, 7000, NOTICE_QUOTA, 100, true},
    {"published in the clock's first moment",
     {0, true, 0, 100, NOTICE_QUOTA},
     9999,
     NOTICE_QUOTA,
     1,
     false},
};

static void test_due(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (notice_is_due(&cases[i].notice, cases[i].now_ms, cases[i].reason, cases[i].before) !=
            cases[i].want)
            fail_msg("%s", cases[i].what);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_due)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
