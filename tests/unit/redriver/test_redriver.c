/* When passes begin and end, and what becomes of them in a rebalance or by hand. The pass, the
 * group and the reader are the test's, and so is the time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "redriver/member.h"
#include "redriver/pass.h"
#include "redriver/redriver.h"

enum {
    INTERVAL_MS = 1000,
    PARTITIONS = 3,
    SETTLE_ITERATIONS = 3
};

static struct test {
    int64_t clock_ms;
    struct loop *loop;
    struct redriver_config config;
    struct redriver *redriver;
    struct member_events member;
    struct pass_settings pass;
    struct pass_result result;
    int32_t partitions[PARTITIONS];
    size_t count;
    bool assigned, busy, lost, refuses;
    int begun, stopped, released, forgotten;
    int64_t stop_ms, chosen;
} t;

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    now->tv_sec += t.clock_ms / 1000;
    now->tv_nsec += t.clock_ms % 1000 * 1000000;
    if (now->tv_nsec >= 1000000000) {
        now->tv_sec++;
        now->tv_nsec -= 1000000000;
    }
    return result;
}

/* --- the reader ------------------------------------------------------------------------------- */

struct reader *reader_open(struct loop *loop, const struct kafka_options *kafka, const char *topic,
                           char *error, size_t error_size) {
    (void)loop, (void)kafka, (void)topic, (void)error, (void)error_size;
    return (struct reader *)(void *)&t;
}

void reader_close(struct reader *r) {
    (void)r;
}

bool reader_up(const struct reader *r) {
    (void)r;
    return true;
}

rd_kafka_t *reader_handle(const struct reader *r) {
    (void)r;
    return NULL;
}

struct kafka_positions *kafka_positions_open(struct loop *loop, rd_kafka_t *rk, const char *topic,
                                             kafka_positions_fn *fn, void *arg) {
    (void)loop, (void)rk, (void)topic, (void)fn, (void)arg;
    return (struct kafka_positions *)(void *)&t;
}

void kafka_positions_close(struct kafka_positions *p) {
    (void)p;
}

bool kafka_positions_ask(struct kafka_positions *p,
                         const struct kafka_positions_question *question) {
    (void)p, (void)question;
    return true;
}

/* --- the group -------------------------------------------------------------------------------- */

struct member *member_open(struct loop *loop, const struct kafka_options *kafka, bool in_group,
                           const struct member_events *events, char *error, size_t error_size) {
    (void)loop, (void)kafka, (void)in_group, (void)error, (void)error_size;
    t.member = *events;
    return (struct member *)(void *)&t;
}

void member_close(struct member *m) {
    (void)m;
}

bool member_join(struct member *m, int32_t partitions, char *error, size_t error_size) {
    (void)m, (void)partitions;
    snprintf(error, error_size, "refused");
    return !t.refuses;
}

void member_release(struct member *m) {
    (void)m;
    t.released++;
}

bool member_assigned(const struct member *m) {
    (void)m;
    return t.assigned;
}

const int32_t *member_partitions(const struct member *m, size_t *count) {
    (void)m;
    *count = t.count;
    return t.partitions;
}

struct kafka_commits *member_commits(const struct member *m) {
    (void)m;
    return NULL;
}

int64_t member_deleted(const struct member *m) {
    (void)m;
    return 0;
}

bool member_broken(const struct member *m) {
    (void)m;
    return false;
}

static void assign(size_t count) {
    t.assigned = true;
    t.count = count;
    t.member.assigned(t.member.arg);
}

static void take_away(bool lost) {
    t.assigned = false;
    t.count = 0;
    t.member.revoked(t.member.arg, lost);
}

/* --- the pass --------------------------------------------------------------------------------- */

struct pass *pass_open(const struct pass_settings *settings) {
    t.pass = *settings;
    return (struct pass *)(void *)&t;
}

void pass_close(struct pass *p) {
    (void)p;
}

void pass_begin(struct pass *p, const int32_t *partitions, size_t count, int64_t chosen) {
    (void)p, (void)partitions, (void)count;
    assert_false(t.busy);
    t.busy = true;
    t.begun++;
    t.chosen = chosen;
    t.result = (struct pass_result){.oldest_ms = -1};
}

bool pass_busy(const struct pass *p) {
    (void)p;
    return t.busy;
}

void pass_stop(struct pass *p, int64_t timeout_ms, bool lost) {
    (void)p;
    t.stopped += t.busy;
    t.stop_ms = timeout_ms;
    t.lost |= lost;
}

const struct pass_result *pass_result(const struct pass *p) {
    (void)p;
    return &t.result;
}

int64_t pass_waiting(const struct pass *p) {
    (void)p;
    return 0;
}

const char *pass_trouble(const struct pass *p) {
    (void)p;
    return "";
}

void pass_forget(struct pass *p) {
    (void)p;
    t.forgotten++;
}

/* The pass under way ends so. */
static void end_pass(struct pass_result result) {
    assert_true(t.busy);
    t.busy = false;
    t.result = result;
    t.pass.done(t.pass.arg);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void wake(void *arg) {
    (void)arg;
}

static void run(int64_t ms) {
    struct loop_timer now = {0};
    t.clock_ms += ms;
    for (int i = 0; i < SETTLE_ITERATIONS; i++) {
        loop_timer_set(t.loop, &now, 0, wake, NULL);
        assert_true(loop_run_once(t.loop));
    }
}

static void begin(struct redriver_config config) {
    char error[256];
    int64_t clock_ms = t.clock_ms;
    t = (struct test){.clock_ms = clock_ms, .config = config, .loop = loop_open()};
    log_init("test", LOG_ERROR, LOG_TEXT);
    t.config.interval_ms = INTERVAL_MS;
    t.config.kafka.names.topics[TOPIC_QUERY] = "to";
    t.config.kafka.names.topics[TOPIC_DEADLETTER] = "from";
    const struct redriver_parts parts = {t.loop, &t.config, NULL, NULL};
    t.redriver = redriver_open(&parts, error, sizeof error);
    assert_non_null(t.redriver);
}

static void end(void) {
    redriver_close(t.redriver);
    loop_close(t.loop);
}

static const struct pass_result whole = {.located = true, .whole = true, .oldest_ms = -1};

static void test_a_pass_begins_every_interval(void **state) {
    (void)state;
    begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID});
    redriver_begin(t.redriver, PARTITIONS);
    run(0);
    assert_int_equal(t.begun, 0); /* there are no partitions yet */
    assign(2);
    run(0);
    assert_int_equal(t.begun, 1);
    run(INTERVAL_MS * 3); /* longer than the interval */
    end_pass(whole);
    run(0);
    assert_int_equal(t.begun, 2);
    end_pass(whole);
    run(INTERVAL_MS - 50);
    assert_int_equal(t.begun, 2);
    run(50);
    assert_int_equal(t.begun, 3);
    assert_false(redriver_over(t.redriver));
    end();
}

static void test_a_rebalance_waits_for_the_pass_and_the_next_one_does_not_wait(void **state) {
    (void)state;
    begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID});
    redriver_begin(t.redriver, PARTITIONS);
    assign(2);
    run(0);
    take_away(false);
    assert_int_equal(t.stopped, 1);
    assert_int_equal(t.stop_ms, PASS_NO_TIMEOUT);
    assert_int_equal(t.released, 0);
    end_pass((struct pass_result){.located = true, .left = 5});
    assert_int_equal(t.released, 1);
    assign(1);
    run(0);
    assert_int_equal(t.begun, 2);
    end_pass(whole);
    /* Between passes nothing is waited for, and nothing is begun again. */
    take_away(false);
    assert_int_equal(t.released, 2);
    assign(3);
    run(0);
    assert_int_equal(t.begun, 2);
    end();
}

static void test_an_overdue_rebalance_ends_the_pass_at_once(void **state) {
    (void)state;
    begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID});
    redriver_begin(t.redriver, PARTITIONS);
    assign(2);
    run(0);
    take_away(true);
    assert_true(t.lost);
    t.member.overdue(t.member.arg);
    assert_int_equal(t.stop_ms, 0);
    end();
}

static void test_a_topic_that_is_gone_ends_the_pass_without_a_commit(void **state) {
    (void)state;
    begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID});
    redriver_begin(t.redriver, PARTITIONS);
    assign(2);
    run(0);
    t.member.gone(t.member.arg);
    assert_true(t.lost);
    assert_int_equal(t.stop_ms, 0);
    end_pass((struct pass_result){.located = true});
    t.member.gone(t.member.arg); /* of a commit of that pass */
    assert_int_equal(t.stopped, 1);
    run(INTERVAL_MS);
    assert_int_equal(t.begun, 2);
    end();
}

/* They may have been another member's meanwhile. */
static void test_what_was_not_committed_is_forgotten_with_a_new_assignment(void **state) {
    (void)state;
    begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID});
    redriver_begin(t.redriver, PARTITIONS);
    assign(2);
    run(0);
    assert_int_equal(t.forgotten, 1);
    end_pass((struct pass_result){.located = true, .whole = true, .uncommitted = true});
    assert_int_equal(t.forgotten, 1);
    take_away(false);
    assign(2);
    assert_int_equal(t.forgotten, 2);
    end();
}

static void test_by_hand_the_topics_are_waited_for_for_a_bounded_time(void **state) {
    (void)state;
    begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID, .once = true});
    run(29900);
    assert_false(redriver_over(t.redriver));
    run(200);
    assert_true(redriver_over(t.redriver));
    assert_false(redriver_has_read(t.redriver));
    end();
}

static void test_by_hand_the_group_is_waited_for_for_a_bounded_time(void **state) {
    (void)state;
    begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID, .once = true});
    run(20000);
    redriver_begin(t.redriver, PARTITIONS);
    run(89000);
    assert_false(redriver_over(t.redriver));
    run(2000);
    assert_true(redriver_over(t.redriver));
    assert_false(redriver_has_read(t.redriver));
    end();
}

static void test_by_hand_the_offsets_are_waited_for_for_a_bounded_time(void **state) {
    (void)state;
    begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID, .once = true});
    redriver_begin(t.redriver, PARTITIONS);
    assign(1);
    run(0);
    run(31000);
    assert_true(redriver_over(t.redriver));
    assert_false(redriver_has_read(t.redriver));
    end();
}

static void test_by_hand_a_pass_that_reads_has_its_time(void **state) {
    (void)state;
    begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID, .once = true});
    redriver_begin(t.redriver, PARTITIONS);
    assign(1);
    run(0);
    t.result.located = true;
    run(3600000);
    assert_false(redriver_over(t.redriver));
    end_pass(whole);
    assert_true(redriver_over(t.redriver));
    assert_true(redriver_has_read(t.redriver));
    assert_false(redriver_incomplete(t.redriver));
    end();
}

static void test_by_hand_a_pass_that_was_cut_short_goes_on(void **state) {
    (void)state;
    begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID, .once = true});
    redriver_begin(t.redriver, PARTITIONS);
    assign(2);
    run(0);
    take_away(false);
    end_pass((struct pass_result){.located = true, .moved = 7});
    assert_false(redriver_over(t.redriver));
    assign(1);
    run(0);
    assert_int_equal(t.chosen, 7); /* they count towards the limit */
    end_pass(whole);
    assert_true(redriver_over(t.redriver));
    assert_false(redriver_incomplete(t.redriver));
    end();
}

static const struct {
    const char *what;
    struct pass_result result;
    bool incomplete;
} ends[] = {
    {"all moved", {.located = true, .whole = true, .moved = 3}, false},
    {"the limit left some", {.located = true, .left = 3}, false},
    {"some never fit", {.located = true, .whole = true, .hopeless = 2, .left = 2}, false},
    {"a partition could not be asked about", {.located = true, .unreached = 1}, true},
    {"a partition brought nothing", {.located = true, .stalled = 1}, true},
    {"the query topic took some not", {.located = true, .refused = 1}, true},
    {"no commit", {.located = true, .whole = true, .uncommitted = true}, true},
};

static void test_by_hand_a_fault_is_no_success(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID, .once = true});
        redriver_begin(t.redriver, PARTITIONS);
        assign(1);
        run(0);
        end_pass(ends[i].result);
        assert_true(redriver_over(t.redriver));
        if (redriver_incomplete(t.redriver) != ends[i].incomplete)
            fail_msg("%s", ends[i].what);
        end();
    }
}

static void test_a_group_that_cannot_be_joined_ends_the_program(void **state) {
    (void)state;
    begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID});
    t.refuses = true;
    redriver_begin(t.redriver, PARTITIONS);
    assert_true(redriver_broken(t.redriver));
    end();
}

static bool has_line(const struct buffer *text, const char *line) {
    const char *found = strstr(buffer_text(text), line);
    return found != NULL && found[strlen(line)] == '\n';
}

static void test_what_a_pass_left_is_in_the_metrics(void **state) {
    (void)state;
    struct buffer text;
    begin((struct redriver_config){.from = REDRIVER_FROM_UNSAID});
    redriver_begin(t.redriver, PARTITIONS);
    assign(1);
    run(0);
    end_pass((struct pass_result){.lost = 3, .beyond_end = 1, .hopeless = 2, .unreached = 1});
    run(INTERVAL_MS);
    end_pass((struct pass_result){.lost = 1, .stalled = 2, .uncommitted = true});
    buffer_init(&text, 65536);
    redriver_write_metrics(t.redriver, &text);
    assert_true(has_line(&text, "athena_query_deadletter_lost_total 4"));
    assert_true(has_line(&text, "athena_query_deadletter_beyond_end_total 1"));
    assert_true(has_line(&text, "athena_query_deadletter_hopeless 0"));
    assert_true(has_line(&text, "athena_query_redrive_unread_partitions 2"));
    assert_true(has_line(&text, "athena_query_redrive_uncommitted 1"));
    assert_true(has_line(&text, "athena_query_redrive_passes_total 2"));
    buffer_free(&text);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pass_begins_every_interval),
        cmocka_unit_test(test_a_rebalance_waits_for_the_pass_and_the_next_one_does_not_wait),
        cmocka_unit_test(test_an_overdue_rebalance_ends_the_pass_at_once),
        cmocka_unit_test(test_a_topic_that_is_gone_ends_the_pass_without_a_commit),
        cmocka_unit_test(test_what_was_not_committed_is_forgotten_with_a_new_assignment),
        cmocka_unit_test(test_by_hand_the_topics_are_waited_for_for_a_bounded_time),
        cmocka_unit_test(test_by_hand_the_group_is_waited_for_for_a_bounded_time),
        cmocka_unit_test(test_by_hand_the_offsets_are_waited_for_for_a_bounded_time),
        cmocka_unit_test(test_by_hand_a_pass_that_reads_has_its_time),
        cmocka_unit_test(test_by_hand_a_pass_that_was_cut_short_goes_on),
        cmocka_unit_test(test_by_hand_a_fault_is_no_success),
        cmocka_unit_test(test_a_group_that_cannot_be_joined_ends_the_program),
        cmocka_unit_test(test_what_a_pass_left_is_in_the_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
