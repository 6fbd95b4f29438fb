/*
 * Which offsets of one partition are finished (pure).
 *
 * Completions come out of order; what may be committed is the lowest offset that is not finished.
 * Those finished beyond it ride in the commit's metadata, so that the next owner does not do them
 * again. Offsets may be sparse (compaction, transactions): a gap between two received offsets
 * counts as finished. Thousands may be held by one slow offset at the front: all is O(log n)
 * amortised.
 */
#ifndef COMMON_OFFSETS_H
#define COMMON_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The broker refuses a commit whose metadata is larger (offset.metadata.max.bytes, 4096). */
enum {
    OFFSETS_METADATA_MAX = 4096
};

struct offsets {
    struct offsets_entry *entries; /* owned, ascending; [head] is the lowest not finished */
    size_t head, count, room;
    size_t unfinished;
    int64_t next;             /* behind the highest received, -1: none yet */
    int64_t committed;        /* as the group has it, -1: nothing */
    int64_t *skip_unfinished; /* owned: from the metadata, ascending, … */
    size_t skip_count;
    int64_t skip_below; /* … all others below this one are finished already */
};

enum offsets_news {
    OFFSETS_NEW,      /* to be done; now tracked */
    OFFSETS_FINISHED, /* done by an earlier owner: leave it */
    OFFSETS_REPEATED, /* tracked already, or below what was received: leave it */
};

/* `metadata` may be NULL or anything at all: what is not ours is as none. committed -1: none. */
void offsets_init(struct offsets *o, int64_t committed, const char *metadata);
void offsets_free(struct offsets *o);

/*
 * An offset was received. One below `committed` means that the topic or the group was reset: what
 * the metadata said is forgotten.
 */
enum offsets_news offsets_receive(struct offsets *o, int64_t offset);
/* False where it is not tracked or finished already. */
bool offsets_finish(struct offsets *o, int64_t offset);

/* What to commit now; -1: nothing was received or committed yet. Never goes back. */
int64_t offsets_position(const struct offsets *o);
size_t offsets_unfinished(const struct offsets *o);
/*
 * Text for the commit at offsets_position(), NUL-terminated, "" when nothing is finished beyond
 * it. Where `size` is too small it tells of fewer finished offsets rather than none.
 */
void offsets_metadata(const struct offsets *o, char *out, size_t size);

#endif
