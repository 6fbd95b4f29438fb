#include "executor/turn/window.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define ARRIVAL_MAX (UINT64_MAX >> 1)

TAILQ_HEAD(window_items, window_item);

struct window_user {
    struct key_node by_key; /* first: it is what the table finds */
    TAILQ_ENTRY(window_user) in_turns;
    struct window_items items; /* never empty, ascending `arrival` */
    uint64_t turn;             /* ascending in the window's `turns` */
};

enum {
    MALLOC_BYTES = 16 /* of an allocation, beside what was asked for */
};

void window_init(struct window *w) {
    *w = (struct window){0};
    key_table_init(&w->users);
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

static uint64_t key_of(const char *user_id) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    uint64_t key = 0;
    if (SHA256((const unsigned char *)user_id, strlen(user_id), digest) != NULL)
        memcpy(&key, digest, sizeof key);
    return key;
}

static struct window_user *find_user(const struct window *w, uint64_t key) {
    return (struct window_user *)(void *)key_table_find(&w->users, key);
}

/* The caller inserts the user among the turns. */
static struct window_user *add_user(struct window *w, uint64_t key) {
    struct window_user *user = mem_zero(sizeof *user);
    TAILQ_INIT(&user->items);
    user->by_key.key = key;
    key_table_add(&w->users, &user->by_key);
    return user;
}

static void drop_user(struct window *w, struct window_user *user) {
    TAILQ_REMOVE(&w->turns, user, in_turns);
    key_table_remove(&w->users, &user->by_key);
    free(user);
}

/* --- items ------------------------------------------------------------------------------------ */

void window_add(struct window *w, struct window_item *item, const char *user_id) {
    uint64_t key = key_of(user_id);
    struct window_user *user = find_user(w, key);
    if (user == NULL) {
        user = add_user(w, key);
        give_last_turn(w, user);
    }
    item->user = user;
    item->arrival = ++w->arrivals & ARRIVAL_MAX;
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

void window_replace(struct window *w, struct window_item *old, struct window_item *item) {
    (void)w;
    item->user = old->user;
    item->arrival = old->arrival;
    TAILQ_INSERT_BEFORE(old, item, link);
    TAILQ_REMOVE(&old->user->items, old, link);
    old->user = NULL;
}

bool window_ends_with_entry(const struct window *w, const char *user_id) {
    const struct window_user *user = find_user(w, key_of(user_id));
    return user != NULL && TAILQ_LAST(&user->items, window_items)->is_entry;
}

void window_take(struct window *w, struct window_item *item) {
    struct window_user *user = item->user;
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
    uint64_t key = key_of(user_id);
    struct window_user *user = find_user(w, key);
    if (user == NULL) {
        user = add_user(w, key);
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

size_t window_bytes(const struct window *w) {
    return w->users.count * (sizeof(struct window_user) + MALLOC_BYTES) +
           key_table_bytes(&w->users);
}

/* The next item of each user that has one left, in the order of turns; returns how many. */
static size_t first_items(const struct window *w, struct window_item **next, size_t most) {
    size_t count = 0;
    struct window_user *user = TAILQ_FIRST(&w->turns);
    for (; user != NULL && count < most; user = TAILQ_NEXT(user, in_turns))
        next[count++] = TAILQ_FIRST(&user->items);
    return count;
}

void window_walk(const struct window *w, size_t most, window_visit_fn *visit, void *arg) {
    size_t room = w->users.count < most ? w->users.count : most;
    if (room == 0)
        return;
    struct window_item **next = mem_resize(NULL, room, sizeof *next);
    size_t count = first_items(w, next, room), before = 0;
    bool goes_on = true;
    while (goes_on && count > 0) { /* a round: each user's turn */
        size_t left = 0;
        for (size_t i = 0; i < count && goes_on; i++) {
            struct window_item *behind = TAILQ_NEXT(next[i], link);
            goes_on = visit(arg, next[i], before++) && before < most;
            if (behind != NULL)
                next[left++] = behind;
        }
        count = left;
    }
    free(next);
}
