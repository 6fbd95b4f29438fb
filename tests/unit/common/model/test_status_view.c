#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/model/status_view.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool apply_at(struct status_view *v, const char *query_id, enum status_state state,
                     int64_t updated_at_ms) {
    struct status s = {.user_id = "u",
                       .query_id = (char *)(uintptr_t)query_id,
                       .state = state,
                       .updated_at_ms = updated_at_ms};
    return status_view_apply(v, &s);
}

static bool apply(struct status_view *v, const char *query_id, enum status_state state) {
    return apply_at(v, query_id, state, 0);
}

static void assert_text(const char *got, const char *wanted) {
    if (wanted == NULL)
        assert_null(got);
    else
        assert_string_equal(got, wanted);
}

/* --- what is kept of one ---------------------------------------------------------------------- */

static void test_all_of_it_is_kept(void **state) {
    (void)state;
    struct status_view *v = status_view_open(100);
    struct status found;
    assert_false(status_view_find(v, "u", "q", &found));
    for (int given = 0; given < 16; given++) {
        char query_id[16];
        snprintf(query_id, sizeof query_id, "q%d", given);
        struct status s = {.user_id = given & 1 ? "u" : "",
                           .query_id = query_id,
                           .state = STATUS_STARTED,
                           .query_execution_id = given & 2 ? "e-1" : NULL,
                           .output_location = given & 4 ? "s3://b/k" : NULL,
                           .reason = given & 8 ? "" : NULL,
                           .attempt = INT64_C(1) << 31,
                           .updated_at_ms = 1767323045678,
                           .has_sha256 = given & 1};
        memset(s.sha256, given, sizeof s.sha256);
        assert_true(status_view_apply(v, &s));
        memset(query_id, '#', 2); /* it was copied */
        snprintf(query_id, sizeof query_id, "q%d", given);
        assert_true(status_view_find(v, s.user_id, query_id, &found));
        assert_string_equal(found.user_id, s.user_id);
        assert_string_equal(found.query_id, query_id);
        assert_int_equal(found.state, STATUS_STARTED);
        assert_text(found.query_execution_id, s.query_execution_id);
        assert_text(found.output_location, s.output_location);
        assert_text(found.reason, s.reason);
        assert_int_equal(found.attempt, s.attempt);
        assert_int_equal(found.updated_at_ms, s.updated_at_ms);
        assert_int_equal(found.has_sha256, s.has_sha256);
        assert_memory_equal(found.sha256, s.sha256, sizeof s.sha256);
    }
    assert_int_equal(status_view_count(v), 16);
    status_view_close(v);
    status_view_close(NULL);
}

static void test_pairs_are_told_apart(void **state) {
    (void)state;
    static const struct {
        char *user_id, *query_id;
    } pairs[] = {{"", "ab"}, {"a", "b"},   {"ab", "c"}, {"a", "bc"},
                 {"b", "a"}, {"a/b", "c"}, {"a", "b/c"}};
    struct status_view *v = status_view_open(100);
    for (size_t i = 0; i < COUNT(pairs); i++)
        assert_true(status_view_apply(v, &(struct status){.user_id = pairs[i].user_id,
                                                          .query_id = pairs[i].query_id,
                                                          .state = STATUS_QUEUED,
                                                          .attempt = (int64_t)i}));
    assert_int_equal(status_view_count(v), COUNT(pairs));
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct status found;
        assert_true(status_view_find(v, pairs[i].user_id, pairs[i].query_id, &found));
        assert_int_equal(found.attempt, i);
    }
    status_view_close(v);
}

static void test_ids_too_long(void **state) {
    (void)state;
    char id[QUERY_ID_MAX + 2];
    memset(id, 'x', sizeof id);
    id[sizeof id - 1] = '\0';
    struct status_view *v = status_view_open(10);
    struct status found;
    assert_false(apply(v, id, STATUS_QUEUED));
    assert_false(status_view_find(v, "u", id, &found));
    assert_false(status_view_find(v, id, "q", &found));
    status_view_forget(v, "u", id);
    assert_int_equal(status_view_count(v), 0);
    id[QUERY_ID_MAX] = '\0';
    assert_true(apply(v, id, STATUS_QUEUED));
    assert_true(status_view_find(v, "u", id, &found));
    status_view_close(v);
}

static void test_states_follow(void **state) {
    (void)state;
    struct status_view *v = status_view_open(10);
    struct status found;
    assert_true(apply(v, "q", STATUS_QUEUED));
    assert_true(apply(v, "q", STATUS_STARTED));
    assert_false(apply(v, "q", STATUS_QUEUED));
    assert_true(status_view_find(v, "u", "q", &found));
    assert_int_equal(found.state, STATUS_STARTED);
    /* What was found may itself be applied. */
    found.state = STATUS_SUCCEEDED;
    assert_true(status_view_apply(v, &found));
    assert_true(status_view_find(v, "u", "q", &found));
    assert_int_equal(found.state, STATUS_SUCCEEDED);
    assert_int_equal(status_view_count(v), 1);
    status_view_forget(v, "u", "other");
    status_view_forget(v, "u", "q");
    assert_false(status_view_find(v, "u", "q", &found));
    assert_int_equal(status_view_count(v), 0);
    assert_true(apply(v, "q", STATUS_QUEUED)); /* a tombstone takes the past along */
    status_view_close(v);
}

static void test_covered_once(void **state) {
    (void)state;
    struct status_view *v = status_view_open(10);
    struct status found;
    assert_false(status_view_find_covered(v, "u", "q", &found));
    apply(v, "q", STATUS_STARTED);
    assert_false(status_view_find_covered(v, "u", "q", &found));
    apply(v, "q", STATUS_QUEUED);
    apply(v, "q", STATUS_STARTED); /* what it covered was behind it */
    assert_false(status_view_find_covered(v, "u", "q", &found));
    apply(v, "q", STATUS_QUEUED);
    assert_true(status_view_find_covered(v, "u", "q", &found));
    assert_int_equal(found.state, STATUS_STARTED);
    apply(v, "q", STATUS_QUEUED);
    assert_false(status_view_find_covered(v, "u", "q", &found));
    apply(v, "q", STATUS_SUCCEEDED);
    apply(v, "q", STATUS_STARTED);
    assert_true(status_view_find_covered(v, "u", "q", &found));
    assert_int_equal(found.state, STATUS_SUCCEEDED);
    status_view_close(v);
}

/* The pair's last record is the state itself, once more: nothing is to be repaired. */
static void test_same_again_is_not_covered(void **state) {
    (void)state;
    struct status_view *v = status_view_open(10);
    struct status other = {
        .user_id = "u", .query_id = "q", .state = STATUS_QUEUED, .has_sha256 = true};
    assert_true(apply(v, "q", STATUS_QUEUED));
    assert_false(status_view_apply(v, &other));
    assert_true(status_view_is_covered(v, "u", "q"));
    assert_true(apply(v, "q", STATUS_QUEUED));
    assert_false(status_view_is_covered(v, "u", "q"));
    status_view_close(v);
}

/* --- who leaves ------------------------------------------------------------------------------- */

/*
 * A letter is a query; q: QUEUED, t: THROTTLED, r: REJECTED, s: STARTED, f: SUCCEEDED, x:
 * forgotten. A digit behind it is its time; else all have the same.
 */
static const struct {
    const char *name;
    size_t max;
    const char *steps, *left;
} leavings[] = {
    {"below the maximum", 3, "aq bq cq", "abc"},
    {"the oldest", 3, "aq bq cq dq", "bcd"},
    {"a final one before an older one", 3, "aq bf cq dq", "acd"},
    {"a rejected one before an older one", 3, "aq br cq dq", "acd"},
    {"the one final for longest", 3, "aq bq cq bf af dq", "acd"},
    {"the one that did not change", 3, "aq bq cq at dq", "acd"},
    {"one that waits before an older one that has started", 3, "as bq cq dq", "acd"},
    {"one that has started, where all have", 3, "as bs cs ds", "bcd"},
    {"not the new one, if it is the only final one", 3, "aq bq cq df", "bcd"},
    {"a change needs no room", 3, "aq bq cq af", "abc"},
    {"a forgotten one makes room", 3, "aq bq cq bx dq", "acd"},
    {"all final", 2, "af bf cf df", "cd"},
    {"final ones go first, then the oldest", 2, "aq bf cq dq", "cd"},
    {"one", 1, "aq bf cq", "c"},
    {"none is one", 0, "aq bq", "b"},
    {"by their own time", 3, "af3 bf1 cf2 df4", "acd"},
    {"from the newest to the oldest", 3, "af9 bf8 cf7 df6 ef5", "abc"},
    {"two partitions, one after the other", 4, "af1 bf3 cf5 df7 ef2 ff4 gf6 hf8", "cdgh"},
    {"an old one that is known changes", 2, "aq1 bf5 cf6 af2 df7", "cd"},
    {"an old waiting one, for an ended one", 3, "af5 bf6 cf7 dq1", "bcd"},
    {"of those that wait the newest, too", 2, "aq5 bq6 cq1 dq7", "bd"},
    {"an old ended one leaves those that wait alone", 2, "aq5 bq6 cf1 df0 ef2", "be"},
};

static enum status_state state_of(char letter) {
    static const struct {
        char letter;
        enum status_state state;
    } rows[] = {{'q', STATUS_QUEUED},
                {'t', STATUS_THROTTLED},
                {'r', STATUS_REJECTED},
                {'s', STATUS_STARTED},
                {'f', STATUS_SUCCEEDED}};
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].letter == letter)
            return rows[i].state;
    return STATUS_NONE;
}

static void take_steps(struct status_view *v, const char *s) {
    for (; *s != '\0'; s += *s == ' ') {
        char id[2] = {s[0], '\0'}, what = s[1];
        int64_t ms = s[2] >= '0' && s[2] <= '9' ? s[2] - '0' : 0;
        if (what == 'x')
            status_view_forget(v, "u", id);
        else
            assert_true(apply_at(v, id, state_of(what), ms));
        s += strcspn(s, " ");
    }
}

static void test_leavings(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(leavings); i++) {
        struct status_view *v = status_view_open(leavings[i].max);
        take_steps(v, leavings[i].steps);
        char left[27] = "";
        for (char c = 'a'; c <= 'z'; c++) {
            struct status found;
            char id[2] = {c, '\0'};
            if (status_view_find(v, "u", id, &found))
                strcat(left, id);
        }
        if (strcmp(left, leavings[i].left) != 0)
            fail_msg("%s: left \"%s\"", leavings[i].name, left);
        assert_int_equal(status_view_count(v), strlen(left));
        status_view_close(v);
    }
}

static void test_no_room_for_ended(void **state) {
    (void)state;
    static const struct {
        const char *steps;
        bool at_4; /* no room for what has ended at 4 */
    } rows[] = {{"", false},        {"af5", false},     {"af5 bf6", true},  {"af5 br6", true},
                {"af4 bf6", false}, {"af3 bf6", false}, {"aq5 bs6", false}, /* the oldest that waits
                                                                               would leave */
                {"aq1 bf6", true},  {"aq5 bf3", false}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct status_view *v = status_view_open(2);
        take_steps(v, rows[i].steps);
        if (status_view_has_no_room_for_ended(v, 4) != rows[i].at_4)
            fail_msg("\"%s\"", rows[i].steps);
        assert_int_equal(status_view_knows(v, "u", "a"), rows[i].steps[0] != '\0');
        assert_false(status_view_knows(v, "u", "z"));
        assert_int_equal(status_view_entries_max(v), 2);
        status_view_close(v);
    }
}

/* 300,000 ended queries of six partitions that are read one after the other: the newest stay. */
static void test_newest_stay_however_they_are_read(void **state) {
    (void)state;
    enum {
        ENDED = 300000,
        KEPT = 100000,
        PARTITIONS = 6
    };
    struct status_view *v = status_view_open(KEPT);
    char id[24];
    for (int partition = 0; partition < PARTITIONS; partition++)
        for (int i = partition; i < ENDED; i += PARTITIONS) {
            snprintf(id, sizeof id, "q%d", i);
            assert_true(apply_at(v, id, STATUS_SUCCEEDED, i));
        }
    assert_int_equal(status_view_count(v), KEPT);
    for (int i = 0; i < ENDED; i++) {
        struct status found;
        snprintf(id, sizeof id, "q%d", i);
        assert_int_equal(status_view_find(v, "u", id, &found), i >= ENDED - KEPT);
    }
    status_view_close(v);
}

/* --- against a plain model -------------------------------------------------------------------- */

enum {
    QUERIES = 60,
    MAX = 25,
    STEPS = 40000
};

struct model {
    struct {
        enum status_state state; /* STATUS_NONE: not there */
        int64_t at;
        int64_t changed; /* the step */
    } of[QUERIES];
};

static size_t count_model(const struct model *m) {
    size_t count = 0;
    for (int i = 0; i < QUERIES; i++)
        count += m->of[i].state != STATUS_NONE;
    return count;
}

static int rank(enum status_state state) {
    return state == STATUS_STARTED                               ? 2
           : state == STATUS_QUEUED || state == STATUS_THROTTLED ? 1
                                                                 : 0;
}

/* Whether i leaves before j. */
static bool leaves_first(const struct model *m, int i, int j) {
    int rank_i = rank(m->of[i].state), rank_j = rank(m->of[j].state);
    if (rank_i != rank_j)
        return rank_i < rank_j;
    if (m->of[i].at != m->of[j].at)
        return m->of[i].at < m->of[j].at;
    return m->of[i].changed < m->of[j].changed;
}

/* `fresh` came last: it stays where it is the first to leave only for its rank. */
static void evict(struct model *m, int fresh) {
    int out = -1;
    for (int i = 0; i < QUERIES; i++)
        if (i != fresh && m->of[i].state != STATUS_NONE && (out < 0 || leaves_first(m, i, out)))
            out = i;
    bool same_rank = rank(m->of[fresh].state) == rank(m->of[out].state);
    m->of[same_rank && leaves_first(m, fresh, out) ? fresh : out].state = STATUS_NONE;
}

static void test_like_a_model(void **state) {
    (void)state;
    struct status_view *v = status_view_open(MAX);
    struct model *m = mem_zero(sizeof *m);
    uint32_t seed = 12345;
    for (int64_t step = 0; step < STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        int which = (int)(seed >> 16) % QUERIES;
        enum status_state next = (enum status_state)((seed >> 8) % 8);
        char id[24];
        snprintf(id, sizeof id, "query-%d", which);
        if (next == STATUS_NONE) {
            status_view_forget(v, "u", id);
            m->of[which].state = STATUS_NONE;
        } else {
            int64_t at = (seed >> 4) % 50;
            struct status known = {.state = m->of[which].state, .updated_at_ms = m->of[which].at};
            struct status s = {.state = next, .updated_at_ms = at};
            bool wanted = status_may_follow(&known, &s);
            assert_int_equal(apply_at(v, id, next, at), wanted);
            if (wanted) {
                m->of[which].state = next;
                m->of[which].at = at;
                m->of[which].changed = step;
            }
            if (count_model(m) > MAX)
                evict(m, which);
        }
        assert_int_equal(status_view_count(v), count_model(m));
        struct status found;
        for (int i = 0; i < QUERIES; i++) {
            snprintf(id, sizeof id, "query-%d", i);
            bool there = status_view_find(v, "u", id, &found);
            assert_int_equal(there ? found.state : STATUS_NONE, m->of[i].state);
        }
    }
    status_view_close(v);
    free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_it_is_kept),
        cmocka_unit_test(test_pairs_are_told_apart),
        cmocka_unit_test(test_ids_too_long),
        cmocka_unit_test(test_states_follow),
        cmocka_unit_test(test_leavings),
        cmocka_unit_test(test_like_a_model),
        cmocka_unit_test(test_covered_once),
        cmocka_unit_test(test_same_again_is_not_covered),
        cmocka_unit_test(test_no_room_for_ended),
        cmocka_unit_test(test_newest_stay_however_they_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
