/*
 * One pass: what is moved, finished and committed. The topic, the query topic's producer and the
 * broker's answers are the test's: it stands in for redriver/reader.h and for producer_send().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/kafka/group.h"
#include "redriver/pass.h"
#include "tests/unit/common/kafka/fake_consumer.h"

enum {
    COMMIT_MS = 200,
    AGAIN_MS = 1000,
    PATIENCE_MS = 10000,
    SENDS_MAX = 64
};

/* --- the topic that is read ------------------------------------------------------------------- */

static struct source {
    int64_t low, end, next;      /* of partition 0, and of those that are `whole` the same */
    bool silent, reading, holds; /* `holds`: no record comes */
    bool offline[FAKE_PARTITIONS];
    int64_t starts[FAKE_PARTITIONS]; /* where each partition is read from, -1: it is not */
    kafka_positions_fn *located;
    void *located_arg;
    struct kafka_position positions[FAKE_PARTITIONS];
    size_t asked;
} source;

void reader_on_located(struct reader *r, kafka_positions_fn *fn, void *arg) {
    (void)r;
    source.located = fn;
    source.located_arg = arg;
}

bool reader_locate(struct reader *r, const int32_t *partitions, size_t count, bool committed) {
    (void)r, (void)committed;
    for (size_t i = 0; i < count; i++) {
        struct kafka_position *p = &source.positions[i];
        *p = (struct kafka_position){.partition = partitions[i],
                                     .committed = fake.committed[partitions[i]],
                                     .metadata = mem_string(fake.metadata[partitions[i]]),
                                     .low = source.low,
                                     .end = source.end};
        if (source.silent || source.offline[partitions[i]])
            snprintf(p->error, sizeof p->error, "silent");
    }
    source.asked = count;
    return true;
}

void reader_forget(struct reader *r) {
    (void)r;
}

/* The broker answers what it was asked. */
static void give_positions(void) {
    size_t count = source.asked;
    source.asked = 0;
    if (count > 0)
        source.located(source.located_arg, source.positions, count);
    for (size_t i = 0; i < count; i++)
        free(source.positions[i].metadata);
}

void reader_start(struct reader *r, const struct place *places, size_t count) {
    (void)r;
    source.reading = true;
    source.next = source.end;
    for (size_t i = 0; i < FAKE_PARTITIONS; i++)
        source.starts[i] = -1;
    for (size_t i = 0; i < count; i++)
        if (places[i].error[0] == '\0')
            source.starts[places[i].partition] = places[i].from;
    if (source.starts[0] >= 0)
        source.next = source.starts[0];
}

void reader_stop(struct reader *r) {
    (void)r;
    source.reading = false;
}

rd_kafka_message_t *reader_next(struct reader *r) {
    (void)r;
    assert_true(source.reading);
    if (source.next >= source.end || source.holds)
        return NULL;
    rd_kafka_message_t *message = mem_zero(sizeof *message);
    *message = (rd_kafka_message_t){.offset = source.next++, .payload = "{}", .len = 2};
    fake.messages_alive++;
    return message;
}

rd_kafka_resp_err_t rd_kafka_message_headers(const rd_kafka_message_t *message,
                                             rd_kafka_headers_t **headers) {
    (void)message, (void)headers;
    return RD_KAFKA_RESP_ERR__NOENT;
}

const char *rd_kafka_topic_name(const rd_kafka_topic_t *topic) {
    (void)topic;
    return FAKE_TOPIC;
}

/* --- the query topic -------------------------------------------------------------------------- */

static struct {
    size_t headers[SENDS_MAX]; /* how many each had */
    producer_done_fn *fn[SENDS_MAX];
    void *arg[SENDS_MAX];
    size_t count; /* in flight or reported */
    bool full;
} sends;

rd_kafka_resp_err_t producer_send(struct producer *p, const struct producer_record *record,
                                  producer_done_fn *fn, void *arg) {
    (void)p;
    if (sends.full)
        return RD_KAFKA_RESP_ERR__QUEUE_FULL;
    assert_true(sends.count < SENDS_MAX);
    if (record->headers != NULL)
        rd_kafka_headers_destroy(record->headers);
    sends.fn[sends.count] = fn;
    sends.arg[sends.count++] = arg;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Of the send with this number, in the order of sending. */
static void report(size_t i, rd_kafka_resp_err_t err) {
    assert_true(i < sends.count && sends.fn[i] != NULL);
    producer_done_fn *fn = sends.fn[i];
    sends.fn[i] = NULL;
    fn(sends.arg[i], err, 0, 0);
}

/* --- the pass --------------------------------------------------------------------------------- */

struct redrive {
    struct loop *loop;
    struct kafka_options kafka;
    struct kafka_group *group;
    struct pass *pass;
    int done, moved, failed;
    bool stays; /* the partitions, when a pass is done */
};

static void on_assigned(void *arg, const rd_kafka_topic_partition_list_t *list) {
    (void)arg, (void)list;
}

static void on_revoked(void *arg, bool lost) {
    struct redrive *r = arg;
    pass_stop(r->pass, PASS_NO_TIMEOUT, lost);
}

static void on_overdue(void *arg) {
    struct redrive *r = arg;
    pass_stop(r->pass, 0, false);
}

static void on_moved(void *arg, const char *database) {
    (void)database;
    ((struct redrive *)arg)->moved++;
}

static void on_failed(void *arg) {
    ((struct redrive *)arg)->failed++;
}

static void on_done(void *arg) {
    struct redrive *r = arg;
    r->done++;
    if (!r->stays)
        kafka_group_release(r->group);
}

/* The loop, `ms` later, and the broker's answers about offsets. */
static void run(struct redrive *r, int64_t ms) {
    fake_run(r->loop, ms);
    while (source.asked > 0) {
        give_positions();
        fake_run(r->loop, 0);
    }
}

static void begin_pass_over(struct redrive *r, size_t partitions) {
    static const int32_t all[FAKE_PARTITIONS] = {0, 1, 2, 3};
    pass_begin(r->pass, all, partitions, 0);
    run(r, 0);
}

static void begin_pass(struct redrive *r) {
    begin_pass_over(r, 1);
}

/* There are `records` in partition 0, and a limit or none (-1). */
static void open_pass(struct redrive *r, int64_t records, int64_t limit) {
    char error[256];
    fake_reset();
    memset(&sends, 0, sizeof sends);
    memset(&source, 0, sizeof source);
    source.end = records;
    *r = (struct redrive){.loop = loop_open(), .kafka = fake_options()};
    const struct kafka_group_settings group = {
        .topic = FAKE_TOPIC,
        .revoke_ms = 5000,
        .events = {
            .assigned = on_assigned, .revoked = on_revoked, .overdue = on_overdue, .arg = r}};
    r->group = kafka_group_open(r->loop, &r->kafka, kafka_group_conf(&r->kafka, FAKE_GROUP), &group,
                                error, sizeof error);
    assert_non_null(r->group);
    assert_true(kafka_group_join(r->group, error, sizeof error));
    const struct pass_settings settings = {.loop = r->loop,
                                           .producer = (struct producer *)(void *)&sends,
                                           .commits = kafka_group_commits(r->group),
                                           .from = FAKE_TOPIC,
                                           .to = "to",
                                           .from_committed = true,
                                           .patience_ms = PATIENCE_MS,
                                           .rules = {.limit = limit},
                                           .moved = on_moved,
                                           .failed = on_failed,
                                           .done = on_done,
                                           .arg = r};
    r->pass = pass_open(&settings);
    fake_assign(1);
    fake_run(r->loop, 0);
}

/* The same, and a pass over partition 0 has begun. */
static void begin(struct redrive *r, int64_t records, int64_t limit) {
    open_pass(r, records, limit);
    begin_pass(r);
}

static void end(struct redrive *r) {
    for (size_t i = 0; i < sends.count; i++)
        if (sends.fn[i] != NULL)
            report(i, RD_KAFKA_RESP_ERR__PURGE_QUEUE); /* as the producer's close does */
    pass_close(r->pass);
    kafka_group_close(r->group);
    loop_close(r->loop);
    fake_end();
}

static void answer(struct redrive *r, rd_kafka_resp_err_t err) {
    fake_answer(err, false);
    fake_run(r->loop, 0);
}

/* Refuses send number `i`, and what is sent instead of it, until nothing more is; the next number
 * is `next`. */
static void refuse_all(struct redrive *r, size_t i, size_t next, rd_kafka_resp_err_t err) {
    report(i, err);
    run(r, 0);
    assert_int_equal(sends.count, next + 1);
    report(next, err);
    run(r, 0);
    assert_int_equal(sends.count, next + 2);
    report(next + 1, err);
    run(r, 0);
}

static void test_a_letter_is_committed_once_it_is_acknowledged(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 3, -1);
    assert_int_equal(sends.count, 3);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&r, COMMIT_MS + 1);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 0);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(2, RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&r, 0);
    assert_int_equal(r.done, 0); /* the last commit is under way, and did not wait */
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 3);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.moved, 3);
    assert_true(pass_result(r.pass)->whole);
    end(&r);
}

static void test_a_letter_is_sent_until_it_is_acknowledged(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 2, -1);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(0, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    assert_int_equal(r.failed, 1);
    sends.full = true; /* back-pressure is no failure */
    run(&r, 10000);
    run(&r, 10000);
    assert_int_equal(sends.count, 2);
    sends.full = false;
    run(&r, 10000);
    assert_int_equal(sends.count, 3);
    assert_int_equal(r.failed, 1);
    report(2, RD_KAFKA_RESP_ERR_NO_ERROR);
    while (r.done == 0) {
        run(&r, COMMIT_MS);
        if (fake_is_committing())
            answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    assert_int_equal(fake.committed[0], 2);
    end(&r);
}

/* It is tried with fewer headers. The producer has sent it alone by itself. */
static void test_a_letter_that_is_too_large_stays_and_holds_the_offset(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 2, -1);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    refuse_all(&r, 0, 2, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    run(&r, COMMIT_MS + 1);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(r.done, 1);
    assert_int_equal(fake.committed[0], 0);
    assert_string_equal(fake.metadata[0], "aq1 0 1:1"); /* the other is not moved twice */
    assert_int_equal(pass_result(r.pass)->left, 1);
    assert_int_equal(pass_result(r.pass)->hopeless, 1);
    assert_int_equal(r.failed, 0);
    end(&r);
}

static void test_a_letter_that_is_too_large_may_fit_with_fewer_headers(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 1, -1);
    report(0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    run(&r, 0);
    assert_int_equal(sends.count, 2);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&r, 0);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 1);
    assert_int_equal(pass_result(r.pass)->left, 0);
    end(&r);
}

/* A batch that is invalid is sent again one by one; what is invalid alone stays where it is. */
static void test_a_letter_that_is_invalid_keeps_no_other_from_moving(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 2, -1);
    report(0, RD_KAFKA_RESP_ERR_INVALID_MSG);
    report(1, RD_KAFKA_RESP_ERR_INVALID_MSG);
    run(&r, 10000);
    assert_int_equal(sends.count, 3); /* alone */
    report(2, RD_KAFKA_RESP_ERR_INVALID_MSG);
    run(&r, 10000);
    assert_int_equal(sends.count, 4);
    report(3, RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&r, COMMIT_MS + 1);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.moved, 1);
    assert_int_equal(pass_result(r.pass)->hopeless, 1);
    end(&r);
}

static void test_letters_that_cannot_move_do_not_use_up_the_limit(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 6, 2);
    assert_int_equal(sends.count, 2);
    refuse_all(&r, 0, 2, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    report(1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    run(&r, 0);
    assert_int_equal(sends.count, 6); /* the third, and the second with fewer headers */
    report(4, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(5, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    run(&r, 0);
    report(6, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    run(&r, 0);
    report(7, RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&r, 0);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(r.done, 1);
    assert_int_equal(pass_result(r.pass)->moved, 2);
    assert_int_equal(pass_result(r.pass)->hopeless, 2);
    assert_int_equal(pass_result(r.pass)->left, 4);
    end(&r);
}

static void test_what_the_limit_leaves_is_not_committed_over(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 5, 2);
    assert_int_equal(sends.count, 2);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&r, 0);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(r.done, 1);
    assert_int_equal(fake.committed[0], 2);
    assert_int_equal(pass_result(r.pass)->left, 3);
    end(&r);
}

static void test_a_rebalance_waits_for_what_is_in_flight(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 3, -1);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    fake_revoke(false);
    run(&r, COMMIT_MS + 1);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_true(fake.assigned);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(2, RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&r, 0);
    assert_true(fake.assigned);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_false(fake.assigned);
    assert_int_equal(fake.committed[0], 3);
    end(&r);
}

static void test_a_late_acknowledgement_is_not_committed(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 3, -1);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    fake_revoke(false);
    run(&r, 0);
    run(&r, 6000);
    assert_int_equal(r.done, 1);
    assert_false(fake.assigned);
    while (fake_is_committing())
        answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 1);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(2, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT); /* not sent again: it is another's */
    run(&r, 10000);
    assert_int_equal(sends.count, 3);
    assert_int_equal(r.moved, 2);
    assert_int_equal(fake.commits_sent, 1);

    /* The next pass goes on from what is committed. */
    fake_assign(1);
    run(&r, 0);
    begin_pass(&r);
    assert_int_equal(sends.count, 5);
    report(3, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(4, RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&r, 0);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 3);
    assert_int_equal(r.done, 2);
    end(&r);
}

static void test_lost_partitions_end_the_pass_at_once(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 3, -1);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    fake_revoke(true);
    run(&r, 0);
    assert_int_equal(r.done, 1);
    assert_int_equal(fake.commits_sent, 0);
    end(&r);
}

static void test_a_commit_that_is_refused_is_repeated_before_the_pass_ends(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 1, -1);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&r, 0);
    answer(&r, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(r.done, 0);
    run(&r, AGAIN_MS + 1);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(r.done, 1);
    assert_int_equal(fake.committed[0], 1);
    end(&r);
}

static void test_a_broker_that_is_silent_is_waited_for(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 0, -1);
    assert_int_equal(r.done, 1); /* of nothing */
    source.silent = true;
    source.end = 1;
    begin_pass(&r);
    assert_string_equal(pass_trouble(r.pass), "partition 0: silent");
    run(&r, 1000);
    assert_int_equal(sends.count, 0);
    source.silent = false;
    run(&r, 1000);
    assert_string_equal(pass_trouble(r.pass), "");
    assert_int_equal(sends.count, 1);
    end(&r);
}

/* What was moved is not moved again by the next pass, which commits it, too. */
static void test_a_commit_that_fails_for_ever_ends_the_pass(void **state) {
    (void)state;
    struct redrive r;
    open_pass(&r, 2, -1);
    fake.committed[0] = 0;
    begin_pass(&r);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    r.stays = true;
    while (r.done == 0) {
        run(&r, AGAIN_MS);
        if (fake_is_committing())
            answer(&r, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
    }
    assert_true(pass_result(r.pass)->uncommitted);
    source.end = 3;
    begin_pass(&r);
    assert_int_equal(source.starts[0], 2);
    assert_int_equal(sends.count, 3);
    report(2, RD_KAFKA_RESP_ERR_NO_ERROR);
    while (r.done == 1) {
        run(&r, COMMIT_MS);
        if (fake_is_committing())
            answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    assert_int_equal(fake.committed[0], 3);
    end(&r);
}

static void test_a_partition_that_cannot_be_asked_about_holds_no_other(void **state) {
    (void)state;
    struct redrive r;
    open_pass(&r, 2, -1);
    source.offline[1] = true;
    begin_pass_over(&r, 2);
    run(&r, 500);
    assert_int_equal(sends.count, 0); /* its leader may be there in a moment */
    run(&r, 5000);
    assert_int_equal(sends.count, 2);
    assert_int_equal(source.starts[1], -1);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&r, 0);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(r.done, 1);
    assert_int_equal(pass_result(r.pass)->unreached, 1);
    assert_false(pass_result(r.pass)->whole);
    assert_int_equal(fake.committed[0], 2);
    assert_int_equal(fake.committed[1], -1);
    end(&r);
}

static void test_a_partition_that_brings_nothing_ends_the_pass(void **state) {
    (void)state;
    struct redrive r;
    open_pass(&r, 3, -1);
    source.holds = true;
    begin_pass(&r);
    run(&r, PATIENCE_MS - 1);
    assert_int_equal(r.done, 0);
    run(&r, 2);
    assert_int_equal(r.done, 1);
    assert_int_equal(pass_result(r.pass)->stalled, 1);
    assert_int_equal(pass_result(r.pass)->left, 3);
    assert_false(pass_result(r.pass)->whole);
    end(&r);
}

/* One partition of the query topic has no leader: the others' letters are not kept waiting. */
static void test_a_letter_that_is_not_acknowledged_is_left_to_the_next_pass(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 2, -1);
    report(0, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    run(&r, 10000);
    assert_int_equal(sends.count, 3);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(2, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    run(&r, COMMIT_MS + 1);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.failed, 2);
    assert_int_equal(sends.count, 3);
    assert_int_equal(pass_result(r.pass)->refused, 1);
    assert_int_equal(pass_result(r.pass)->left, 1);
    assert_string_equal(fake.metadata[0], "aq1 0 1:1");
    end(&r);
}

static void test_a_query_topic_that_takes_nothing_ends_the_pass(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 2, -1);
    source.holds = true; /* there is more to come */
    source.end = 100;
    report(0, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    report(1, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    run(&r, 10000);
    assert_int_equal(sends.count, 4);
    report(2, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    report(3, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    run(&r, 0);
    assert_int_equal(r.done, 1);
    assert_int_equal(pass_result(r.pass)->refused, 2);
    end(&r);
}

static void test_a_commit_beyond_the_end_moves_what_is_there(void **state) {
    (void)state;
    struct redrive r;
    open_pass(&r, 5, -1);
    source.low = 3;
    fake.committed[0] = 400;
    begin_pass(&r);
    assert_int_equal(source.starts[0], 3);
    assert_int_equal(sends.count, 2);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&r, 0);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 5);
    assert_int_equal(pass_result(r.pass)->beyond_end, 1);
    end(&r);
}

/* Else every pass would find, log and count it again. */
static void test_a_commit_beyond_the_end_is_mended_where_nothing_is_there(void **state) {
    (void)state;
    struct redrive r;
    open_pass(&r, 3, -1);
    source.low = 3;
    fake.committed[0] = 400;
    begin_pass(&r);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 3);
    assert_int_equal(r.done, 1);
    end(&r);
}

static void test_what_retention_took_is_counted_once(void **state) {
    (void)state;
    struct redrive r;
    open_pass(&r, 7, -1);
    source.low = 7;
    fake.committed[0] = 2;
    r.stays = true;
    begin_pass(&r);
    assert_int_equal(pass_result(r.pass)->lost, 5);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(r.done, 1);
    begin_pass(&r);
    assert_int_equal(pass_result(r.pass)->lost, 0);
    end(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_letter_is_committed_once_it_is_acknowledged),
        cmocka_unit_test(test_a_letter_is_sent_until_it_is_acknowledged),
        cmocka_unit_test(test_a_letter_that_is_too_large_stays_and_holds_the_offset),
        cmocka_unit_test(test_a_letter_that_is_too_large_may_fit_with_fewer_headers),
        cmocka_unit_test(test_a_letter_that_is_invalid_keeps_no_other_from_moving),
        cmocka_unit_test(test_letters_that_cannot_move_do_not_use_up_the_limit),
        cmocka_unit_test(test_what_the_limit_leaves_is_not_committed_over),
        cmocka_unit_test(test_a_rebalance_waits_for_what_is_in_flight),
        cmocka_unit_test(test_a_late_acknowledgement_is_not_committed),
        cmocka_unit_test(test_lost_partitions_end_the_pass_at_once),
        cmocka_unit_test(test_a_commit_that_is_refused_is_repeated_before_the_pass_ends),
        cmocka_unit_test(test_a_broker_that_is_silent_is_waited_for),
        cmocka_unit_test(test_a_commit_that_fails_for_ever_ends_the_pass),
        cmocka_unit_test(test_a_partition_that_cannot_be_asked_about_holds_no_other),
        cmocka_unit_test(test_a_partition_that_brings_nothing_ends_the_pass),
        cmocka_unit_test(test_a_letter_that_is_not_acknowledged_is_left_to_the_next_pass),
        cmocka_unit_test(test_a_query_topic_that_takes_nothing_ends_the_pass),
        cmocka_unit_test(test_a_commit_beyond_the_end_moves_what_is_there),
        cmocka_unit_test(test_a_commit_beyond_the_end_is_mended_where_nothing_is_there),
        cmocka_unit_test(test_what_retention_took_is_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
