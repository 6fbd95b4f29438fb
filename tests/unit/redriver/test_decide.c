/* What becomes of a dead letter: who is chosen, who is too young, who is over the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redriver/decide.h"

enum {
    NOW = 1000000,
    ALL = -1
};

static const struct {
    const char *what;
    struct decide_rules rules;
    struct decide_record record;
    int64_t chosen;
    enum decision want;
} cases[] = {
    {"no rules", {NULL, NULL, 0, ALL}, {"u", "q", NOW}, 1000000000, DECIDE_MOVE},
    {"no rules look at nobody", {NULL, NULL, 0, ALL}, {NULL, NULL, -1}, 0, DECIDE_MOVE},
    {"this user", {"u", NULL, 0, ALL}, {"u", "q", NOW}, 0, DECIDE_MOVE},
    {"another user", {"u", NULL, 0, ALL}, {"v", "q", NOW}, 0, DECIDE_NOT_CHOSEN},
    {"a longer user", {"u", NULL, 0, ALL}, {"uu", "q", NOW}, 0, DECIDE_NOT_CHOSEN},
    {"a user, wanted none", {"", NULL, 0, ALL}, {"u", "q", NOW}, 0, DECIDE_NOT_CHOSEN},
    {"no user, wanted none", {"", NULL, 0, ALL}, {"", "q", NOW}, 0, DECIDE_MOVE},
    {"no user, wanted one", {"u", NULL, 0, ALL}, {"", "q", NOW}, 0, DECIDE_NOT_CHOSEN},
    {"this id", {NULL, "q", 0, ALL}, {"u", "q", NOW}, 0, DECIDE_MOVE},
    {"another id", {NULL, "q", 0, ALL}, {"u", "Q", NOW}, 0, DECIDE_NOT_CHOSEN},
    {"both", {"u", "q", 0, ALL}, {"u", "q", NOW}, 0, DECIDE_MOVE},
    {"the id of another user", {"u", "q", 0, ALL}, {"v", "q", NOW}, 0, DECIDE_NOT_CHOSEN},
    {"of age to the ms", {NULL, NULL, 100, ALL}, {"u", "q", NOW - 100}, 0, DECIDE_MOVE},
    {"a ms too young", {NULL, NULL, 100, ALL}, {"u", "q", NOW - 99}, 0, DECIDE_TOO_YOUNG},
    {"from the future", {NULL, NULL, 100, ALL}, {"u", "q", NOW + 5}, 0, DECIDE_TOO_YOUNG},
    {"from the future, any age", {NULL, NULL, 0, ALL}, {"u", "q", NOW + 5}, 0, DECIDE_MOVE},
    {"of no known age", {NULL, NULL, 100, ALL}, {"u", "q", -1}, 0, DECIDE_MOVE},
    {"within the limit", {NULL, NULL, 0, 3}, {"u", "q", NOW}, 2, DECIDE_MOVE},
    {"at the limit", {NULL, NULL, 0, 3}, {"u", "q", NOW}, 3, DECIDE_OVER_LIMIT},
    {"not chosen before over the limit", {"u", NULL, 0, 3}, {"v", "q", NOW}, 3, DECIDE_NOT_CHOSEN},
    {"young before over the limit", {NULL, NULL, 9, 3}, {"u", "q", NOW}, 3, DECIDE_TOO_YOUNG},
};

static void decides(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum decision got = decide(&cases[i].rules, &cases[i].record, NOW, cases[i].chosen);
        if (got != cases[i].want)
            fail_msg("%s: %d, not %d", cases[i].what, (int)got, (int)cases[i].want);
    }
}

static void knows_when_it_needs_the_identity(void **state) {
    (void)state;
    assert_false(decide_by_identity(&(struct decide_rules){NULL, NULL, 5, 5}));
    assert_true(decide_by_identity(&(struct decide_rules){"", NULL, 0, ALL}));
    assert_true(decide_by_identity(&(struct decide_rules){NULL, "q", 0, ALL}));
}

static void takes_the_smaller_limit(void **state) {
    (void)state;
    assert_int_equal(decide_limit(-1, -1), -1);
    assert_int_equal(decide_limit(-1, 7), 7);
    assert_int_equal(decide_limit(7, -1), 7);
    assert_int_equal(decide_limit(7, 5), 5);
    assert_int_equal(decide_limit(0, 5), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides),
        cmocka_unit_test(knows_when_it_needs_the_identity),
        cmocka_unit_test(takes_the_smaller_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
