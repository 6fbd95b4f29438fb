/*
 * The queries of one lane that wait to be started, in the order in which they are to start (pure).
 *
 * Users take turns. Each user has a queue in the order of arrival, and the next start is the first
 * query of the user who has waited longest for a turn. So between two starts of a user who always
 * has something waiting every other user starts at most one query, however many it has here.
 * Queries without a userId share one queue, as if they were one user's.
 *
 * Cost: O(1), with two exceptions. window_put_back() passes the queries of the same user and the
 * users whose turn was given back before, at most as many as calls are under way. window_walk()
 * passes as many queries as it is asked for. Users are known by 64 bits of the SHA-256 of their id:
 * two that share them would share their turns, which is the worst that could come of it.
 * Memory: about 100 bytes for each user with something waiting; the items belong to the caller.
 */
#ifndef EXECUTOR_TURN_WINDOW_H
#define EXECUTOR_TURN_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/key_table.h"

struct window_user;

/* Embedded in the caller's object; in the window from add or put back until take or remove. */
struct window_item {
    TAILQ_ENTRY(window_item) link;
    struct window_user *user;
    uint64_t turn;         /* the number of the turn in which it was taken */
    uint64_t arrival : 63; /* ascending number, given by window_add() */
    uint64_t is_entry : 1; /* the caller's: which kind of object embeds it */
};

TAILQ_HEAD(window_users, window_user);

struct window {
    struct key_table users;    /* by the hash of their ids */
    struct window_users turns; /* users with something waiting; the next turn is the first one's */
    uint64_t arrivals, turns_given;
    size_t count;
};

void window_init(struct window *w);

/*
 * Puts an item behind all others of its user. A user that had nothing waiting gets a turn behind
 * all other users. `user_id`: "" for none.
 */
void window_add(struct window *w, struct window_item *item, const char *user_id);
/* The item that is to start next; NULL: nothing waits. */
struct window_item *window_first(const struct window *w);
/*
 * Takes an item out, to be started: window_first(), or where that one cannot be started now another
 * user's first. The next turn of its user is behind all other users.
 */
void window_take(struct window *w, struct window_item *item);
/*
 * An item that was taken did not start. It goes back to its place, before the items of its user
 * that arrived after it, and its user gets back the turn in which it was taken.
 */
void window_put_back(struct window *w, struct window_item *item, const char *user_id);
/* Takes any item out. No user's turn changes. */
void window_remove(struct window *w, struct window_item *item);
/* `item` takes the place of `old`, which leaves the window. */
void window_replace(struct window *w, struct window_item *old, struct window_item *item);
/* Whether the last item of the same user is_entry; false where that user has nothing waiting. */
bool window_ends_with_entry(const struct window *w, const char *user_id);

size_t window_count(const struct window *w);
size_t window_bytes(const struct window *w); /* of memory, without the items */
/*
 * Calls `visit` for the first `most` items in the order in which they would start if no other
 * arrived, until it returns false; `before` is how many would start earlier. `visit` must not
 * change the window.
 */
typedef bool window_visit_fn(void *arg, struct window_item *item, size_t before);
void window_walk(const struct window *w, size_t most, window_visit_fn *visit, void *arg);

#endif
