/*
 * The latest state of every query, in memory, bounded (no I/O).
 *
 * Entries are packed: one allocation each. All is O(1). Over the maximum room is made before a new
 * pair is taken in: the one that has been final for longest leaves, and where none is final, the
 * one whose state has not changed for longest. Age is the order in which they were applied.
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
 * Takes in one record of the status topic, as status_may_follow() allows. False: it was ignored.
 * `s` is copied.
 */
bool status_view_apply(struct status_view *v, const struct status *s);
/* A tombstone: the pair is forgotten. */
void status_view_forget(struct status_view *v, const char *user_id, const char *query_id);

/*
 * False where nothing is known. `out` borrows strings from the view, valid until the next apply or
 * forget: do not free or change them.
 */
bool status_view_find(const struct status_view *v, const char *user_id, const char *query_id,
                      struct status *out);
/*
 * The same, only where the pair's last record was ignored: what is known is not what the topic says
 * last. Once for each state: two views that disagree must not tell each other theirs for ever.
 */
bool status_view_find_covered(const struct status_view *v, const char *user_id,
                              const char *query_id, struct status *out);
size_t status_view_count(const struct status_view *v);

#endif
