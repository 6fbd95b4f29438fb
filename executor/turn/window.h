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
 * passes all queries. Users are found by a hash without a seed: a collision costs a walk over the
 * users with something waiting, and the window's bound on records bounds their number, too.
 * Memory: one allocation for each user with something waiting; the items belong to the caller.
 */
#ifndef EXECUTOR_TURN_WINDOW_H
#define EXECUTOR_TURN_WINDOW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct window_user;

/* Embedded in the caller's object; in the window from add or put back until take or remove. */
struct window_item {
    TAILQ_ENTRY(window_item) link;
    struct window_user *user;
    uint64_t arrival; /* ascending number, given by window_add() */
    uint64_t turn;    /* the number of the turn in which it was taken */
};

TAILQ_HEAD(window_users, window_user);

struct window {
    struct window_user *by_name;
    struct window_users turns; /* users with something waiting; the next turn is the first one's */
    uint64_t arrivals, turns_given;
    size_t count;
};

void window_init(struct window *w);

/*
 * Puts an item behind all others of its user. A user that had nothing waiting gets a turn behind
 * all other users. `user_id` is copied; "": none.
 */
void window_add(struct window *w, struct window_item *item, const char *user_id);
/* The item that is to start next; NULL: nothing waits. */
struct window_item *window_first(const struct window *w);
/* Takes window_first() out, to be started. Its user's next turn is behind all other users. */
void window_take(struct window *w);
/*
 * An item that was taken did not start. It goes back to its place, before the items of its user
 * that arrived after it, and its user gets back the turn in which it was taken.
 */
void window_put_back(struct window *w, struct window_item *item, const char *user_id);
/* Takes any item out. No user's turn changes. */
void window_remove(struct window *w, struct window_item *item);

size_t window_count(const struct window *w);
/*
 * Calls `visit` for every item in the order in which they would start if no other arrived; `before`
 * is how many would start earlier. `visit` must not change the window.
 */
typedef void window_visit_fn(void *arg, struct window_item *item, size_t before);
void window_walk(struct window *w, window_visit_fn *visit, void *arg);

#endif
