/* Slots: what each call does to the quota in each state of a slot, and that none is given twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <string.h>

#include "executor/limit/slot.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum call {
    STARTED,
    THROTTLED,
    HOLD,
    RELEASE,
    CALLS
};

static const char *const call_names[] = {"started", "throttled", "hold", "release"};

static void make_call(struct slots *s, enum call call, struct slot *slot) {
    switch (call) {
    case STARTED:
        slot_started(s, LANE_DML, slot, 0);
        break;
    case THROTTLED:
        slot_throttled(s, LANE_DML, slot, 0);
        break;
    case HOLD:
        slot_hold(s, LANE_DML, slot);
        break;
    default:
        slot_release(s, LANE_DML, slot);
    }
}

/* A slot in this state, and nothing else is taken. */
static void bring_to(struct slots *s, enum slot_state state, struct slot *slot) {
    slots_init(s, 0, true);
    *slot = (struct slot){SLOT_NONE, {0}};
    if (state == SLOT_PERMIT)
        assert_true(slot_take(s, LANE_DML, slot, 0, 1));
    else if (state == SLOT_HELD)
        slot_hold(s, LANE_DML, slot);
    assert_int_equal(slot->state, state);
    assert_int_equal(slots_taken(s), state != SLOT_NONE);
}

static void test_each_call_in_each_state(void **state) {
    (void)state;
    static const struct {
        enum slot_state from;
        enum call call;
        enum slot_state to;
    } rows[] = {
        {SLOT_NONE, STARTED, SLOT_HELD},   {SLOT_NONE, THROTTLED, SLOT_NONE},
        {SLOT_NONE, HOLD, SLOT_HELD},      {SLOT_NONE, RELEASE, SLOT_NONE},
        {SLOT_PERMIT, STARTED, SLOT_HELD}, {SLOT_PERMIT, THROTTLED, SLOT_NONE},
        {SLOT_PERMIT, HOLD, SLOT_HELD},    {SLOT_PERMIT, RELEASE, SLOT_NONE},
        {SLOT_HELD, STARTED, SLOT_HELD},   {SLOT_HELD, THROTTLED, SLOT_NONE},
        {SLOT_HELD, HOLD, SLOT_HELD},      {SLOT_HELD, RELEASE, SLOT_NONE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct slots s;
        struct slot slot;
        bring_to(&s, rows[i].from, &slot);
        make_call(&s, rows[i].call, &slot);
        const struct admission *a = &s.admission[LANE_DML];
        if (slot.state != rows[i].to || a->calls != 0 || a->running != (rows[i].to == SLOT_HELD))
            fail_msg("%s in state %d: state %d, %d calls, %d running", call_names[rows[i].call],
                     rows[i].from, slot.state, a->calls, a->running);
    }
}

/* Whatever follows whatever: what is taken is what the slot says, never less than nothing. */
static void test_any_order(void **state) {
    (void)state;
    for (int order = 0; order < 3 * CALLS * CALLS * CALLS; order++) {
        struct slots s;
        struct slot slot;
        bring_to(&s, (enum slot_state)(order % 3), &slot);
        for (int n = 0, rest = order / 3; n < 3; n++, rest /= CALLS) {
            make_call(&s, (enum call)(rest % CALLS), &slot);
            assert_int_equal(s.admission[LANE_DML].calls, 0);
            assert_int_equal(s.admission[LANE_DML].running, slot.state == SLOT_HELD);
        }
        slot_release(&s, LANE_DML, &slot);
        slot_release(&s, LANE_DML, &slot);
        assert_int_equal(slots_taken(&s), 0);
    }
}

/* Only a throttle of a call under its permit says something about the quota. */
static void test_what_a_throttle_counts(void **state) {
    (void)state;
    for (int from = SLOT_NONE; from <= SLOT_HELD; from++) {
        struct slots s;
        struct slot slot;
        bring_to(&s, (enum slot_state)from, &slot);
        slot_throttled(&s, LANE_DML, &slot, 0);
        assert_int_equal(s.admission[LANE_DML].throttles, from == SLOT_PERMIT);
        assert_int_equal(s.admission[LANE_DDL].throttles, 0);
    }
}

/* MAX_RUNNING is over both lanes. */
static void test_room(void **state) {
    (void)state;
    struct slots s;
    struct slot slots[4];
    memset(slots, 0, sizeof slots);
    slots_init(&s, 0, true);
    assert_int_equal(slots_room(&s), INT_MAX);
    slots_init(&s, 2, true);
    for (int lane = 0; lane < LANES; lane++)
        admission_govern(&s.admission[lane], 10, 1);
    assert_int_equal(slots_room(&s), 2);
    assert_true(slot_take(&s, LANE_DML, &slots[0], 0, 9));
    assert_true(slot_take(&s, LANE_DDL, &slots[1], 0, 9));
    assert_int_equal(slots_room(&s), 0);
    assert_false(slot_take(&s, LANE_DML, &slots[2], 0, 9));
    assert_int_equal(slots[2].state, SLOT_NONE);
    slot_hold(&s, LANE_DML, &slots[3]); /* one that was taken over runs, room or not */
    assert_int_equal(slots_taken(&s), 3);
    assert_int_equal(slots_room(&s), 0);
    slot_release(&s, LANE_DDL, &slots[1]);
    slot_release(&s, LANE_DML, &slots[3]);
    assert_true(slot_take(&s, LANE_DML, &slots[2], 0, 9));
}

static void test_the_admission_may_refuse(void **state) {
    (void)state;
    struct slots s;
    struct slot slot = {SLOT_NONE, {0}};
    slots_init(&s, 0, true);
    admission_govern(&s.admission[LANE_DML], 0, 1);
    assert_false(slot_take(&s, LANE_DML, &slot, 0, 9));
    assert_int_equal(slot.state, SLOT_NONE);
    assert_true(slot_take(&s, LANE_DDL, &slot, 0, 9)); /* the lanes know nothing of each other */
}

/* TRACK_QUERIES=off: nobody would give a slot back, so none is taken. */
static void test_untracked(void **state) {
    (void)state;
    for (int call = 0; call < CALLS; call++) {
        struct slots s;
        struct slot slot = {SLOT_NONE, {0}};
        slots_init(&s, 1, false);
        for (int i = 0; i < 3; i++)
            assert_true(slot_take(&s, LANE_DML, &slot, 0, 9));
        make_call(&s, (enum call)call, &slot);
        assert_int_equal(slots_taken(&s), 0);
        assert_int_equal(slot.state, SLOT_NONE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_in_each_state),  cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_what_a_throttle_counts),   cmocka_unit_test(test_room),
        cmocka_unit_test(test_the_admission_may_refuse), cmocka_unit_test(test_untracked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
