/*
 * Where a pass begins and ends in one partition (pure).
 *
 * It begins at the offset that the group has committed. Where the records from there on cannot be
 * those that the commit was about, it begins at the first record that is there: moving a letter
 * twice is safe, because the request token absorbs the second copy, and passing one over is not.
 */
#ifndef REDRIVER_PLACE_H
#define REDRIVER_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/kafka/positions.h"

enum place_news {
    PLACE_USUAL,
    PLACE_RETENTION, /* records that were not moved are gone: the commit is below the beginning */
    /* The commit is beyond the end: the topic was made anew or restored from an older copy. */
    PLACE_BEYOND_END,
};

struct place {
    int32_t partition;
    int64_t from, end; /* what is read: from <= offset < end; nothing where from >= end */
    int64_t answered;  /* the committed offset as the broker has answered, -1: none */
    int64_t committed; /* what the pass goes on from, -1: nothing was committed */
    char *metadata;    /* owned; of a commit at `committed`; NULL: none */
    enum place_news news;
    int64_t lost; /* PLACE_RETENTION: offsets that are gone */
    /* The broker's commit is to be replaced, even where no record is there to be moved. */
    bool commits_first;
    char error[KAFKA_POSITION_ERROR_MAX]; /* not "": only `partition` is known */
};

/*
 * What a pass has finished and the broker did not take as a commit. Of use while the broker's
 * commit is still the one that the pass began with.
 */
struct place_uncommitted {
    int32_t partition;
    int64_t answered; /* the broker's commit as that pass has found it */
    int64_t position; /* what should have been committed, with `metadata` */
    char *metadata;   /* owned, NULL: none */
};

/*
 * Takes `position->metadata`. `uncommitted` may be NULL. `from_committed` false: from the beginning
 * of the topic, whatever was committed.
 */
void place_decide(struct place *place, struct kafka_position *position, bool from_committed,
                  const struct place_uncommitted *uncommitted);
void place_free(struct place *place); /* what it owns */

#endif
