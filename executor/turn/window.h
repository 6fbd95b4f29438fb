/*
 * The queries of one lane that wait to be started, and whose turn it is (pure).
 *
 * Users take turns: each has a queue in the order of arrival, and the next start is that of the
 * user who has waited longest for a turn. So between two starts of a user with something waiting
 * every other user has at most one, however many queries it has here. Queries without a userId are
 * together those of one user, nobody: whoever wants a turn of their own says who they are.
 *
 * All is O(1), with these exceptions: window_put_back() passes those of the same user and the
 * users that were put back before (at most as many as are out at once), and window_walk() passes
 * all. Users are found by a hash without a seed: names that collide cost a walk over the users
 * that wait, whose number the window's bound bounds, too. Memory: one allocation for each user
 * with something waiting; the items are the caller's.
 */
#ifndef EXECUTOR_TURN_WINDOW_H
#define EXECUTOR_TURN_WINDOW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct window_user;

/* Embedded by its owner; belongs to the window from add or put back until take or remove. */
struct window_item {
    TAILQ_ENTRY(window_item) link;
    struct window_user *user;
    uint64_t nth;  /* in the order of arrival */
    uint64_t turn; /* under which it was taken */
};

TAILQ_HEAD(window_users, window_user);

struct window {
    struct window_user *by_name;
    struct window_users turns; /* users with something waiting, whose turn is next first */
    uint64_t arrivals, turns_given;
    size_t count;
};

void window_init(struct window *w);

/* Behind all others of its user; a user that had nothing here is behind all other users. */
void window_add(struct window *w, struct window_item *item, const char *user_id);
/* Whose turn it is; NULL: nothing waits. */
struct window_item *window_first(const struct window *w);
/* Takes window_first() out, to be started: it was its user's turn. */
void window_take(struct window *w);
/*
 * One that was taken did not start: it goes back to where it was, before those of its user that
 * came after it, and its user gets the turn back.
 */
void window_put_back(struct window *w, struct window_item *item, const char *user_id);
/* Takes any item out; nobody's turn changes. */
void window_remove(struct window *w, struct window_item *item);

size_t window_count(const struct window *w);
/*
 * In the order in which they would start if no other came: `before` others are. `visit` must not
 * change the window.
 */
typedef void window_visit_fn(void *arg, struct window_item *item, size_t before);
void window_walk(struct window *w, window_visit_fn *visit, void *arg);

#endif
