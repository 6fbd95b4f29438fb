#include "common/kafka/read_position.h"

bool read_position_advance(struct read_position *p, int64_t from, int64_t next) {
    bool goes_on = from >= p->next;
    if (!goes_on)
        p->end = 0;
    p->next = next;
    return goes_on;
}

bool read_position_take_end(struct read_position *p, int64_t end) {
    bool goes_on = end >= p->next;
    if (!goes_on)
        p->next = 0;
    p->end = end;
    return goes_on;
}

void read_position_restart(struct read_position *p) {
    *p = (struct read_position){0};
}
