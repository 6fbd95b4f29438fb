#include "common/base/http/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    struct deadline_facts facts; /* phase, lasted_ms, has_begun, quiesced, request_timeout_ms,
                                    idle_timeout_ms */
    enum deadline_verdict verdict;
} cases[] = {
    {{CONNECTION_FRESH, 0, false, false, 1000, 60000}, DEADLINE_KEEP},
    {{CONNECTION_FRESH, 999, false, false, 1000, 60000}, DEADLINE_KEEP},
    {{CONNECTION_FRESH, 1000, false, false, 1000, 60000}, DEADLINE_SHUT},
    {{CONNECTION_FRESH, 1000, true, false, 1000, 60000}, DEADLINE_BEGUN},
    {{CONNECTION_FRESH, 0, false, true, 1000, 60000}, DEADLINE_SHUT},
    {{CONNECTION_FRESH, 0, true, true, 1000, 60000}, DEADLINE_BEGUN},
    {{CONNECTION_IDLE, 1000, false, false, 1000, 60000}, DEADLINE_KEEP},
    {{CONNECTION_IDLE, 59999, false, false, 1000, 60000}, DEADLINE_KEEP},
    {{CONNECTION_IDLE, 60000, false, false, 1000, 60000}, DEADLINE_SHUT},
    {{CONNECTION_IDLE, 60000, true, false, 1000, 60000}, DEADLINE_BEGUN},
    {{CONNECTION_IDLE, 0, false, true, 1000, 60000}, DEADLINE_SHUT},
    {{CONNECTION_RECEIVING, 999, false, false, 1000, 60000}, DEADLINE_KEEP},
    {{CONNECTION_RECEIVING, 1000, false, false, 1000, 60000}, DEADLINE_LATE},
    {{CONNECTION_RECEIVING, 0, false, true, 1000, 60000}, DEADLINE_KEEP},
    {{CONNECTION_RESPONDING, 3600000, false, true, 1000, 60000}, DEADLINE_KEEP},
    {{CONNECTION_SENDING, 59999, false, true, 1000, 60000}, DEADLINE_KEEP},
    {{CONNECTION_SENDING, 60000, false, false, 1000, 60000}, DEADLINE_SHUT},
};

static void test_verdicts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (deadline_judge(&cases[i].facts) != cases[i].verdict)
            fail_msg("case %zu is %d", i, (int)deadline_judge(&cases[i].facts));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
