/* How far a partition has been read, and whether it is still the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/kafka/read_position.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* One step each: r a record, e the end of the partition, b a barrier's end, x a restart. */
static const struct {
    const char *name;
    struct {
        char what;
        int64_t offset;
        bool goes_on, behind; /* behind: afterwards */
    } steps[6];
} walks[] = {
    {"an empty partition", {{'b', 0, true, false}}},
    {"records up to the end",
     {{'b', 3, true, true}, {'r', 0, true, true}, {'r', 1, true, true}, {'r', 2, true, false}}},
    {"offsets with gaps", {{'b', 30, true, true}, {'r', 7, true, true}, {'r', 29, true, false}}},
    {"a gap at the end, of deleted or aborted records",
     {{'b', 30, true, true}, {'r', 7, true, true}, {'e', 30, true, false}}},
    {"all records are deleted", {{'b', 30, true, true}, {'e', 30, true, false}}},
    {"a second barrier",
     {{'b', 1, true, true}, {'r', 0, true, false}, {'b', 2, true, true}, {'r', 1, true, false}}},
    {"a barrier at what was read", {{'r', 0, true, false}, {'b', 1, true, false}}},
    {"made anew, seen by an offset",
     {{'r', 8, true, false}, {'r', 0, false, false}, {'r', 1, true, false}}},
    {"made anew and empty", {{'r', 8, true, false}, {'e', 0, false, false}}},
    {"made anew within a barrier",
     {{'r', 8, true, false},
      {'b', 12, true, true},
      {'r', 0, false, false},
      {'b', 2, true, true},
      {'r', 1, true, false}}},
    {"made anew, seen by its end",
     {{'r', 8, true, false}, {'b', 2, false, true}, {'r', 0, true, true}, {'r', 1, true, false}}},
    {"made anew, empty, seen by its end",
     {{'r', 8, true, false}, {'b', 0, false, false}, {'r', 0, true, false}}},
    {"restarted",
     {{'r', 8, true, false}, {'b', 12, true, true}, {'x', 0, true, false}, {'r', 0, true, false}}},
};

static bool step(struct read_position *p, char what, int64_t offset) {
    switch (what) {
    case 'r':
        return read_position_advance(p, offset, offset + 1);
    case 'e':
        return read_position_advance(p, offset, offset);
    case 'b':
        return read_position_take_end(p, offset);
    default:
        read_position_restart(p);
        return true;
    }
}

static void test_walks(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(walks); i++) {
        struct read_position p = {0};
        for (size_t j = 0; j < COUNT(walks[i].steps) && walks[i].steps[j].what != '\0'; j++) {
            bool goes_on = step(&p, walks[i].steps[j].what, walks[i].steps[j].offset);
            if (goes_on != walks[i].steps[j].goes_on ||
                read_position_is_behind(&p) != walks[i].steps[j].behind)
                fail_msg("%s: step %zu: goes on %d, next %lld, end %lld", walks[i].name, j, goes_on,
                         (long long)p.next, (long long)p.end);
        }
    }
}

/* Asked and answered at once. */
static bool is_another(struct read_position *p, int64_t later) {
    assert_int_equal(read_position_ask(p), p->marked_ms + 1);
    return read_position_is_another(p, later);
}

/* What was read between question and answer may be of another topic by then. */
static void test_read_while_it_is_asked(void **state) {
    (void)state;
    struct read_position p = {0};
    assert_true(read_position_advance(&p, 9, 10));
    read_position_note_time(&p, 700);
    assert_int_equal(read_position_ask(&p), 1);
    assert_true(read_position_advance(&p, 19, 20));
    read_position_note_time(&p, 900);
    assert_false(read_position_is_another(&p, 0));
    assert_int_equal(p.marked_next, 10);
    assert_int_equal(p.marked_ms, 700);
    assert_int_equal(read_position_ask(&p), 701);
    read_position_restart(&p);
    assert_false(read_position_is_another(&p, 5));
    assert_int_equal(p.marked_next, 0);
}

/* The first mark is worth more than what had been read when it was not there. */
static void test_marked_while_it_is_asked(void **state) {
    (void)state;
    struct read_position p = {0};
    assert_int_equal(read_position_ask(&p), 1);
    assert_true(read_position_advance(&p, 9, 10));
    read_position_note_time(&p, 700);
    read_position_mark(&p);
    assert_true(read_position_advance(&p, 19, 20)); /* by now of another topic */
    read_position_note_time(&p, 900);
    assert_false(read_position_is_another(&p, 0));
    assert_int_equal(p.marked_next, 10);
    assert_int_equal(read_position_ask(&p), 701);
    assert_true(read_position_is_another(&p, 0));
}

static void test_another_topic(void **state) {
    (void)state;
    struct read_position p = {0};
    assert_false(is_another(&p, 3)); /* nothing was read yet */
    assert_true(read_position_advance(&p, 9, 10));
    read_position_note_time(&p, 700);
    read_position_note_time(&p, 600);
    assert_false(is_another(&p, 3));
    assert_int_equal(p.marked_ms, 700);
    assert_true(read_position_advance(&p, 19, 20));
    read_position_note_time(&p, 900);
    assert_false(is_another(&p, -1)); /* nothing is later */
    assert_int_equal(p.marked_ms, 900);
    assert_false(is_another(&p, 20));
    assert_true(read_position_advance(&p, 29, 30)); /* by now of the new topic */
    assert_true(is_another(&p, 0));
    read_position_restart(&p);
    /* The same again after it was read from the beginning: it is no record. */
    assert_true(read_position_advance(&p, 29, 30));
    assert_false(is_another(&p, 0));
    assert_false(is_another(&p, 0));
    assert_true(is_another(&p, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_another_topic),
        cmocka_unit_test(test_read_while_it_is_asked),
        cmocka_unit_test(test_marked_while_it_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
