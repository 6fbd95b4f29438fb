/*
 * A witness: one record of a partition, by which the partition is recognised (pure).
 *
 * An offset means nothing once its topic was deleted and created again, or its records were lost
 * with a leader. librdkafka before 2.3 does not report the topic's id, and a new topic's leader
 * epoch begins at 0 again. So whoever commits an offset also commits a witness, and whoever trusts
 * the offset first reads the witness's offset again: another record there means another partition.
 *
 * In the metadata of a commit it is text before that of common/kafka/offsets.h, for instance
 * `in1 1200 1764254000000 9f3c2a11;`.
 */
#ifndef COMMON_KAFKA_WITNESS_H
#define COMMON_KAFKA_WITNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WITNESS_TEXT_MAX = 64 /* bytes, with the NUL */
};

/* Zeroed: there is none. */
struct witness {
    bool known;
    int64_t offset;
    int64_t timestamp_ms; /* as the record carries it; -1: none */
    uint32_t hash;        /* of its value */
};

/* `value` may be NULL where `len` is 0. */
struct witness witness_of(int64_t offset, int64_t timestamp_ms, const void *value, size_t len);
bool witness_equal(const struct witness *a, const struct witness *b);

/* "" for no witness. */
void witness_write(const struct witness *w, char text[WITNESS_TEXT_MAX]);
/*
 * Reads it from the front of a commit's metadata and returns what follows. Where the text does not
 * begin with a witness `w` is none, and all of the text is returned. NULL is fine, and returned.
 */
const char *witness_read(const char *metadata, struct witness *w);

enum witness_verdict {
    WITNESS_SAME,   /* it is there: what it stands for is the partition of before */
    WITNESS_OTHER,  /* another record is there: another partition */
    WITNESS_BEYOND, /* the partition ends before it: another partition, or a leader that has not
                       learned yet how far its replicas have come */
    WITNESS_GONE,   /* it was deleted or compacted away: nothing is known */
};

/*
 * What was read when the witness's offset was asked for: `seen` is the first record from there on,
 * or, where that is out of range, the partition's first one. `at_end`: there is no record, and
 * `seen->offset` is the partition's end.
 */
enum witness_verdict witness_judge(const struct witness *w, const struct witness *seen,
                                   bool at_end);

#endif
