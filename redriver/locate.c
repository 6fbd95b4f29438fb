#include "redriver/locate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"

enum {
    AGAIN_MS = 500,
    BUSY_MS = 20 /* the reader is still being asked something else */
};

struct locate {
    struct loop *loop;
    struct reader *reader;
    bool from_committed;
    int32_t *partitions; /* owned, and the places beside them */
    struct place *places;
    size_t count;
    struct place_uncommitted *uncommitted; /* owned */
    size_t uncommitted_count;
    int64_t again_ms; /* not asked before */
    int64_t until_ms; /* how long the partitions that are missing are waited for; -1: all are */
    bool asking, done;
    char trouble[256];
};

/* --- what was not committed ------------------------------------------------------------------- */

void locate_forget(struct locate *l) {
    for (size_t i = 0; i < l->uncommitted_count; i++)
        free(l->uncommitted[i].metadata);
    free(l->uncommitted);
    l->uncommitted = NULL;
    l->uncommitted_count = 0;
}

void locate_keep(struct locate *l, size_t i, const struct offsets *offsets) {
    char metadata[OFFSETS_METADATA_MAX + 1];
    const struct place *place = &l->places[i];
    if (place->error[0] != '\0' || offsets_position(offsets) < 0)
        return;
    offsets_metadata(offsets, metadata, sizeof metadata);
    l->uncommitted = mem_resize(l->uncommitted, l->uncommitted_count + 1, sizeof *l->uncommitted);
    l->uncommitted[l->uncommitted_count++] = (struct place_uncommitted){
        place->partition, place->answered, offsets_position(offsets), mem_string(metadata)};
}

static const struct place_uncommitted *locate_find_uncommitted(const struct locate *l,
                                                               int32_t partition) {
    for (size_t i = 0; i < l->uncommitted_count; i++)
        if (l->uncommitted[i].partition == partition)
            return &l->uncommitted[i];
    return NULL;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* How many of the partitions could be asked about. */
static size_t locate_take(struct locate *l, struct kafka_position *positions) {
    size_t known = 0;
    for (size_t i = 0; i < l->count; i++) {
        struct place *place = &l->places[i];
        place_free(place);
        place_decide(place, &positions[i], l->from_committed,
                     locate_find_uncommitted(l, positions[i].partition));
        if (place->error[0] == '\0')
            known++;
        else
            snprintf(l->trouble, sizeof l->trouble, "partition %d: %s", (int)place->partition,
                     place->error);
    }
    return known;
}

static void locate_finish(struct locate *l) {
    l->done = true;
    l->trouble[0] = '\0';
    locate_forget(l);
}

static void locate_on_positions(void *arg, struct kafka_position *positions, size_t count) {
    struct locate *l = arg;
    if (!l->asking)
        return;
    l->asking = false;
    bool in_trouble = l->trouble[0] != '\0';
    int64_t now_ms = loop_now(l->loop);
    size_t known = locate_take(l, positions);
    if (known > 0 && l->until_ms < 0)
        l->until_ms = now_ms + LOCATE_MORE_MS;
    if (known == count || (known > 0 && now_ms >= l->until_ms)) {
        locate_finish(l);
        return;
    }
    if (!in_trouble)
        log_warn("the pass waits for the broker: %s", l->trouble);
    l->again_ms = now_ms + AGAIN_MS;
}

int64_t locate_work(struct locate *l) {
    int64_t now_ms = loop_now(l->loop);
    if (l->done || l->asking)
        return -1;
    if (now_ms < l->again_ms)
        return l->again_ms - now_ms;
    l->asking = reader_locate(l->reader, l->partitions, l->count, l->from_committed);
    return l->asking ? -1 : BUSY_MS;
}

/* --- a pass ----------------------------------------------------------------------------------- */

void locate_begin(struct locate *l, const int32_t *partitions, size_t count) {
    l->partitions = mem_zero((count + 1) * sizeof *l->partitions);
    memcpy(l->partitions, partitions, count * sizeof *l->partitions);
    l->places = mem_zero((count + 1) * sizeof *l->places);
    l->count = count;
    l->again_ms = 0;
    l->until_ms = -1;
    l->asking = false;
    l->done = count == 0;
    l->trouble[0] = '\0';
}

void locate_end(struct locate *l) {
    if (l->asking)
        reader_forget(l->reader);
    for (size_t i = 0; i < l->count; i++)
        place_free(&l->places[i]);
    free(l->places);
    free(l->partitions);
    l->places = NULL;
    l->partitions = NULL;
    l->count = 0;
    l->asking = l->done = false;
    l->trouble[0] = '\0';
}

bool locate_done(const struct locate *l) {
    return l->done;
}

const struct place *locate_places(const struct locate *l) {
    return l->places;
}

const char *locate_trouble(const struct locate *l) {
    return l->trouble;
}

struct locate *locate_open(struct loop *loop, struct reader *reader, bool from_committed) {
    struct locate *l = mem_zero(sizeof *l);
    l->loop = loop;
    l->reader = reader;
    l->from_committed = from_committed;
    reader_on_located(reader, locate_on_positions, l);
    return l;
}

void locate_close(struct locate *l) {
    if (l == NULL)
        return;
    reader_on_located(l->reader, NULL, NULL);
    locate_end(l);
    locate_forget(l);
    free(l);
}
