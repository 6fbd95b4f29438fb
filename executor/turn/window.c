#include "executor/turn/window.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define uthash_malloc(size)  mem_alloc(size)
#define uthash_free(p, size) free(p)
#include <uthash.h>

TAILQ_HEAD(window_items, window_item);

struct window_user {
    UT_hash_handle hh;
    TAILQ_ENTRY(window_user) in_turns;
    struct window_items items; /* never empty, ascending `arrival` */
    uint64_t turn;             /* ascending in the window's `turns` */
    TAILQ_ENTRY(window_user) in_walk;
    struct window_item *visited_next; /* during window_walk() */
    char name[];
};

void window_init(struct window *w) {
    *w = (struct window){0};
    TAILQ_INIT(&w->turns);
}

/* --- users ------------------------------------------------------------------------------------ */

/* Searches from the front, since a turn that comes back is older than nearly all others. */
static void insert_by_turn(struct window *w, struct window_user *user) {
    struct window_user *later = TAILQ_FIRST(&w->turns);
    while (later != NULL && later->turn < user->turn)
        later = TAILQ_NEXT(later, in_turns);
    if (later != NULL)
        TAILQ_INSERT_BEFORE(later, user, in_turns);
    else
        TAILQ_INSERT_TAIL(&w->turns, user, in_turns);
}

static void give_last_turn(struct window *w, struct window_user *user) {
    user->turn = ++w->turns_given;
    TAILQ_INSERT_TAIL(&w->turns, user, in_turns);
}

static struct window_user *find_user(const struct window *w, const char *name) {
    struct window_user *user;
    HASH_FIND_STR(w->by_name, name, user);
    return user;
}

/* The caller inserts the user among the turns. */
static struct window_user *add_user(struct window *w, const char *name) {
    size_t size = strlen(name) + 1;
    struct window_user *user = mem_zero(sizeof *user + size);
    memcpy(user->name, name, size);
    TAILQ_INIT(&user->items);
    HASH_ADD_KEYPTR(hh, w->by_name, user->name, size - 1, user);
    return user;
}

static void drop_user(struct window *w, struct window_user *user) {
    TAILQ_REMOVE(&w->turns, user, in_turns);
    HASH_DELETE(hh, w->by_name, user);
    free(user);
}

/* --- items ------------------------------------------------------------------------------------ */

void window_add(struct window *w, struct window_item *item, const char *user_id) {
    struct window_user *user = find_user(w, user_id);
    if (user == NULL) {
        user = add_user(w, user_id);
        give_last_turn(w, user);
    }
    item->user = user;
    item->arrival = ++w->arrivals;
    TAILQ_INSERT_TAIL(&user->items, item, link);
    w->count++;
}

struct window_item *window_first(const struct window *w) {
    const struct window_user *user = TAILQ_FIRST(&w->turns);
    return user != NULL ? TAILQ_FIRST(&user->items) : NULL;
}

void window_remove(struct window *w, struct window_item *item) {
    struct window_user *user = item->user;
    TAILQ_REMOVE(&user->items, item, link);
    item->user = NULL;
    w->count--;
    if (TAILQ_EMPTY(&user->items))
        drop_user(w, user);
}

void window_take(struct window *w) {
    struct window_user *user = TAILQ_FIRST(&w->turns);
    struct window_item *item = TAILQ_FIRST(&user->items);
    item->turn = user->turn;
    TAILQ_REMOVE(&w->turns, user, in_turns);
    give_last_turn(w, user);
    window_remove(w, item);
}

static void insert_by_arrival(struct window_user *user, struct window_item *item) {
    struct window_item *later = TAILQ_FIRST(&user->items);
    while (later != NULL && later->arrival < item->arrival)
        later = TAILQ_NEXT(later, link);
    if (later != NULL)
        TAILQ_INSERT_BEFORE(later, item, link);
    else
        TAILQ_INSERT_TAIL(&user->items, item, link);
}

void window_put_back(struct window *w, struct window_item *item, const char *user_id) {
    struct window_user *user = find_user(w, user_id);
    if (user == NULL) {
        user = add_user(w, user_id);
        user->turn = item->turn;
        insert_by_turn(w, user);
    } else if (item->turn < user->turn) {
        TAILQ_REMOVE(&w->turns, user, in_turns);
        user->turn = item->turn;
        insert_by_turn(w, user);
    }
    item->user = user;
    insert_by_arrival(user, item);
    w->count++;
}

/* --- walks ------------------------------------------------------------------------------------ */

size_t window_count(const struct window *w) {
    return w->count;
}

void window_walk(struct window *w, window_visit_fn *visit, void *arg) {
    struct window_users round = TAILQ_HEAD_INITIALIZER(round);
    struct window_user *user;
    TAILQ_FOREACH(user, &w->turns, in_turns) {
        user->visited_next = TAILQ_FIRST(&user->items);
        TAILQ_INSERT_TAIL(&round, user, in_walk);
    }
    for (size_t before = 0; (user = TAILQ_FIRST(&round)) != NULL; before++) {
        visit(arg, user->visited_next, before);
        TAILQ_REMOVE(&round, user, in_walk);
        user->visited_next = TAILQ_NEXT(user->visited_next, link);
        if (user->visited_next != NULL)
            TAILQ_INSERT_TAIL(&round, user, in_walk);
    }
}
