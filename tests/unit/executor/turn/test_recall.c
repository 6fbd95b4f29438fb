/*
 * More records wait than are held: what is indexed, in which order it is fetched again, and that it
 * starts, ends, and leaves as what is held does.
 */
#include "tests/unit/executor/parts.h"

#include <stdio.h>

enum {
    HELD = 4 /* WINDOW_RECORDS: half of them are held as they come, half are fetched again */
};

static int small_begin(void **state) {
    (void)state;
    struct executor_config config = parts_config();
    config.window_records = HELD;
    config.max_in_flight = 1;
    config.track_queries = false; /* no look-ups between the starts */
    parts_open(&config);
    return 0;
}

#define WITH_SMALL_WINDOW(test) cmocka_unit_test_setup_teardown(test, small_begin, parts_end)

/* --- which records one run fetches ------------------------------------------------------------ */

enum {
    CHOICES = 8
};

/* `offsets`, ended by -1: of entries, the most urgent first; those of partition 1 are from 1000 on.
 */
static const struct choice {
    const char *what;
    int offsets[CHOICES], chosen[CHOICES];
} choices[] = {
    {"none", {-1}, {-1}},
    {"one", {5, -1}, {5, -1}},
    {"neighbours, in whatever order", {6, 5, 7, -1}, {5, 6, 7, -1}},
    {"one twice", {6, 5, 6, -1}, {5, 6, -1}},
    {"as far as a gap goes", {5, 5 + RECALL_GAP, -1}, {5, 5 + RECALL_GAP, -1}},
    {"not further", {5, 6 + RECALL_GAP, -1}, {5, -1}},
    {"the urgent one, though others lie before", {500, 5, 6, 501, -1}, {500, 501, -1}},
    {"… and behind", {500, 5, 900, 499, -1}, {499, 500, -1}},
    {"its partition only", {1005, 5, 1006, 6, -1}, {1005, 1006, -1}},
    {"its partition only, the other way round", {5, 1005, 6, -1}, {5, 6, -1}},
};

static void check_choice(const struct choice *row) {
    static struct partition partitions[2];
    struct index_entry made[CHOICES] = {{.offset = 0}}, *entries[CHOICES];
    size_t count = 0, wanted = 0;
    for (; row->offsets[count] >= 0; count++) {
        size_t same = 0; /* the same offset is the same entry */
        while (row->offsets[same] != row->offsets[count])
            same++;
        made[count].offset = row->offsets[count];
        made[count].partition = &partitions[row->offsets[count] >= 1000];
        entries[count] = &made[same];
    }
    while (row->chosen[wanted] >= 0)
        wanted++;
    size_t chosen = recall_choose(entries, count);
    if (chosen != wanted)
        fail_msg("%s: %zu, not %zu", row->what, chosen, wanted);
    for (size_t i = 0; i < chosen; i++)
        if (entries[i]->offset != row->chosen[i])
            fail_msg("%s: %lld at %zu", row->what, (long long)entries[i]->offset, i);
}

static void test_choices(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(choices); i++)
        check_choice(&choices[i]);
}

/* --- the executor ----------------------------------------------------------------------------- */

static void query_value(char *out, size_t size, const char *user, int64_t n) {
    snprintf(out, size, "{\"query\":\"SELECT %lld\",\"userId\":\"%s\",\"queryId\":\"q%lld\"}",
             (long long)n, user, (long long)n);
}

static const char *user_of[64]; /* by offset */

static void take(const char *user) {
    char value[256];
    user_of[t.next_offset] = user;
    query_value(value, sizeof value, user, t.next_offset);
    parts_take(value, NULL);
}

static void take_many(const char *user, int count) {
    while (count-- > 0)
        take(user);
}

/* The run under way brings this record. */
static void fetch(int64_t offset) {
    char value[256];
    query_value(value, sizeof value, user_of[offset], offset);
    recall_on_record(&t.recall, stub_message(offset, NULL, value, NULL));
}

static void fetch_run(void) {
    assert_true(stub_refetch.runs);
    int64_t from = stub_refetch.from, to = stub_refetch.to;
    for (int64_t offset = from; offset <= to; offset++)
        fetch(offset);
    stub_refetch.runs = false;
    recall_on_ended(&t.recall, true);
}

/* The number of the query that the only call under way is for. */
static int called(void) {
    struct aws_call *call = stub_aws_open();
    assert_non_null(call);
    int n = -1;
    assert_int_equal(sscanf(strstr(call->body, "SELECT "), "SELECT %d", &n), 1);
    return n;
}

static void end_call(void) {
    static int id;
    char text[32];
    snprintf(text, sizeof text, "e%d", id++);
    parts_answer_started(stub_aws_open(), text);
    stub_run(t.loop, 0);
}

/* What starts next, once it was fetched. */
static int next_start(void) {
    stub_run(t.loop, 0);
    while (stub_aws_open() == NULL) {
        for (int i = 0; i < 200 && !stub_refetch.runs; i++) /* a back-off of 30 s at most */
            stub_run(t.loop, 200);
        fetch_run();
        stub_run(t.loop, 0);
    }
    int n = called();
    end_call();
    return n;
}

static void test_what_is_not_held_is_indexed(void **state) {
    (void)state;
    t.is_behind = true; /* nothing starts yet */
    take_many("a", 10);
    stub_run(t.loop, 0);
    assert_int_equal(t.jobs.count[JOB_WAITING], HELD / 2);
    assert_int_equal(t.index.count, 10 - HELD / 2);
    assert_int_equal(t.partition.indexed_count, 10 - HELD / 2);
    assert_int_equal(jobs_waiting(&t.jobs, LANE_DML), 10);
    assert_int_equal(dispatch_startable(&t.dispatch, LANE_DML), 0);
    t.is_behind = false;
    assert_true(dispatch_startable(&t.dispatch, LANE_DML) > 0);
}

static void test_all_start_once_and_in_order(void **state) {
    (void)state;
    parts_grant(100);
    t.is_behind = true;
    take_many("a", 12);
    stub_run(t.loop, 0);
    assert_null(stub_aws_open());
    t.is_behind = false;
    dispatch_soon(&t.dispatch);
    for (int i = 0; i < 12; i++)
        assert_int_equal(next_start(), i);
    assert_int_equal(t.index.count, 0);
    stub_run(t.loop, 0);
    assert_null(stub_aws_open());
}

/* Those behind a long line have a turn within as many starts as there are users. */
static void test_who_comes_behind_many_has_a_turn(void **state) {
    (void)state;
    parts_grant(100);
    t.is_behind = true;
    take_many("a", 20);
    take("b");
    take("c");
    take("d");
    take_many("a", 3);
    t.is_behind = false;
    dispatch_soon(&t.dispatch);
    static const int want[] = {0, 20, 21, 22, 1, 2, 3};
    for (size_t i = 0; i < COUNT(want); i++)
        assert_int_equal(next_start(), want[i]);
}

/* The lane does not wait for a partition that gives nothing. */
static void test_who_cannot_be_fetched_is_passed_over(void **state) {
    (void)state;
    parts_grant(100);
    t.is_behind = true;
    take_many("a", 3);
    take("b");
    t.is_behind = false;
    dispatch_soon(&t.dispatch);
    stub_run(t.loop, 0);
    assert_int_equal(called(), 0);
    assert_true(stub_refetch.runs); /* for b's, which is next */
    end_call();
    assert_null(stub_aws_open()); /* it is about to come, … */
    stub_run(t.loop, 1000);
    assert_int_equal(called(), 1); /* … and does not */
    assert_true(stub_refetch.runs);
    stub_run(t.loop, 5000);
    assert_true(stub_refetch.started > 1); /* after a while it is tried again */
    end_call();
    stub_run(t.loop, 40000);
    assert_true(stub_refetch.runs);
    fetch_run();
    stub_run(t.loop, 0);
    assert_int_equal(called(), 3);
    end_call();
}

static void test_a_partition_that_cannot_be_read(void **state) {
    (void)state;
    parts_grant(100);
    stub_refetch.refuses = true;
    take_many("a", 4);
    for (int i = 0; i < HELD / 2; i++) {
        stub_run(t.loop, 1000);
        assert_int_equal(called(), i);
        end_call();
    }
    stub_run(t.loop, 3000);
    assert_null(stub_aws_open());
    stub_refetch.refuses = false;
    assert_int_equal(next_start(), 2);
    assert_int_equal(next_start(), 3);
}

/* Retention or somebody has deleted it: it is done with, counted, and holds up nobody. */
static void test_a_record_that_is_gone(void **state) {
    (void)state;
    parts_grant(100);
    t.is_behind = true;
    take_many("a", 5);
    t.is_behind = false;
    dispatch_soon(&t.dispatch);
    for (int i = 0; i < HELD / 2; i++)
        assert_int_equal(next_start(), i);
    stub_run(t.loop, 0);
    assert_true(stub_refetch.runs);
    assert_int_equal(stub_refetch.from, 2);
    int64_t to = stub_refetch.to;
    stub_refetch.runs = false;
    recall_on_ended(&t.recall, true);
    assert_int_equal(t.finished, to - 1);
    assert_true(t.metrics[METRIC_GONE].value == (double)(to - 1));
    assert_int_equal(next_start(), to + 1);
}

static void test_the_partition_is_revoked(void **state) {
    (void)state;
    take_many("a", 9);
    stub_run(t.loop, 0);
    assert_true(t.index.count > 0);
    parts_revoke();
    assert_int_equal(t.index.count, 0);
    assert_false(stub_refetch.runs);
    assert_int_equal(t.finished, 0);
}

/* The older record of a pair goes first, whatever lane it waits in: the other is the mismatch. */
static void test_the_older_of_a_pair_goes_first(void **state) {
    (void)state;
    parts_grant(100);
    t.is_behind = true;
    take_many("a", 6);
    parts_query("a", "same", "SELECT 6"); /* offset 6, behind all of a's in its lane */
    parts_query("a", "same", "SHOW 7");   /* alone in the other lane */
    assert_int_equal(t.index.count, 8 - HELD / 2);
    t.is_behind = false;
    dispatch_soon(&t.dispatch);
    stub_run(t.loop, 0);
    assert_true(stub_refetch.runs);
    assert_int_equal(stub_refetch.to, 6);
    fetch(2);
    recall_on_record(&t.recall,
                     stub_message(6, NULL,
                                  "{\"query\":\"SELECT 6\",\"userId\":\"a\",\"queryId\":\"same\"}",
                                  NULL));
    stub_refetch.runs = false;
    recall_on_ended(&t.recall, true);
    assert_int_equal(jobs_waiting(&t.jobs, LANE_DDL), 1); /* its turn comes behind the older's */
    assert_non_null(pairs_find(&t.jobs.pairs, TAILQ_LAST(&t.partition.jobs, job_list)->token));
}

/* A state that another executor has written meanwhile counts for what is fetched, too. */
static void test_known_when_it_is_fetched(void **state) {
    (void)state;
    parts_grant(100);
    t.is_behind = true;
    take_many("a", 3);
    t.is_behind = false;
    parts_know("a", "q2", STATUS_SUCCEEDED, "e", "SELECT 2");
    dispatch_soon(&t.dispatch);
    assert_int_equal(next_start(), 0);
    assert_int_equal(next_start(), 1);
    stub_run(t.loop, 0);
    fetch_run();
    stub_run(t.loop, 0);
    assert_null(stub_aws_open());
    assert_int_equal(t.index.count, 0);
    assert_true(t.finished >= 1);
}

/* While states are read anew it is fetched once more. */
static void test_fetched_while_states_are_read(void **state) {
    (void)state;
    parts_grant(100);
    take_many("a", 3);
    assert_int_equal(next_start(), 0);
    assert_true(stub_refetch.runs);
    stub_reader.behind = true;
    fetch(2);
    assert_int_equal(t.index.count, 1);
    stub_refetch.runs = false;
    recall_on_ended(&t.recall, true);
    stub_reader.behind = false;
    assert_int_equal(next_start(), 1);
    assert_int_equal(next_start(), 2);
}

static void test_the_index_is_full(void **state) {
    (void)state;
    t.is_behind = true;
    assert_false(dispatch_is_full(&t.dispatch, &t.partition, false));
    take_many("a", HELD + 1);
    t.config.window_index_bytes = 0;
    assert_false(dispatch_is_full(&t.dispatch, &t.partition, false)); /* each has some room */
    take_many("a", HELD);
    assert_true(dispatch_is_full(&t.dispatch, &t.partition, false));
    assert_true(dispatch_is_full(&t.dispatch, &t.partition, true));
    t.config.window_index_bytes = (int64_t)record_index_bytes(&t.index) + 1000;
    assert_false(dispatch_is_full(&t.dispatch, &t.partition, false));
    assert_true(dispatch_is_full(&t.dispatch, &t.partition, true)); /* not enough yet */
    t.config.window_index_bytes *= 2;
    assert_false(dispatch_is_full(&t.dispatch, &t.partition, true));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices),
        WITH_SMALL_WINDOW(test_what_is_not_held_is_indexed),
        WITH_SMALL_WINDOW(test_all_start_once_and_in_order),
        WITH_SMALL_WINDOW(test_who_comes_behind_many_has_a_turn),
        WITH_SMALL_WINDOW(test_who_cannot_be_fetched_is_passed_over),
        WITH_SMALL_WINDOW(test_a_partition_that_cannot_be_read),
        WITH_SMALL_WINDOW(test_a_record_that_is_gone),
        WITH_SMALL_WINDOW(test_the_partition_is_revoked),
        WITH_SMALL_WINDOW(test_the_older_of_a_pair_goes_first),
        WITH_SMALL_WINDOW(test_known_when_it_is_fetched),
        WITH_SMALL_WINDOW(test_fetched_while_states_are_read),
        WITH_SMALL_WINDOW(test_the_index_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
