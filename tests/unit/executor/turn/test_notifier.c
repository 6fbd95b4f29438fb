/* Who waits for the quota is published as QUEUED with its place, and who waits for another reason
 * is not. */
#include "tests/unit/executor/parts.h"

enum {
    LOOK_MS = 1000,
    FIRST_A_LOOK = 100,
    AGAIN_A_LOOK = 50,
    AGAIN_AFTER_MS = 10000,
};

/* So many queries of a user wait. */
static void wait_for_turns(const char *user_id, int count) {
    for (int i = 0; i < count; i++) {
        char query_id[32];
        snprintf(query_id, sizeof query_id, "%s%d", user_id, i);
        parts_query(user_id, query_id, "SELECT 1");
    }
}

/* How many were published so far, and whether this was said of one. */
static size_t published(void) {
    return parts_sent(PARTS_STATUS);
}

static bool was_published(const char *query_id, const char *reason) {
    char id[64];
    snprintf(id, sizeof id, "\"queryId\":\"%s\"", query_id);
    for (size_t i = 0; i < stub_producer.count; i++)
        if (strstr(stub_producer.sends[i].value, id) != NULL &&
            strstr(stub_producer.sends[i].value, reason) != NULL)
            return true;
    return false;
}

static void run_one(const char *execution_id) {
    parts_query("r", execution_id, "SELECT 1");
    parts_answer_started(parts_next_call(), execution_id);
}

static void test_place_and_reason(void **state) {
    (void)state;
    parts_grant(1);
    run_one("r1");
    size_t before = published(); /* STARTED of the one that runs */
    wait_for_turns("u", 2);
    parts_query("v", "v0", "SELECT 1");
    stub_run(t.loop, LOOK_MS / 2);
    assert_int_equal(published(), before);
    stub_run(t.loop, 2 * LOOK_MS);
    assert_int_equal(published(), before + 3);
    assert_true(
        was_published("u0", "waiting for the quota: 0 before it in this executor, 1 running"));
    assert_true(was_published("v0", "waiting for the quota: 1 before it"));
    assert_true(was_published("u1", "waiting for the quota: 2 before it"));
    assert_non_null(strstr(stub_producer.sends[before].value, "\"state\":\"QUEUED\""));
    stub_run(t.loop, 10 * LOOK_MS);
    assert_int_equal(published(), before + 3); /* nothing has changed */
}

/* For reasons that pass in moments, or that are everybody's, nothing is published of one query. */
static void suspect(void) {
    t.gate.suspect = true;
}

static void fall_behind(void) {
    stub_reader.behind = true;
}

static void stop(void) {
    notifier_stop(&t.notifier);
}

static void give_room(void) {
    t.config.max_in_flight = 0;
    parts_grant(100);
}

static void use_up(void) {
    parts_grant(0);
}

static void test_reasons_to_publish_or_be_silent(void **state) {
    (void)state;
    static const struct {
        const char *what;
        bool untracked;
        void (*set)(void);
        size_t want;
    } rows[] = {
        {"no slot is free", false, use_up, 3},
        {"the quota has room: it is MAX_IN_FLIGHT", false, give_room, 0},
        {"credentials are in doubt", false, suspect, 3}, /* with that reason */
        {"the status topic is still being read", false, fall_behind, 0},
        {"a stop", false, stop, 0},
        {"nobody knows what runs", true, use_up, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct executor_config config = parts_config();
        config.track_queries = !rows[i].untracked;
        config.max_in_flight = rows[i].untracked ? 0 : config.max_in_flight;
        parts_open(&config);
        parts_grant(0);
        rows[i].set();
        wait_for_turns("u", 3);
        stub_run(t.loop, 3 * LOOK_MS);
        if (published() != rows[i].want)
            fail_msg("%s: %zu published", rows[i].what, published());
        parts_close();
    }
}

/* MAX_RUNNING is over both lanes, and so is the number that runs. */
static void test_max_running(void **state) {
    (void)state;
    struct executor_config config = parts_config();
    config.max_running = 2;
    parts_open(&config);
    parts_grant(10);
    run_one("r1");
    run_one("r2");
    parts_query("u", "ddl", "DROP TABLE x");
    stub_run(t.loop, 3 * LOOK_MS);
    assert_true(was_published("ddl", "0 before it in this executor, 2 running"));
    parts_close();
}

/* Once a second, a bounded number: who waits further back is published by the next look. */
static void test_first_ones_in_a_look(void **state) {
    (void)state;
    parts_grant(0);
    wait_for_turns("u", FIRST_A_LOOK + 20);
    stub_run(t.loop, LOOK_MS);
    assert_int_equal(published(), FIRST_A_LOOK);
    assert_false(was_published("u100", "100 before it"));
    stub_run(t.loop, LOOK_MS);
    assert_int_equal(published(), FIRST_A_LOOK + 20);
    assert_true(was_published("u100", "100 before it"));
}

/* The places of all change by a quarter and more; the same place is not published twice. */
static void test_changed_ones_in_a_look(void **state) {
    (void)state;
    parts_grant(0);
    wait_for_turns("u", FIRST_A_LOOK);
    stub_run(t.loop, LOOK_MS);
    for (int i = 0; i < 40; i++)
        job_drop(TAILQ_FIRST(&t.partition.jobs));
    stub_run(t.loop, AGAIN_AFTER_MS - LOOK_MS);
    assert_int_equal(published(), FIRST_A_LOOK);
    stub_run(t.loop, LOOK_MS);
    assert_int_equal(published(), FIRST_A_LOOK + AGAIN_A_LOOK);
    stub_run(t.loop, LOOK_MS);
    assert_int_equal(published(), FIRST_A_LOOK + 60);
    assert_true(was_published("u99", "59 before it"));
    stub_run(t.loop, 2 * AGAIN_AFTER_MS);
    assert_int_equal(published(), FIRST_A_LOOK + 60);
}

/* As long as something waits, and not an iteration longer. */
static void test_the_timer(void **state) {
    (void)state;
    parts_iterate();
    assert_int_equal(t.notifier.timer.place, 0);
    parts_grant(0);
    wait_for_turns("u", 1);
    parts_iterate();
    assert_true(t.notifier.timer.place != 0);
    stub_run(t.loop, 3 * LOOK_MS);
    assert_true(t.notifier.timer.place != 0);
    dispatch_gone(&t.dispatch, &t.partition);
    stub_run(t.loop, 2 * LOOK_MS);
    assert_int_equal(t.notifier.timer.place, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PARTS(test_place_and_reason),
        cmocka_unit_test(test_reasons_to_publish_or_be_silent),
        cmocka_unit_test(test_max_running),
        WITH_PARTS(test_first_ones_in_a_look),
        WITH_PARTS(test_changed_ones_in_a_look),
        WITH_PARTS(test_the_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
