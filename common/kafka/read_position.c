#include "common/kafka/read_position.h"

bool read_position_advance(struct read_position *p, int64_t from, int64_t next) {
    bool goes_on = from >= p->next;
    if (!goes_on)
        read_position_restart(p);
    p->next = next;
    return goes_on;
}

bool read_position_take_end(struct read_position *p, int64_t end) {
    bool goes_on = end >= p->next;
    if (!goes_on)
        read_position_restart(p);
    p->end = end;
    return goes_on;
}

bool read_position_is_another(struct read_position *p, int64_t later) {
    bool is_another = later >= 0 && later < p->asked_marked_next && later + 1 != p->passed;
    if (is_another)
        p->passed = later + 1;
    if (p->asked_marked_next > 0 || p->marked_next == 0) {
        p->marked_next = p->asked_next;
        p->marked_ms = p->asked_ms;
    }
    return is_another;
}

void read_position_restart(struct read_position *p) {
    *p = (struct read_position){.passed = p->passed};
}
