/*
 * Which offsets of one partition are finished (pure).
 *
 * Completions come out of order; what may be committed is the lowest offset that is not finished.
 * Offsets finished beyond it are named in the commit's metadata, so that the next owner does not
 * process their records again. Offsets may be sparse (compaction, transactions): a gap between two
 * received offsets counts as finished. One slow offset may hold back thousands: every operation is
 * O(log n) amortised, and memory grows with the unfinished offsets, not with the received ones.
 *
 * The metadata is text: `aq1 1200 1:5 3:12` belongs to a commit at 1200 and means: from there on 1
 * offset is not finished, 5 are, 3 are not, 12 are; what follows is not known. A text that is cut
 * after any pair names fewer finished offsets, and never one that is not finished.
 */
#ifndef COMMON_KAFKA_OFFSETS_H
#define COMMON_KAFKA_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The broker refuses a commit whose metadata is larger (offset.metadata.max.bytes, 4096). */
enum {
    OFFSETS_METADATA_MAX = 4096
};

struct offsets_entry {
    int64_t offset;
    bool done;
};

struct offsets_run { /* from <= offset < below */
    int64_t from, below;
};

struct offsets {
    struct offsets_entry *entries; /* owned, ascending; [head] is the lowest not finished */
    size_t head, count, room;
    size_t unfinished;
    int64_t next;              /* behind the highest received, -1: none yet */
    int64_t committed;         /* as the group had it, -1: nothing */
    struct offsets_run *skips; /* owned, ascending: finished by an earlier owner */
    size_t skip_count;
};

enum offsets_news {
    OFFSETS_NEW,       /* to be processed; now tracked */
    OFFSETS_RESTARTED, /* the same, and nothing received before is tracked any more */
    OFFSETS_FINISHED,  /* finished by an earlier owner: skip it */
    OFFSETS_REPEATED,  /* received already and not below the position: skip it */
};

/*
 * `committed`: negative where the group has none. `metadata` may be NULL or any text: one that is
 * not ours, or belongs to a commit at another offset, is ignored.
 */
void offsets_init(struct offsets *o, int64_t committed, const char *metadata);
void offsets_free(struct offsets *o); /* takes zeroed state */

/*
 * An offset was received. One below the position means that the topic was deleted and created
 * again or truncated, or that the group's offsets were reset: the record at this offset may be
 * another one than the one that was finished. So all tracking and the metadata are dropped, and
 * this offset counts as the first one received: repeating a query is safe, skipping one is not.
 */
enum offsets_news offsets_receive(struct offsets *o, int64_t offset);
/* False where it is not tracked or finished already. */
bool offsets_finish(struct offsets *o, int64_t offset);

/*
 * What to commit now; -1: nothing was received or committed yet. It never passes an unfinished
 * offset, and goes back only where offsets_receive() returns OFFSETS_RESTARTED.
 */
int64_t offsets_position(const struct offsets *o);
size_t offsets_unfinished(const struct offsets *o);
/*
 * Text for the commit at offsets_position(), NUL-terminated, "" when nothing is finished beyond
 * it. Where `size` is too small it names fewer finished offsets, the lowest first.
 */
void offsets_metadata(const struct offsets *o, char *out, size_t size);

#endif
