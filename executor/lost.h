/*
 * Counts the records of a partition that retention took before they were received (pure).
 *
 * A gap between two offsets that were received is no loss by itself: compaction and transactions
 * leave gaps, too. What is below the partition's first offset and was not received is lost. The
 * first offset is known a second late, so a gap is remembered until then.
 */
#ifndef EXECUTOR_LOST_H
#define EXECUTOR_LOST_H

#include <stdbool.h>
#include <stdint.h>

/* Of one partition; zeroed: nothing was received or missed yet. */
struct lost {
    bool gap;
    int64_t gap_from;      /* the first offset that was expected and did not come */
    int64_t gap_at_ms;     /* when, loop_now() clock */
    int64_t counted_below; /* all below it is received or counted */
};

/*
 * A record is received at `offset`; `expected`: the offset behind the last one, or the committed
 * one, negative where there is neither.
 */
void lost_received(struct lost *l, int64_t expected, int64_t offset, int64_t now_ms);
/*
 * How many records are lost that were not counted yet. `low` is the partition's first offset,
 * negative: not known; `expected` as above, now.
 */
int64_t lost_count(struct lost *l, int64_t expected, int64_t low, int64_t now_ms);

#endif
