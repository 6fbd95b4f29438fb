#include "common/base/http/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_one_body_is_bounded(void **state) {
    (void)state;
    struct http_bodies all = {.max = 100};
    struct buffer body;
    size_t counted = 0;
    buffer_init(&body, 8);
    assert_int_equal(http_body_add(&all, &body, &counted, "12345", 5), BODY_TAKEN);
    assert_int_equal(http_body_add(&all, &body, &counted, "678", 3), BODY_TAKEN);
    assert_int_equal(all.held, 8);
    assert_int_equal(http_body_add(&all, &body, &counted, "9", 1), BODY_TOO_LARGE);
    assert_string_equal(buffer_text(&body), "12345678");
    http_body_release(&all, &counted);
    assert_int_equal(all.held, 0);
    buffer_free(&body);
}

static void test_all_bodies_are_bounded(void **state) {
    (void)state;
    struct http_bodies all = {.max = 10};
    struct buffer bodies[3];
    size_t counted[3] = {0};
    for (size_t i = 0; i < 3; i++)
        buffer_init(&bodies[i], 8);
    assert_int_equal(http_body_add(&all, &bodies[0], &counted[0], "12345", 5), BODY_TAKEN);
    assert_int_equal(http_body_add(&all, &bodies[1], &counted[1], "12345", 5), BODY_TAKEN);
    assert_int_equal(http_body_add(&all, &bodies[2], &counted[2], "1", 1), BODY_NO_ROOM);
    http_body_release(&all, &counted[2]);
    http_body_release(&all, &counted[0]);
    http_body_release(&all, &counted[0]); /* nothing is counted for it any more */
    assert_int_equal(all.held, 5);
    assert_int_equal(http_body_add(&all, &bodies[2], &counted[2], "1234", 4), BODY_TAKEN);
    assert_int_equal(all.held, 9);
    for (size_t i = 0; i < 3; i++) {
        http_body_release(&all, &counted[i]);
        buffer_free(&bodies[i]);
    }
    assert_int_equal(all.held, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_body_is_bounded),
        cmocka_unit_test(test_all_bodies_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
