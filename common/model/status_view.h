/*
 * The latest state of each pair, in memory and bounded (no I/O; one thread).
 *
 * An entry is one allocation, and an operation takes O(log n) at most. A full view keeps what has
 * STARTED before what waits (QUEUED, THROTTLED), that before what has ended (final or REJECTED),
 * and of each the newest by their own time (updatedAt), in whatever order they were applied. Of
 * those with the same time, the ones applied last.
 */
#ifndef COMMON_MODEL_STATUS_VIEW_H
#define COMMON_MODEL_STATUS_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "common/model/status.h"

struct status_view;

struct status_view *status_view_open(size_t entries_max); /* at least 1 */
void status_view_close(struct status_view *v);            /* takes NULL */

/*
 * Applies one record of the status topic where status_may_follow() allows it. False: it was
 * ignored. `s` is copied, unless it would be the first to leave a full view.
 */
bool status_view_apply(struct status_view *v, const struct status *s);
/*
 * Whether a pair that is not known, and has ended at this time, would be the first to leave:
 * nothing would be kept of it.
 */
bool status_view_has_no_room_for_ended(const struct status_view *v, int64_t updated_at_ms);
bool status_view_knows(const struct status_view *v, const char *user_id, const char *query_id);
/* Applies a tombstone: forgets the pair. */
void status_view_forget(struct status_view *v, const char *user_id, const char *query_id);

/*
 * False where the pair is not known. `out` borrows strings from the view until the next apply or
 * forget: do not free or change them.
 */
bool status_view_find(const struct status_view *v, const char *user_id, const char *query_id,
                      struct status *out);
/*
 * The same, but only where the pair's last record was ignored, so that the topic's last record is
 * not the state that the view holds, and the caller should publish the state again. True once for
 * each state, so that two views that disagree do not overwrite each other's records for ever.
 */
bool status_view_find_covered(const struct status_view *v, const char *user_id,
                              const char *query_id, struct status *out);
/* Whether the pair's last record was ignored, so that the topic's last record is another state. */
bool status_view_is_covered(const struct status_view *v, const char *user_id, const char *query_id);
size_t status_view_count(const struct status_view *v);
size_t status_view_entries_max(const struct status_view *v);

#endif
