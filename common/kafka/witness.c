#include "common/kafka/witness.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* FNV-1a: it need not withstand anybody, the timestamp stands beside it. */
static uint32_t witness_hash(const unsigned char *bytes, size_t len) {
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT32_C(16777619);
    return hash;
}

struct witness witness_of(int64_t offset, int64_t timestamp_ms, const void *value, size_t len) {
    return (struct witness){true, offset, timestamp_ms, witness_hash(value, len)};
}

bool witness_equal(const struct witness *a, const struct witness *b) {
    return a->known == b->known && a->offset == b->offset && a->timestamp_ms == b->timestamp_ms &&
           a->hash == b->hash;
}

void witness_write(const struct witness *w, char text[WITNESS_TEXT_MAX]) {
    text[0] = '\0';
    if (w->known)
        snprintf(text, WITNESS_TEXT_MAX, "in1 %" PRId64 " %" PRId64 " %08" PRIx32 ";", w->offset,
                 w->timestamp_ms, w->hash);
}

const char *witness_read(const char *metadata, struct witness *w) {
    struct witness read = {.known = true};
    char text[WITNESS_TEXT_MAX];
    *w = (struct witness){0};
    if (metadata == NULL || sscanf(metadata, "in1 %" SCNd64 " %" SCNd64 " %8" SCNx32 ";",
                                   &read.offset, &read.timestamp_ms, &read.hash) != 3)
        return metadata;
    witness_write(&read, text);
    size_t n = strlen(text);
    if (read.offset < 0 || strncmp(metadata, text, n) != 0) /* not as it is written */
        return metadata;
    *w = read;
    return metadata + n;
}

enum witness_verdict witness_judge(const struct witness *w, const struct witness *seen,
                                   bool at_end) {
    if (seen->offset < w->offset || (at_end && seen->offset == w->offset))
        return WITNESS_BEYOND;
    if (seen->offset > w->offset)
        return WITNESS_GONE;
    return witness_equal(w, seen) ? WITNESS_SAME : WITNESS_OTHER;
}
