#include "redriver/place.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

static void place_begin_at(struct place *place, int64_t low) {
    free(place->metadata);
    place->metadata = NULL;
    place->from = place->committed = low;
    place->commits_first = true;
}

/*
 * Else another member, or an operator, has committed since, or the topic was made anew, which takes
 * its commits along: what this process knows is of no use then. So it is where there was no commit.
 */
static bool place_is_current(const struct place *place, const struct kafka_position *position,
                             const struct place_uncommitted *uncommitted) {
    return uncommitted != NULL && place->answered >= 0 &&
           uncommitted->answered == place->answered && uncommitted->position >= position->low &&
           uncommitted->position <= position->end;
}

void place_decide(struct place *place, struct kafka_position *position, bool from_committed,
                  const struct place_uncommitted *uncommitted) {
    *place = (struct place){.partition = position->partition,
                            .from = position->low,
                            .end = position->end,
                            .answered = -1,
                            .committed = -1};
    memcpy(place->error, position->error, sizeof place->error);
    if (!from_committed || place->error[0] != '\0')
        return;
    place->answered = place->committed = position->committed;
    if (place_is_current(place, position, uncommitted)) {
        place->from = place->committed = uncommitted->position;
        place->metadata = mem_string(uncommitted->metadata);
        place->commits_first = true;
        return;
    }
    if (place->committed < 0)
        return;
    place->metadata = position->metadata;
    position->metadata = NULL;
    if (place->committed > position->end) {
        place->news = PLACE_BEYOND_END;
        place_begin_at(place, position->low);
    } else if (place->committed < position->low) {
        place->news = PLACE_RETENTION;
        place->lost = position->low - place->committed;
        place_begin_at(place, position->low);
    } else {
        place->from = place->committed;
    }
}

void place_free(struct place *place) {
    free(place->metadata);
    place->metadata = NULL;
}
