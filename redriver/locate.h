/*
 * Finds out where a pass begins and ends: asks the reader about the partitions of the pass until
 * the broker has answered, and decides each place (redriver/place.h).
 *
 * It waits for a broker that does not answer at all, for as long as the pass wants. Partitions that
 * cannot be asked about, while others can, are waited for LOCATE_MORE_MS and then left out.
 *
 * All from the loop's thread.
 */
#ifndef REDRIVER_LOCATE_H
#define REDRIVER_LOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/kafka/offsets.h"
#include "redriver/place.h"
#include "redriver/reader.h"

enum {
    LOCATE_MORE_MS = 5000
};

struct locate;

/* `reader` is borrowed. `from_committed`: see place_decide(). */
struct locate *locate_open(struct loop *loop, struct reader *reader, bool from_committed);
void locate_close(struct locate *l); /* NULL is fine */

/* For one pass. `partitions` is copied. */
void locate_begin(struct locate *l, const int32_t *partitions, size_t count);
/* Asks where that is due. Returns for how many ms there is nothing to do; -1: till the answer. */
int64_t locate_work(struct locate *l);
/* There is an answer about every partition that is not left out: those have an `error`. */
bool locate_done(const struct locate *l);
/* One for each partition, in their order; valid until locate_end(). */
const struct place *locate_places(const struct locate *l);
const char *locate_trouble(const struct locate *l); /* why it is not done; "": not known */
/* The pass is over. */
void locate_end(struct locate *l);

/*
 * Before locate_end(): the pass has finished `offsets` of the partition with this number in the
 * order, and could not commit them. The next pass goes on behind them, where the broker's commit is
 * still the same; until locate_forget(), for the partitions may be another member's by then.
 */
void locate_keep(struct locate *l, size_t i, const struct offsets *offsets);
void locate_forget(struct locate *l);

#endif
