/* The record by which a partition is recognised: its text, and what another sight of it means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/kafka/witness.h"

static void test_text_goes_there_and_back(void **state) {
    (void)state;
    const struct witness cases[] = {
        witness_of(0, 0, NULL, 0),
        witness_of(1200, INT64_C(1764254000000), "SELECT 1", 8),
        witness_of(INT64_MAX, INT64_MAX, "x", 1),
        witness_of(7, -1, "no timestamp", 12),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[WITNESS_TEXT_MAX + 16];
        struct witness back;
        witness_write(&cases[i], text);
        assert_true(strlen(text) < WITNESS_TEXT_MAX);
        strcat(text, "aq1 5 1:2");
        assert_string_equal(witness_read(text, &back), "aq1 5 1:2");
        assert_true(witness_equal(&cases[i], &back));
    }
}

static void test_other_text_is_no_witness(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",
        "aq1 1200 1:5",
        "in1 1 2 3",
        "in1 1 2 00000003",
        "in1  1 2 00000003;",
        "in1 -1 2 00000003;",
        "in1 +1 2 00000003;",
        "in1 01 2 00000003;",
        "in1 1 2 0000000A;",
        "in1 99999999999999999999 2 00000003;",
        "in2 1 2 00000003;",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct witness w;
        assert_ptr_equal(witness_read(cases[i], &w), cases[i]);
        assert_false(w.known);
    }
    struct witness w;
    assert_null(witness_read(NULL, &w));
    assert_false(w.known);
    char text[WITNESS_TEXT_MAX];
    witness_write(&(struct witness){0}, text);
    assert_string_equal(text, "");
}

static void test_verdicts(void **state) {
    (void)state;
    const struct witness w = witness_of(10, 1000, "a", 1);
    const struct {
        struct witness seen;
        bool at_end;
        enum witness_verdict verdict;
        const char *why;
    } cases[] = {
        {witness_of(10, 1000, "a", 1), false, WITNESS_SAME, "the same record"},
        {witness_of(10, 1000, "b", 1), false, WITNESS_OTHER, "another value"},
        {witness_of(10, 1001, "a", 1), false, WITNESS_OTHER, "another time"},
        {witness_of(0, 1000, "a", 1), false, WITNESS_BEYOND, "out of range: a shorter partition"},
        {witness_of(0, -1, NULL, 0), true, WITNESS_BEYOND, "an empty partition"},
        {witness_of(10, -1, NULL, 0), true, WITNESS_BEYOND, "it ends where the witness was"},
        {witness_of(11, -1, NULL, 0), true, WITNESS_GONE, "all was deleted up to the end"},
        {witness_of(12, 1000, "a", 1), false, WITNESS_GONE, "deleted or compacted away"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (witness_judge(&w, &cases[i].seen, cases[i].at_end) != cases[i].verdict)
            fail_msg("%s", cases[i].why);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_goes_there_and_back),
        cmocka_unit_test(test_other_text_is_no_witness),
        cmocka_unit_test(test_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
