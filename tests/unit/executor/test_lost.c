/* Records that retention took before they were received. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "executor/lost.h"

static void test_retention_below_the_committed_offset(void **state) {
    (void)state;
    struct lost l = {0};
    assert_int_equal(lost_count(&l, 10, -1001, 0), 0); /* not known yet */
    assert_int_equal(lost_count(&l, 10, 10, 0), 0);
    assert_int_equal(lost_count(&l, 10, 13, 0), 3); /* none of them ever comes */
    assert_int_equal(lost_count(&l, 10, 13, 0), 0); /* once */
    assert_int_equal(lost_count(&l, 10, 15, 0), 2);
    lost_received(&l, 10, 15, 0);
    assert_int_equal(lost_count(&l, 16, 15, 0), 0);
}

static void test_a_gap_is_counted_once_the_first_offset_is_known(void **state) {
    (void)state;
    struct lost l = {0};
    lost_received(&l, 10, 13, 0);
    lost_received(&l, 14, 14, 0);
    lost_received(&l, 15, 20, 0); /* the first gap stands */
    assert_int_equal(lost_count(&l, 21, 10, 1000), 0);
    assert_int_equal(lost_count(&l, 21, 13, 2000), 3);
    assert_int_equal(lost_count(&l, 21, 13, 9000), 0);
}

static void test_a_gap_of_a_transaction_is_no_loss(void **state) {
    (void)state;
    struct lost l = {0};
    lost_received(&l, 10, 11, 0);
    assert_int_equal(lost_count(&l, 12, 0, 1000), 0);
    assert_int_equal(lost_count(&l, 12, 0, 5000), 0);
    /* What is done with is deleted later. */
    assert_int_equal(lost_count(&l, 12, 12, 6000), 0);
}

static void test_nothing_is_expected_before_the_first_record(void **state) {
    (void)state;
    struct lost l = {0};
    lost_received(&l, -1, 7, 0);
    assert_int_equal(lost_count(&l, -1, 7, 0), 0);
    assert_int_equal(lost_count(&l, 8, 7, 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retention_below_the_committed_offset),
        cmocka_unit_test(test_a_gap_is_counted_once_the_first_offset_is_known),
        cmocka_unit_test(test_a_gap_of_a_transaction_is_no_loss),
        cmocka_unit_test(test_nothing_is_expected_before_the_first_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
