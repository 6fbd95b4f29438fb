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

static bool apply(struct status_view *v, const char *query_id, enum status_state state) {
    struct status s = {.user_id = "u", .query_id = (char *)(uintptr_t)query_id, .state = state};
    return status_view_apply(v, &s);
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

/* --- who leaves ------------------------------------------------------------------------------- */

/* A letter is a query; q: QUEUED, s: STARTED, f: SUCCEEDED, x: forgotten. */
static const struct {
    const char *name;
    size_t max;
    const char *steps, *left;
} leavings[] = {
    {"below the maximum", 3, "aq bq cq", "abc"},
    {"the oldest", 3, "aq bq cq dq", "bcd"},
    {"a final one before an older one", 3, "aq bf cq dq", "acd"},
    {"the one final for longest", 3, "aq bq cq bf af dq", "acd"},
    {"the one that did not change", 3, "aq bq cq as dq", "acd"},
    {"not the new one, if it is the only final one", 3, "aq bq cq df", "bcd"},
    {"a change needs no room", 3, "aq bq cq af", "abc"},
    {"a forgotten one makes room", 3, "aq bq cq bx dq", "acd"},
    {"all final", 2, "af bf cf df", "cd"},
    {"final ones go first, then the oldest", 2, "aq bf cq dq", "cd"},
    {"one", 1, "aq bf cq", "c"},
    {"none is one", 0, "aq bq", "b"},
};

static void test_leavings(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(leavings); i++) {
        struct status_view *v = status_view_open(leavings[i].max);
        for (const char *s = leavings[i].steps; *s != '\0'; s += s[2] == ' ' ? 3 : 2) {
            char id[2] = {s[0], '\0'};
            if (s[1] == 'x')
                status_view_forget(v, "u", id);
            else
                assert_true(apply(v, id,
                                  s[1] == 'q'   ? STATUS_QUEUED
                                  : s[1] == 's' ? STATUS_STARTED
                                                : STATUS_SUCCEEDED));
        }
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

/* --- against a plain model -------------------------------------------------------------------- */

enum {
    QUERIES = 60,
    MAX = 25,
    STEPS = 40000
};

struct model {
    struct {
        enum status_state state; /* STATUS_NONE: not there */
        int64_t changed;         /* the step */
    } of[QUERIES];
};

static size_t count_model(const struct model *m) {
    size_t count = 0;
    for (int i = 0; i < QUERIES; i++)
        count += m->of[i].state != STATUS_NONE;
    return count;
}

static void evict(struct model *m) {
    int out = -1;
    for (int i = 0; i < QUERIES; i++) {
        if (m->of[i].state == STATUS_NONE)
            continue;
        bool final = status_is_final(m->of[i].state);
        bool out_final = out >= 0 && status_is_final(m->of[out].state);
        if (out < 0 || (final && !out_final) ||
            (final == out_final && m->of[i].changed < m->of[out].changed))
            out = i;
    }
    m->of[out].state = STATUS_NONE;
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
            struct status known = {.state = m->of[which].state}, s = {.state = next};
            bool wanted = status_may_follow(&known, &s);
            assert_int_equal(apply(v, id, next), wanted);
            if (wanted && known.state == STATUS_NONE && count_model(m) == MAX)
                evict(m);
            if (wanted) {
                m->of[which].state = next;
                m->of[which].changed = step;
            }
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
        cmocka_unit_test(test_all_of_it_is_kept), cmocka_unit_test(test_pairs_are_told_apart),
        cmocka_unit_test(test_ids_too_long),      cmocka_unit_test(test_states_follow),
        cmocka_unit_test(test_leavings),          cmocka_unit_test(test_like_a_model),
        cmocka_unit_test(test_covered_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
