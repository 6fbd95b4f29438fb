/* The states of jobs: the table, the lists that they are in, and how long they live. */
#include "tests/unit/executor/stubs.h"

#include "executor/query/job_state.h"

/* The table once more, by another way: what each state may become, in words. */
static const struct {
    enum job_state from;
    const char *to;
} table[] = {
    {JOB_RECEIVED, "behind waiting running settling finished indexed dropped"},
    {JOB_BEHIND, "received dropped"},
    {JOB_WAITING, "starting running settling finished dropped"},
    {JOB_STARTING, "running settling ambiguous-backoff refused-backoff waiting finished dropped"},
    {JOB_AMBIGUOUS_BACKOFF, "ask-again dropped"},
    {JOB_ASK_AGAIN, "starting running settling finished dropped"},
    {JOB_REFUSED_BACKOFF, "waiting dropped"},
    {JOB_RUNNING, "running settling dropped"},
    {JOB_SETTLING, "waiting finished dropped"},
    {JOB_FINISHED, ""},
    {JOB_INDEXED, ""},
    {JOB_DROPPED, ""},
};
_Static_assert(sizeof table / sizeof *table == JOB_STATES, "a row for each state");

static bool has_word(const char *words, const char *word) {
    size_t n = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

static void test_table(void **state) {
    (void)state;
    for (int i = 0; i < JOB_STATES; i++)
        for (int to = 0; to < JOB_STATES; to++) {
            const char *name = job_state_name((enum job_state)to);
            if (job_may_become(table[i].from, (enum job_state)to) != has_word(table[i].to, name))
                fail_msg("%s to %s", job_state_name(table[i].from), name);
        }
}

/* --- a loop, a partition and jobs ------------------------------------------------------------- */

static struct {
    struct loop *loop;
    struct slots slots;
    struct jobs jobs;
    struct partition partition;
    int finished, fewer;
    int64_t offset;
} t;

static void on_finished(void *arg, struct partition *p, int64_t offset) {
    (void)arg;
    assert_ptr_equal(p, &t.partition);
    t.finished++;
    t.offset = offset;
}

static void on_fewer(void *arg) {
    (void)arg;
    t.fewer++;
}

static int begin(void **state) {
    (void)state;
    stubs_reset();
    memset(&t, 0, sizeof t);
    const struct jobs_events events = {on_finished, on_fewer, NULL};
    t.loop = loop_open();
    TAILQ_INIT(&t.partition.jobs);
    slots_init(&t.slots, 0, true);
    jobs_init(&t.jobs, t.loop, &t.slots, &events);
    return 0;
}

static int end(void **state) {
    (void)state;
    jobs_close(&t.jobs);
    loop_close(t.loop);
    stubs_reset();
    return 0;
}

/* Those of one user; `path`: the states on the way, ended by JOB_RECEIVED. */
static struct job *job_on(const enum job_state *path) {
    struct job *job = job_new(&t.jobs, &t.partition);
    job->offset = 7;
    for (; *path != JOB_RECEIVED; path++)
        job_transition(job, *path);
    return job;
}

#define JOB_ON(...) job_on((const enum job_state[]){__VA_ARGS__, JOB_RECEIVED})

static void iterate(void) {
    struct loop_timer now = {0};
    loop_timer_set(t.loop, &now, 0, on_fewer, NULL);
    assert_true(loop_run_once(t.loop));
}

static size_t count_in(const struct job_list *list) {
    const struct job *job;
    size_t count = 0;
    TAILQ_FOREACH(job, list, in_list)
    count++;
    return count;
}

static void test_each_state_has_its_list(void **state) {
    (void)state;
    JOB_ON(JOB_WAITING);
    assert_int_equal(jobs_waiting(&t.jobs, LANE_DML), 1);
    JOB_ON(JOB_WAITING, JOB_STARTING);
    assert_int_equal(jobs_starting(&t.jobs), 1);
    struct job *again = JOB_ON(JOB_WAITING, JOB_STARTING, JOB_AMBIGUOUS_BACKOFF);
    assert_int_equal(count_in(&t.jobs.ask_again), 0);
    job_transition(again, JOB_ASK_AGAIN);
    assert_int_equal(count_in(&t.jobs.ask_again), 1);
    struct job *runs = JOB_ON(JOB_WAITING, JOB_STARTING, JOB_RUNNING);
    assert_int_equal(count_in(&t.jobs.running), 1);
    const struct job *other = JOB_ON(JOB_WAITING, JOB_STARTING, JOB_RUNNING);
    job_transition(runs, JOB_RUNNING); /* asked for: behind all others */
    assert_ptr_equal(TAILQ_FIRST(&t.jobs.running), other);
    assert_int_equal(count_in(&t.jobs.running), 2);
    assert_int_equal(jobs_followed(&t.jobs), 2);
    job_transition(TAILQ_FIRST(&t.jobs.running), JOB_SETTLING);
    job_transition(runs, JOB_SETTLING);
    assert_int_equal(count_in(&t.jobs.running), 0);
    assert_int_equal(jobs_followed(&t.jobs), 0);
    job_transition(again, JOB_STARTING);
    assert_int_equal(count_in(&t.jobs.ask_again), 0);
    assert_int_equal(jobs_waiting(&t.jobs, LANE_DML), 1);
    while (!TAILQ_EMPTY(&t.partition.jobs))
        job_drop(TAILQ_FIRST(&t.partition.jobs));
    assert_int_equal(jobs_waiting(&t.jobs, LANE_DML), 0);
    assert_int_equal(t.finished, 0);
}

/* The caller of what finishes a job may still read it; at the end of the iteration it is gone. */
static void test_it_lives_until_the_end_of_the_iteration(void **state) {
    (void)state;
    struct job *job = JOB_ON(JOB_WAITING, JOB_STARTING, JOB_SETTLING, JOB_FINISHED);
    assert_int_equal(t.finished, 1);
    assert_int_equal(t.offset, 7);
    assert_true(t.fewer > 0);
    assert_int_equal(job->state, JOB_FINISHED);
    assert_null(job->partition);
    assert_true(TAILQ_EMPTY(&t.partition.jobs));
    assert_int_equal(t.jobs.count[JOB_FINISHED], 1);
    iterate();
    assert_int_equal(t.jobs.count[JOB_FINISHED], 0);
    assert_true(TAILQ_EMPTY(&t.jobs.ended));
}

static void test_what_it_holds_is_given_back(void **state) {
    (void)state;
    struct job *job = JOB_ON(JOB_WAITING);
    assert_true(slot_take(&t.slots, job->lane, &job->slot, 0, 1));
    job_transition(job, JOB_STARTING);
    job->call = aws_start(NULL, &aws_athena, "StartQueryExecution", "{}", 2, 1000, NULL, job);
    loop_timer_set(t.loop, &job->timer, 1000, on_fewer, NULL);
    assert_int_equal(slots_taken(&t.slots), 1);
    job_drop(job);
    assert_int_equal(slots_taken(&t.slots), 0);
    assert_int_equal(job->timer.place, 0);
    assert_false(stub_aws.calls[0].open);
    assert_int_equal(job->state, JOB_DROPPED);
    assert_int_equal(t.finished, 0);
}

/* The report of a record that is under way finds no job, and nothing is sent again. */
static void test_one_with_a_record_under_way(void **state) {
    (void)state;
    struct job *job = JOB_ON(JOB_SETTLING);
    struct job_flight flight = {job, &job->status};
    job->status.flight = &flight;
    loop_timer_set(t.loop, &job->copy.timer, 1000, on_fewer, NULL);
    job_drop(job);
    assert_null(flight.job);
    assert_null(job->status.flight);
    assert_int_equal(job->copy.timer.place, 0);
    iterate();
    assert_int_equal(t.jobs.count[JOB_DROPPED], 0);
}

static void test_dropped_while_it_ran(void **state) {
    (void)state;
    job_drop(JOB_ON(JOB_WAITING, JOB_STARTING, JOB_RUNNING));
    job_drop(JOB_ON(JOB_WAITING, JOB_STARTING, JOB_RUNNING, JOB_RUNNING));
    job_drop(JOB_ON(JOB_WAITING, JOB_STARTING));
    assert_int_equal(t.jobs.runaways, 2);
}

static void test_place_in_the_window(void **state) {
    (void)state;
    struct job *first = JOB_ON(JOB_WAITING), *second = JOB_ON(JOB_WAITING);
    assert_ptr_equal(job_of_item(window_first(&t.jobs.window[LANE_DML])), first);
    job_transition(first, JOB_STARTING);
    first->keeps_place = true;
    job_transition(first, JOB_WAITING);
    assert_ptr_equal(job_of_item(window_first(&t.jobs.window[LANE_DML])), first);
    job_transition(first, JOB_STARTING);
    first->keeps_place = false;
    job_transition(first, JOB_WAITING);
    assert_ptr_equal(job_of_item(window_first(&t.jobs.window[LANE_DML])), second);
    job_drop(first);
    job_drop(second);
}

/* --- pairs ------------------------------------------------------------------------------------ */

/* A record of a pair, by the letter of its token, and its text, by the first byte of its SHA-256.
 */
static struct job *job_of_pair(char pair, uint8_t text) {
    struct job *job = job_new(&t.jobs, &t.partition);
    memset(job->token, pair, sizeof job->token - 1);
    job->sha256[0] = text;
    job->has_sha256 = true;
    return job;
}

/* The first of its pair, which waits, and one behind it. */
static struct job *pair_of(char pair, uint8_t text, struct job **second, uint8_t second_text) {
    struct job *first = job_of_pair(pair, text);
    job_transition(first, JOB_WAITING);
    *second = job_of_pair(pair, second_text);
    assert_ptr_equal(pairs_find(&t.jobs.pairs, (*second)->token), first);
    job_wait_behind(*second, first);
    assert_int_equal((*second)->state, JOB_BEHIND);
    return first;
}

static void run(struct job *job) {
    job_transition(job, JOB_STARTING);
    job->execution_id = mem_string("e");
    job_transition(job, JOB_RUNNING);
}

static void drop_all(void) {
    while (!TAILQ_EMPTY(&t.partition.jobs))
        job_drop(TAILQ_FIRST(&t.partition.jobs));
}

/* Each pair has one that stands for it, as long as that is not ended. */
static void test_one_stands_for_its_pair(void **state) {
    (void)state;
    struct job *a = job_of_pair('a', 1), *b = job_of_pair('b', 1);
    assert_null(pairs_find(&t.jobs.pairs, a->token));
    job_transition(a, JOB_WAITING);
    job_transition(b, JOB_WAITING);
    assert_ptr_equal(pairs_find(&t.jobs.pairs, a->token), a);
    run(a);
    job_transition(a, JOB_SETTLING);
    assert_ptr_equal(pairs_find(&t.jobs.pairs, a->token), a);
    job_transition(a, JOB_FINISHED);
    assert_null(pairs_find(&t.jobs.pairs, a->token));
    job_transition(b, JOB_STARTING);
    job_transition(b, JOB_REFUSED_BACKOFF);
    job_transition(b, JOB_WAITING);
    assert_ptr_equal(pairs_find(&t.jobs.pairs, b->token), b);
    job_drop(b);
    assert_null(pairs_find(&t.jobs.pairs, b->token));
}

/* It ends as the first one does, and is not counted, asked for or looked at. */
static void test_a_repetition_ends_with_the_first(void **state) {
    (void)state;
    struct job *second, *first = pair_of('a', 1, &second, 1);
    run(first);
    assert_int_equal(second->state, JOB_BEHIND);
    assert_string_equal(second->execution_id, "e");
    assert_int_equal(jobs_followed(&t.jobs), 1);
    job_transition(first, JOB_SETTLING);
    first->final_state = STATUS_FAILED;
    job_transition(first, JOB_FINISHED);
    assert_int_equal(second->state, JOB_RECEIVED);
    assert_true(second->pair_ended);
    drop_all();
}

/* Whatever the reason why the first one did not start. */
static void test_a_repetition_has_a_turn_of_its_own(void **state) {
    (void)state;
    struct job *second, *first = pair_of('a', 1, &second, 1);
    job_transition(first, JOB_STARTING);
    job_transition(first, JOB_SETTLING);
    assert_int_equal(second->state, JOB_BEHIND);
    first->final_state = STATUS_THROTTLED;
    job_transition(first, JOB_FINISHED);
    assert_int_equal(second->state, JOB_RECEIVED);
    assert_false(second->pair_ended);
    assert_null(second->execution_id);
    job_transition(second, JOB_WAITING);
    assert_ptr_equal(pairs_find(&t.jobs.pairs, second->token), second);
    job_drop(second);
}

/* What runs is followed by the repetition where the first one's partition goes away. */
static void test_a_repetition_goes_on_with_what_runs(void **state) {
    (void)state;
    struct job *second, *first = pair_of('a', 1, &second, 1), *third = job_of_pair('a', 1);
    run(first);
    job_wait_behind(third, first);
    assert_string_equal(third->execution_id, "e");
    job_drop(first);
    assert_int_equal(second->state, JOB_RECEIVED);
    assert_false(second->pair_ended);
    job_transition(second, JOB_RUNNING);
    assert_ptr_equal(pairs_find(&t.jobs.pairs, second->token), second);
    drop_all();
}

/* Once the first one runs, the pair is its: the other need not wait for the end. */
static void test_another_text_is_let_go_when_the_first_runs(void **state) {
    (void)state;
    struct job *second, *first = pair_of('a', 1, &second, 2);
    run(first);
    assert_int_equal(second->state, JOB_RECEIVED);
    assert_null(second->execution_id);
    drop_all();
}

static void test_many_pairs(void **state) {
    (void)state;
    struct job *jobs[50];
    for (int i = 0; i < 50; i++) {
        jobs[i] = job_of_pair((char)('0' + i), 1);
        job_transition(jobs[i], JOB_WAITING);
    }
    for (int i = 0; i < 50; i++)
        assert_ptr_equal(pairs_find(&t.jobs.pairs, jobs[i]->token), jobs[i]);
    drop_all();
    iterate();
    assert_int_equal(t.jobs.pairs.by_key.count, 0);
}

#define WITH_JOBS(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        WITH_JOBS(test_each_state_has_its_list),
        WITH_JOBS(test_it_lives_until_the_end_of_the_iteration),
        WITH_JOBS(test_what_it_holds_is_given_back),
        WITH_JOBS(test_one_with_a_record_under_way),
        WITH_JOBS(test_dropped_while_it_ran),
        WITH_JOBS(test_place_in_the_window),
        WITH_JOBS(test_one_stands_for_its_pair),
        WITH_JOBS(test_a_repetition_ends_with_the_first),
        WITH_JOBS(test_a_repetition_has_a_turn_of_its_own),
        WITH_JOBS(test_a_repetition_goes_on_with_what_runs),
        WITH_JOBS(test_another_text_is_let_go_when_the_first_runs),
        WITH_JOBS(test_many_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
