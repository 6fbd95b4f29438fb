/* Whose query starts next: by cases, and at random beside a model that knows no lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "executor/turn/window.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- cases ------------------------------------------------------------------------------------ */

/*
 * What is done, a word each: `a1` adds query 1 of user a (`-`: nobody), `!` starts the next one,
 * `<a1` puts it back, `xa1` removes it; in the end all that is left starts. `want`: what started,
 * in order.
 */
static const struct {
    const char *what, *steps, *want;
} cases[] = {
    {"nothing", "", ""},
    {"one user: as they came", "a1 a2 a3", "a1 a2 a3"},
    {"two users take turns", "a1 a2 a3 a4 b1 b2", "a1 b1 a2 b2 a3 a4"},
    {"whoever comes is behind the others", "a1 a2 b1 b2 ! c1", "a1 b1 a2 c1 b2"},
    {"a thousand do not hold up one", "a1 a2 a3 a4 a5 a6 ! ! b1", "a1 a2 a3 b1 a4 a5 a6"},
    {"who has nothing left begins anew", "a1 b1 b2 ! a2 c1", "a1 b1 a2 c1 b2"},
    {"nobody is one user", "-1 -2 -3 a1 a2", "-1 a1 -2 a2 -3"},
    {"put back, it is next", "a1 a2 b1 ! <a1", "a1 a1 b1 a2"},
    {"put back into nothing", "a1 ! <a1", "a1 a1"},
    {"put back, its user had left", "a1 b1 c1 ! <a1", "a1 a1 b1 c1"},
    {"three put back: the order of arrival", "a1 a2 a3 a4 ! ! ! <a2 <a3 <a1",
     "a1 a2 a3 a1 a2 a3 a4"},
    {"users put back: the order of turns", "a1 b1 c1 a2 b2 c2 ! ! ! <b1 <a1 <c1",
     "a1 b1 c1 a1 b1 c1 a2 b2 c2"},
    {"and where they had left", "a1 b1 c1 ! ! ! <c1 <b1 <a1", "a1 b1 c1 a1 b1 c1"},
    {"the last put back first", "a1 b1 a2 ! ! ! <a2 <a1", "a1 b1 a2 a1 a2"},
    {"put back before those that came since", "a1 ! b1 a2 <a1", "a1 a1 b1 a2"},
    {"a later turn put back does not cost an earlier one", "a1 a2 b1 b2 ! ! ! <a1 <a2",
     "a1 b1 a2 a1 b2 a2"},
    {"the first removed", "a1 a2 b1 xa1", "a2 b1"},
    {"the middle removed", "a1 a2 a3 b1 xa2", "a1 b1 a3"},
    {"the last removed", "a1 b1 b2 xb2 b3", "a1 b1 b3"},
    {"removed, its user keeps the turn", "a1 a2 b1 ! a3 xa2", "a1 b1 a3"},
    {"a user removed", "a1 b1 c1 xb1", "a1 c1"},
    {"a user removed comes back", "a1 b1 xa1 a2", "b1 a2"},
    {"all removed", "a1 b1 xa1 xb1", ""},
};

enum {
    ITEMS = 10
};

struct named {
    struct window_item item;
    char user[2];
    char name[3];
};

struct scene {
    struct window window;
    struct named items[128][ITEMS];
    char started[256];
};

static const char *id_of(const char *user) {
    return strcmp(user, "-") == 0 ? "" : user;
}

static struct named *named_of(struct window_item *item) {
    return (struct named *)(void *)item; /* its first member */
}

static void start_next(struct scene *s) {
    struct named *n = named_of(window_first(&s->window));
    snprintf(s->started + strlen(s->started), sizeof s->started - strlen(s->started), "%s%s",
             s->started[0] != '\0' ? " " : "", n->name);
    window_take(&s->window, window_first(&s->window));
}

static void step(struct scene *s, const char *word) {
    if (*word == '!') {
        start_next(s);
        return;
    }
    const char *name = *word == '<' || *word == 'x' ? word + 1 : word;
    struct named *n = &s->items[(unsigned char)name[0]][name[1] - '0'];
    if (*word == '<') {
        window_put_back(&s->window, &n->item, id_of(n->user));
    } else if (*word == 'x') {
        window_remove(&s->window, &n->item);
    } else {
        memcpy(n->name, name, 2);
        n->user[0] = name[0];
        window_add(&s->window, &n->item, id_of(n->user));
    }
}

static void test_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scene *s = mem_zero(sizeof *s);
        char *steps = mem_string(cases[i].steps), *rest = NULL;
        window_init(&s->window);
        for (char *w = strtok_r(steps, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest))
            step(s, w);
        while (window_first(&s->window) != NULL)
            start_next(s);
        if (strcmp(s->started, cases[i].want) != 0)
            fail_msg("%s: %s, not %s", cases[i].what, s->started, cases[i].want);
        assert_int_equal(window_count(&s->window), 0);
        assert_int_equal(window_bytes(&s->window), 0);
        free(steps);
        free(s);
    }
}

/* What is held takes the place of its entry, and the other way round. */
static void test_replaced(void **state) {
    (void)state;
    struct window w;
    struct window_item a[3] = {0}, b = {0}, instead = {0};
    window_init(&w);
    a[2].is_entry = 1;
    window_add(&w, &a[0], "a");
    window_add(&w, &b, "b");
    window_add(&w, &a[1], "a");
    assert_false(window_ends_with_entry(&w, "a"));
    window_add(&w, &a[2], "a");
    assert_true(window_ends_with_entry(&w, "a"));
    assert_false(window_ends_with_entry(&w, "b"));
    assert_false(window_ends_with_entry(&w, "c"));
    window_replace(&w, &a[0], &instead);
    assert_ptr_equal(window_first(&w), &instead);
    assert_int_equal(window_count(&w), 4);
    window_take(&w, window_first(&w));
    assert_ptr_equal(window_first(&w), &b);
    window_put_back(&w, &instead, "a"); /* it has the arrival of what it replaced */
    assert_ptr_equal(window_first(&w), &instead);
    window_take(&w, window_first(&w));
    window_take(&w, window_first(&w));
    assert_ptr_equal(window_first(&w), &a[1]);
    window_replace(&w, &a[2], &instead);
    assert_false(window_ends_with_entry(&w, "a"));
    window_take(&w, window_first(&w));
    assert_ptr_equal(window_first(&w), &instead);
    window_take(&w, window_first(&w));
    assert_int_equal(window_bytes(&w), 0);
}

static bool visit_once(void *arg, struct window_item *item, size_t before) {
    (void)item;
    *(size_t *)arg = before + 1;
    return false;
}

static void test_a_walk_ends_when_its_visitor_says_so(void **state) {
    (void)state;
    struct window w;
    struct window_item items[2] = {0};
    size_t visited = 0;
    window_init(&w);
    window_walk(&w, SIZE_MAX, visit_once, &visited);
    assert_int_equal(visited, 0);
    window_add(&w, &items[0], "a");
    window_add(&w, &items[1], "a");
    window_walk(&w, SIZE_MAX, visit_once, &visited);
    assert_int_equal(visited, 1);
    window_take(&w, window_first(&w));
    window_take(&w, window_first(&w));
}

/* Names as they may come: the longest, and those that begin alike. */
static void test_names(void **state) {
    (void)state;
    char longest[129], other[129];
    memset(longest, 'u', 128);
    memset(other, 'u', 128);
    longest[128] = other[128] = '\0';
    other[127] = 'v';
    const char *const names[] = {longest, other, "u", "uu", "U", "", "\xC3\xA9"};
    struct window w;
    struct window_item items[COUNT(names)][2];
    window_init(&w);
    for (size_t i = 0; i < COUNT(names); i++)
        for (size_t j = 0; j < 2; j++) {
            char name[129]; /* the window keeps its own */
            snprintf(name, sizeof name, "%s", names[i]);
            window_add(&w, &items[i][j], name);
        }
    for (size_t j = 0; j < 2; j++)
        for (size_t i = 0; i < COUNT(names); i++) {
            assert_ptr_equal(window_first(&w), &items[i][j]);
            window_take(&w, window_first(&w));
        }
    assert_null(window_first(&w));
}

/* --- at random, beside a model ---------------------------------------------------------------- */

enum {
    QUERIES = 200,
    USERS = 7,
    ROUNDS = 300,
    STEPS = 600,
};

struct query {
    struct window_item item; /* first */
    int user;
    bool waits, is_out; /* is_out: taken and perhaps put back */
    uint64_t arrived, turn;
};

/* Says of everybody when they came and when their turn is, and looks through all of them. */
struct model {
    struct query queries[QUERIES];
    uint64_t turn_of[USERS];
    uint64_t arrivals, turns;
    /* Since its last start, for each user that has waited all the while: starts of each other. */
    int since[USERS][USERS];
    struct window window;
};

static uint32_t next_random(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static const char *user_name(int user) {
    static const char *const names[USERS] = {"", "a", "b", "c", "d", "e", "f"};
    return names[user];
}

static size_t waiting_of(const struct model *m, int user) {
    size_t count = 0;
    for (int i = 0; i < QUERIES; i++)
        count += m->queries[i].waits && m->queries[i].user == user;
    return count;
}

/* Of the user whose turn is the lowest the one that came first; -1: none. */
static int model_first(const struct model *m) {
    int found = -1;
    for (int i = 0; i < QUERIES; i++) {
        const struct query *q = &m->queries[i], *best = found >= 0 ? &m->queries[found] : NULL;
        if (!q->waits)
            continue;
        if (best == NULL || m->turn_of[q->user] < m->turn_of[best->user] ||
            (q->user == best->user && q->arrived < best->arrived))
            found = i;
    }
    return found;
}

static void model_add(struct model *m, int i, int user) {
    struct query *q = &m->queries[i];
    if (waiting_of(m, user) == 0) {
        m->turn_of[user] = ++m->turns;
        memset(m->since[user], 0, sizeof m->since[user]);
    }
    *q = (struct query){.user = user, .waits = true, .arrived = ++m->arrivals};
    window_add(&m->window, &q->item, user_name(user));
}

static void model_take(struct model *m, int i) {
    struct query *q = &m->queries[i];
    q->waits = false;
    q->is_out = true;
    q->turn = m->turn_of[q->user];
    m->turn_of[q->user] = ++m->turns;
    window_take(&m->window, window_first(&m->window));
}

static void model_put_back(struct model *m, int i) {
    struct query *q = &m->queries[i];
    if (waiting_of(m, q->user) == 0 || q->turn < m->turn_of[q->user])
        m->turn_of[q->user] = q->turn;
    q->waits = true;
    q->is_out = false;
    window_put_back(&m->window, &q->item, user_name(q->user));
}

static void model_remove(struct model *m, int i) {
    m->queries[i].waits = false;
    window_remove(&m->window, &m->queries[i].item);
}

/* One that is free to be added, waits, or is out; -1 where the first tries find none. */
static int pick(const struct model *m, uint64_t *seed, bool waits, bool is_out) {
    for (int tries = 0; tries < 20; tries++) {
        int i = (int)(next_random(seed) % QUERIES);
        if (m->queries[i].waits == waits && m->queries[i].is_out == is_out)
            return i;
    }
    return -1;
}

static void check_same(struct model *m) {
    int first = model_first(m);
    struct window_item *item = window_first(&m->window);
    if (first < 0)
        assert_null(item);
    else
        assert_ptr_equal(item, &m->queries[first].item);
    size_t count = 0;
    for (int user = 0; user < USERS; user++)
        count += waiting_of(m, user);
    assert_int_equal(window_count(&m->window), count);
}

/* All that is left, in the order that window_walk() tells. */
struct walk {
    struct query *order[QUERIES];
    size_t count;
};

static bool note_visit(void *arg, struct window_item *item, size_t before) {
    struct walk *walk = arg;
    assert_int_equal(before, walk->count);
    assert_true(walk->count < QUERIES);
    walk->order[walk->count++] = (struct query *)(void *)item;
    return true;
}

static void drain(struct model *m) {
    struct walk walk = {.count = 0};
    /* The first of them are the same however many are asked for. */
    size_t few = window_count(&m->window) / 3;
    window_walk(&m->window, few, note_visit, &walk);
    assert_int_equal(walk.count, few);
    struct walk all = {.count = 0};
    window_walk(&m->window, SIZE_MAX, note_visit, &all);
    assert_memory_equal(walk.order, all.order, few * sizeof *walk.order);
    walk = all;
    assert_int_equal(walk.count, window_count(&m->window));
    for (size_t n = 0; n < walk.count; n++) {
        check_same(m);
        assert_ptr_equal(window_first(&m->window), walk.order[n]);
        model_take(m, model_first(m));
    }
    check_same(m);
    assert_int_equal(window_bytes(&m->window), 0);
}

static void test_random_beside_the_model(void **state) {
    (void)state;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint64_t seed = round;
        struct model *m = mem_zero(sizeof *m);
        window_init(&m->window);
        for (int n = 0; n < STEPS; n++) {
            uint32_t dice = next_random(&seed) % 10;
            int user = (int)(next_random(&seed) % USERS);
            int i = dice < 4   ? pick(m, &seed, false, false)
                    : dice < 7 ? model_first(m)
                    : dice < 9 ? pick(m, &seed, false, true)
                               : pick(m, &seed, true, false);
            if (i < 0)
                continue;
            if (dice < 4)
                model_add(m, i, user);
            else if (dice < 7)
                model_take(m, i);
            else if (dice < 9)
                model_put_back(m, i);
            else
                model_remove(m, i);
            check_same(m);
        }
        drain(m);
        free(m);
    }
}

/* --- fairness --------------------------------------------------------------------------------- */

/* Notes a start: of everybody else who waits, it may be the first since their own last one. */
static void check_fair(struct model *m, int starter) {
    for (int user = 0; user < USERS; user++) {
        if (user == starter || waiting_of(m, user) == 0)
            continue;
        if (++m->since[user][starter] > 1)
            fail_msg("%s starts twice while %s waits", user_name(starter), user_name(user));
    }
    memset(m->since[starter], 0, sizeof m->since[starter]);
}

/* Users come, go and pour in as they like; the first pours in most. */
static void test_fair_to_all_that_wait(void **state) {
    (void)state;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint64_t seed = round;
        struct model *m = mem_zero(sizeof *m);
        int last[USERS] = {0};
        window_init(&m->window);
        for (int n = 0; n < STEPS; n++) {
            int i = pick(m, &seed, false, false);
            if (i >= 0 && next_random(&seed) % 3 > 0)
                model_add(m, i, (int)(next_random(&seed) % 2 * (next_random(&seed) % USERS)));
            struct query *q = (struct query *)(void *)window_first(&m->window);
            if (q == NULL || next_random(&seed) % 2 == 0)
                continue;
            assert_true((int)q->arrived > last[q->user]); /* one user's start as they came */
            last[q->user] = (int)q->arrived;
            check_fair(m, q->user);
            model_take(m, (int)(q - m->queries));
            q->is_out = false;
        }
        drain(m);
        free(m);
    }
}

/*
 * Refused calls, many at once, their answers in any order: when all are put back, what follows is
 * what would have been without them.
 */
static void test_all_put_back_is_as_never_taken(void **state) {
    (void)state;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint64_t seed = round;
        struct model *m = mem_zero(sizeof *m);
        struct walk before = {.count = 0}, after = {.count = 0};
        int taken[20], count = 0;
        window_init(&m->window);
        for (int i = 0; i < 60; i++)
            model_add(m, i, (int)(next_random(&seed) % USERS));
        window_walk(&m->window, SIZE_MAX, note_visit, &before);
        for (; count < 20; count++) {
            taken[count] = model_first(m);
            model_take(m, taken[count]);
        }
        while (count > 0) {
            int n = (int)(next_random(&seed) % (uint32_t)count);
            model_put_back(m, taken[n]);
            taken[n] = taken[--count];
        }
        window_walk(&m->window, SIZE_MAX, note_visit, &after);
        assert_int_equal(after.count, before.count);
        for (size_t i = 0; i < after.count; i++)
            if (after.order[i] != before.order[i])
                fail_msg("round %d: another at place %zu", (int)round, i);
        drain(m);
        free(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_a_walk_ends_when_its_visitor_says_so),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_random_beside_the_model),
        cmocka_unit_test(test_fair_to_all_that_wait),
        cmocka_unit_test(test_all_put_back_is_as_never_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
