/*
 * How far one partition of a topic has been read, and whether it is still the partition that was
 * read before (pure; one thread).
 *
 * Offsets only grow as long as a topic lives. One that is lower than what was read means that the
 * topic was deleted and made anew, or that its brokers lost their last records (Kafka: unclean
 * leader election): then all that was read says nothing of where to go on.
 */
#ifndef COMMON_KAFKA_READ_POSITION_H
#define COMMON_KAFKA_READ_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/must_check.h"

/* Begins zeroed: nothing is read, and no end is asked for. */
struct read_position {
    int64_t next;      /* the offset behind what was read */
    int64_t end;       /* that is to be reached; 0: none */
    int64_t newest_ms; /* the latest time stamp that was read */
    /* `next` and `newest_ms` when the topic was last known to be the same. */
    int64_t marked_next, marked_ms;
    /* All of these when the question was asked that is under way. */
    int64_t asked_next, asked_ms, asked_marked_next;
    int64_t passed; /* 1 + an offset that is no sign of another topic; 0: none */
};

static inline bool read_position_is_behind(const struct read_position *p) {
    return p->next < p->end;
}
/*
 * All before the offset `next` has been read, the last of it from the offset `from` on; a record
 * has from + 1 == next, the end of the partition from == next. False: the partition begins anew,
 * and is read from its beginning by now. Its end is not known, and none is asked for any more.
 */
MUST_CHECK bool read_position_advance(struct read_position *p, int64_t from, int64_t next);
/*
 * The partition's end, as its broker reported it, is what is to be reached. False: it is below
 * what was read, so the partition is another one, and is to be read from its beginning.
 */
MUST_CHECK bool read_position_take_end(struct read_position *p, int64_t end);
/* A record with this time stamp was read. */
static inline void read_position_note_time(struct read_position *p, int64_t at_ms) {
    if (at_ms > p->newest_ms)
        p->newest_ms = at_ms;
}
/*
 * The topic is known to be the same, up to here. While a question is under way or is about to be
 * asked only the first mark may be set: another one might be of another topic already.
 */
static inline void read_position_mark(struct read_position *p) {
    p->marked_next = p->next;
    p->marked_ms = p->newest_ms;
}
/* The time for the question of read_position_is_another(), which is asked now. */
static inline int64_t read_position_ask(struct read_position *p) {
    p->asked_next = p->next;
    p->asked_ms = p->newest_ms;
    p->asked_marked_next = p->marked_next;
    return p->marked_ms + 1;
}
/*
 * Whether the topic was made anew, and perhaps has more records by now than were read of the old
 * one. `later` is what the broker named as the first offset with the time of read_position_ask() or
 * later, below 0 where there is none: in the topic that was read it is not below marked_next. Where
 * it still is after the partition was read from its beginning once more, it is no record (Kafka:
 * the marker of a transaction, or a record of one that was aborted), and is passed over. What had
 * been read when the question was asked is marked; no mark was set meanwhile.
 */
MUST_CHECK bool read_position_is_another(struct read_position *p, int64_t later);
/* It is to be read from its beginning. */
void read_position_restart(struct read_position *p);

#endif
