#include "executor/limit/slot.h"

#include <limits.h>

void slots_init(struct slots *s, int most, bool tracks) {
    *s = (struct slots){.most = most, .tracks = tracks};
    for (int lane = 0; lane < LANES; lane++)
        admission_init(&s->admission[lane]);
}

int slots_taken(const struct slots *s) {
    int taken = 0;
    for (int lane = 0; lane < LANES; lane++)
        taken += admission_held(&s->admission[lane]);
    return taken;
}

int slots_room(const struct slots *s) {
    if (s->most == 0)
        return INT_MAX;
    int taken = slots_taken(s);
    return taken < s->most ? s->most - taken : 0;
}

bool slot_take(struct slots *s, enum lane lane, struct slot *slot, int64_t now_ms,
               int64_t backlog) {
    if (!s->tracks)
        return true;
    if (slots_room(s) == 0)
        return false;
    if (!admission_acquire(&s->admission[lane], now_ms, backlog, &slot->permit))
        return false;
    slot->state = SLOT_PERMIT;
    return true;
}

void slot_started(struct slots *s, enum lane lane, struct slot *slot, int64_t now_ms) {
    if (slot->state == SLOT_PERMIT) {
        admission_started(&s->admission[lane], now_ms, &slot->permit);
        slot->state = SLOT_HELD;
    } else if (slot->state == SLOT_HELD) {
        admission_confirmed(&s->admission[lane]);
    } else {
        slot_hold(s, lane, slot);
    }
}

void slot_throttled(struct slots *s, enum lane lane, struct slot *slot, int64_t now_ms) {
    if (slot->state == SLOT_PERMIT) {
        admission_throttled(&s->admission[lane], now_ms, &slot->permit);
        slot->state = SLOT_NONE;
    }
    slot_release(s, lane, slot);
}

void slot_hold(struct slots *s, enum lane lane, struct slot *slot) {
    if (!s->tracks)
        return;
    if (slot->state == SLOT_PERMIT)
        admission_uncertain(&s->admission[lane], &slot->permit);
    else if (slot->state == SLOT_NONE)
        admission_found(&s->admission[lane]);
    slot->state = SLOT_HELD;
}

void slot_release(struct slots *s, enum lane lane, struct slot *slot) {
    if (slot->state == SLOT_PERMIT)
        admission_cancelled(&s->admission[lane], &slot->permit);
    else if (slot->state == SLOT_HELD)
        admission_ended(&s->admission[lane], 1);
    slot->state = SLOT_NONE;
}
