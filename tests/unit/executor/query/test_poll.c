/* Which executions a call asks for, and which of them the answer has named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "executor/query/poll.h"

static void expect_body(const struct poll *p, const char *want) {
    struct buffer body;
    buffer_init(&body, 65536);
    poll_write(p, &body);
    assert_string_equal(buffer_text(&body), want);
    buffer_free(&body);
}

static void test_each_id_once(void **state) {
    (void)state;
    struct poll p = {.count = 0};
    expect_body(&p, "{\"QueryExecutionIds\":[]}");
    poll_add(&p, "a");
    poll_add(&p, "b\"c");
    poll_add(&p, "a");
    assert_int_equal(p.count, 2);
    expect_body(&p, "{\"QueryExecutionIds\":[\"a\",\"b\\\"c\"]}");
    poll_clear(&p);
    assert_int_equal(p.count, 0);
    poll_add(&p, "d");
    expect_body(&p, "{\"QueryExecutionIds\":[\"d\"]}");
    poll_clear(&p);
}

static void test_named(void **state) {
    (void)state;
    struct poll p = {.count = 0};
    char id[16];
    for (int i = 0; i < POLL_MAX; i++) {
        snprintf(id, sizeof id, "id-%d", i);
        poll_add(&p, id);
    }
    assert_int_equal(p.count, POLL_MAX);
    assert_true(poll_asks_for(&p, "id-49") && !poll_asks_for(&p, "id-50"));
    assert_true(poll_note(&p, "id-7"));
    assert_false(poll_note(&p, "nobody asked for it"));
    for (int i = 0; i < POLL_MAX; i++)
        assert_int_equal(p.named[i], i == 7);
    poll_clear(&p);
    poll_add(&p, "id-7"); /* asked for again, not named yet */
    assert_false(p.named[0]);
    poll_clear(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_id_once),
        cmocka_unit_test(test_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
