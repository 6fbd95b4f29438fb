/* What the status topic knows of a job's pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "executor/query/job.h"
#include "executor/query/known.h"

enum text {
    NO_TEXT, /* no SHA-256 is there */
    SAME,
    OTHER,
};

static const struct {
    const char *what;
    enum status_state state; /* STATUS_NONE: the pair is not known */
    enum text text;
    const char *execution_id;
    enum known known;
} rows[] = {
    {"no such pair", STATUS_NONE, SAME, NULL, KNOWN_NOTHING},
    {"queued", STATUS_QUEUED, SAME, NULL, KNOWN_NOTHING},
    {"throttled", STATUS_THROTTLED, SAME, NULL, KNOWN_NOTHING},
    {"rejected, and moved back by hand", STATUS_REJECTED, SAME, NULL, KNOWN_NOTHING},
    {"started", STATUS_STARTED, SAME, "e", KNOWN_STARTED},
    {"started, nobody knows as what", STATUS_STARTED, SAME, NULL, KNOWN_NOTHING},
    {"succeeded", STATUS_SUCCEEDED, SAME, "e", KNOWN_ENDED},
    {"failed", STATUS_FAILED, SAME, "e", KNOWN_ENDED},
    {"cancelled", STATUS_CANCELLED, SAME, "e", KNOWN_ENDED},
    {"cancelled before it was started", STATUS_CANCELLED, SAME, NULL, KNOWN_ENDED},
    {"another is queued", STATUS_QUEUED, OTHER, NULL, KNOWN_ANOTHER},
    {"another is throttled", STATUS_THROTTLED, OTHER, NULL, KNOWN_ANOTHER},
    {"another was rejected", STATUS_REJECTED, OTHER, NULL, KNOWN_NOTHING},
    {"another runs", STATUS_STARTED, OTHER, "e", KNOWN_ANOTHER},
    {"another has ended", STATUS_SUCCEEDED, OTHER, "e", KNOWN_ANOTHER},
    {"a record without a digest", STATUS_STARTED, NO_TEXT, "e", KNOWN_NOTHING},
};

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct status_view *view = status_view_open(10);
        struct job job = {.id = {.user_id = "u", .query_id = "q"}, .has_sha256 = true};
        struct status s = {.user_id = "u",
                           .query_id = "q",
                           .state = rows[i].state,
                           .query_execution_id = (char *)rows[i].execution_id,
                           .has_sha256 = rows[i].text != NO_TEXT};
        struct status known;
        s.sha256[31] = rows[i].text == OTHER;
        if (rows[i].state != STATUS_NONE)
            assert_true(status_view_apply(view, &s));
        if (known_look(view, &job, &known) != rows[i].known ||
            known_look(view, &job, NULL) != rows[i].known)
            fail_msg("%s", rows[i].what);
        if (rows[i].known == KNOWN_STARTED)
            assert_string_equal(known.query_execution_id, "e");
        job.has_sha256 = false; /* no request: nothing is known of its text */
        assert_int_equal(known_look(view, &job, NULL), KNOWN_NOTHING);
        status_view_close(view);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
