/* Where a pass begins in a partition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "redriver/place.h"

struct place_case {
    const char *what;
    int64_t low, committed, end; /* as the broker answers */
    int64_t from, goes_on;       /* where it is read, and what counts as committed */
    enum place_news news;
    int64_t lost;
    bool commits_first, keeps_metadata;
};

static const struct place_case cases[] = {
    {"from the commit", 0, 5, 9, 5, 5, PLACE_USUAL, 0, false, true},
    {"all is done", 0, 9, 9, 9, 9, PLACE_USUAL, 0, false, true},
    {"nothing was committed", 3, -1, 9, 3, -1, PLACE_USUAL, 0, false, false},
    {"at the beginning", 3, 3, 9, 3, 3, PLACE_USUAL, 0, false, true},
    {"retention took some", 7, 3, 9, 7, 7, PLACE_RETENTION, 4, true, false},
    {"retention took all", 9, 3, 9, 9, 9, PLACE_RETENTION, 6, true, false},
    {"made anew", 0, 100, 9, 0, 0, PLACE_BEYOND_END, 0, true, false},
    {"restored, its beginning is gone", 4, 100, 9, 4, 4, PLACE_BEYOND_END, 0, true, false},
    {"made anew and empty", 0, 100, 0, 0, 0, PLACE_BEYOND_END, 0, true, false},
};

static struct kafka_position answer(int64_t low, int64_t committed, int64_t end) {
    return (struct kafka_position){.partition = 4,
                                   .low = low,
                                   .committed = committed,
                                   .end = end,
                                   .metadata = committed >= 0 ? mem_string("aq1") : NULL};
}

static void test_a_pass_begins_where_it_passes_over_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct place_case *c = &cases[i];
        struct kafka_position position = answer(c->low, c->committed, c->end);
        struct place place;
        place_decide(&place, &position, true, NULL);
        bool ok = place.partition == 4 && place.from == c->from && place.end == c->end &&
                  place.committed == c->goes_on && place.answered == c->committed &&
                  place.news == c->news && place.lost == c->lost &&
                  place.commits_first == c->commits_first && place.error[0] == '\0' &&
                  (place.metadata != NULL) == c->keeps_metadata;
        if (!ok)
            fail_msg("%s: from=%lld committed=%lld news=%d", c->what, (long long)place.from,
                     (long long)place.committed, place.news);
        place_free(&place);
        free(position.metadata);
    }
}

static void test_a_copier_begins_at_the_beginning(void **state) {
    (void)state;
    struct kafka_position position = answer(2, 5, 9);
    struct place place;
    place_decide(&place, &position, false, NULL);
    assert_int_equal(place.from, 2);
    assert_int_equal(place.committed, -1);
    assert_null(place.metadata);
    free(position.metadata);
}

static void test_an_error_is_kept(void **state) {
    (void)state;
    struct kafka_position position = {.partition = 4, .committed = 9, .error = "no leader"};
    struct place place;
    place_decide(&place, &position, true, NULL);
    assert_string_equal(place.error, "no leader");
    assert_int_equal(place.partition, 4);
    assert_int_equal(place.news, PLACE_USUAL);
}

struct current_case {
    const char *what;
    int64_t answered, position; /* of what is not committed */
    int64_t low, committed, end;
    bool used;
};

static const struct current_case currents[] = {
    {"nobody has committed since", 5, 8, 0, 5, 9, true},
    {"there was no commit: the topic may be another", -1, 8, 0, -1, 9, false},
    {"somebody has", 5, 8, 0, 7, 9, false},
    {"the group was set back", 5, 8, 0, 2, 9, false},
    {"the topic was made anew", 5, 8, 0, 5, 6, false},
    {"retention took what is behind it", 5, 8, 9, 5, 9, false},
};

static void test_what_is_not_committed_counts_while_the_commit_is_the_same(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof currents / sizeof *currents; i++) {
        const struct current_case *c = &currents[i];
        struct kafka_position position = answer(c->low, c->committed, c->end);
        struct place_uncommitted uncommitted = {4, c->answered, c->position, "aq1 8 1:1"};
        struct place place;
        place_decide(&place, &position, true, &uncommitted);
        bool used = place.from == c->position && place.committed == c->position &&
                    place.commits_first && place.answered == c->committed &&
                    place.metadata != NULL && strcmp(place.metadata, "aq1 8 1:1") == 0;
        if (used != c->used)
            fail_msg("%s: from=%lld", c->what, (long long)place.from);
        place_free(&place);
        free(position.metadata);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pass_begins_where_it_passes_over_nothing),
        cmocka_unit_test(test_a_copier_begins_at_the_beginning),
        cmocka_unit_test(test_an_error_is_kept),
        cmocka_unit_test(test_what_is_not_committed_counts_while_the_commit_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
