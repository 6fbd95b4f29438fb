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
    SENDS_MAX = 64
};

/* --- the topic that is read ------------------------------------------------------------------- */

static struct source {
    int64_t low, end, next; /* of the one partition */
    bool silent, reading;
} source;

struct reader_place *reader_places(const int32_t *partitions, size_t count) {
    struct reader_place *places = mem_zero((count + 1) * sizeof *places);
    for (size_t i = 0; i < count; i++)
        places[i].partition = partitions[i];
    return places;
}

void reader_places_free(struct reader_place *places, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(places[i].metadata);
    free(places);
}

bool reader_locate(struct reader *r, const char *topic, struct reader_place *places, size_t count,
                   bool committed, char *error, size_t error_size) {
    (void)r, (void)topic, (void)committed;
    snprintf(error, error_size, "silent");
    for (size_t i = 0; i < count && !source.silent; i++) {
        int64_t at = fake.committed[places[i].partition];
        places[i].committed = at;
        places[i].metadata = mem_string(fake.metadata[places[i].partition]);
        places[i].low = source.low;
        places[i].end = source.end;
        places[i].from = at > source.low ? at : source.low;
    }
    return !source.silent;
}

void reader_start(struct reader *r, const char *topic, const struct reader_place *places,
                  size_t count) {
    (void)r, (void)topic;
    source.reading = true;
    source.next = count > 0 ? places[0].from : source.end;
}

void reader_stop(struct reader *r) {
    (void)r;
    source.reading = false;
}

rd_kafka_message_t *reader_next(struct reader *r) {
    (void)r;
    assert_true(source.reading);
    if (source.next >= source.end)
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
    kafka_group_release(r->group);
}

static void begin_pass(struct redrive *r) {
    static const int32_t partitions[] = {0};
    pass_begin(r->pass, partitions, 1, 0);
    fake_run(r->loop, 0);
}

/* A pass over `records` of partition 0 has begun, with a limit or none (-1). */
static void begin(struct redrive *r, int64_t records, int64_t limit) {
    char error[256];
    fake_reset();
    memset(&sends, 0, sizeof sends);
    source = (struct source){.end = records};
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
                                           .rules = {.limit = limit},
                                           .moved = on_moved,
                                           .failed = on_failed,
                                           .done = on_done,
                                           .arg = r};
    r->pass = pass_open(&settings);
    fake_assign(1);
    fake_run(r->loop, 0);
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

static void test_a_letter_is_committed_once_it_is_acknowledged(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 3, -1);
    assert_int_equal(sends.count, 3);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    fake_run(r.loop, COMMIT_MS + 1);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 0);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(2, RD_KAFKA_RESP_ERR_NO_ERROR);
    fake_run(r.loop, 0);
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
    fake_run(r.loop, 10000);
    fake_run(r.loop, 10000);
    assert_int_equal(sends.count, 2);
    sends.full = false;
    fake_run(r.loop, 10000);
    assert_int_equal(sends.count, 3);
    assert_int_equal(r.failed, 1);
    report(2, RD_KAFKA_RESP_ERR_NO_ERROR);
    while (r.done == 0) {
        fake_run(r.loop, COMMIT_MS);
        if (fake_is_committing())
            answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    assert_int_equal(fake.committed[0], 2);
    end(&r);
}

/* A batch that is too large is sent again one by one; what is too large alone stays where it is. */
static void test_a_letter_that_is_too_large_stays_and_holds_the_offset(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 2, -1);
    report(0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    report(1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    fake_run(r.loop, 10000);
    assert_int_equal(sends.count, 3); /* alone */
    report(2, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    fake_run(r.loop, 10000);
    assert_int_equal(sends.count, 4);
    report(3, RD_KAFKA_RESP_ERR_NO_ERROR);
    fake_run(r.loop, COMMIT_MS + 1);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(r.done, 1);
    assert_int_equal(fake.committed[0], 0);
    assert_string_equal(fake.metadata[0], "aq1 0 1:1"); /* the other is not moved twice */
    assert_int_equal(pass_result(r.pass)->left, 1);
    end(&r);
}

static void test_what_the_limit_leaves_is_not_committed_over(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 5, 2);
    assert_int_equal(sends.count, 2);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    fake_run(r.loop, 0);
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
    fake_run(r.loop, COMMIT_MS + 1);
    answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_true(fake.assigned);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(2, RD_KAFKA_RESP_ERR_NO_ERROR);
    fake_run(r.loop, 0);
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
    fake_run(r.loop, 0);
    fake_run(r.loop, 6000);
    assert_int_equal(r.done, 1);
    assert_false(fake.assigned);
    while (fake_is_committing())
        answer(&r, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(fake.committed[0], 1);
    report(1, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(2, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT); /* not sent again: it is another's */
    fake_run(r.loop, 10000);
    assert_int_equal(sends.count, 3);
    assert_int_equal(r.moved, 2);
    assert_int_equal(fake.commits_sent, 1);

    /* The next pass goes on from what is committed. */
    fake_assign(1);
    fake_run(r.loop, 0);
    begin_pass(&r);
    assert_int_equal(sends.count, 5);
    report(3, RD_KAFKA_RESP_ERR_NO_ERROR);
    report(4, RD_KAFKA_RESP_ERR_NO_ERROR);
    fake_run(r.loop, 0);
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
    fake_run(r.loop, 0);
    assert_int_equal(r.done, 1);
    assert_int_equal(fake.commits_sent, 0);
    end(&r);
}

static void test_a_commit_that_is_refused_is_repeated_before_the_pass_ends(void **state) {
    (void)state;
    struct redrive r;
    begin(&r, 1, -1);
    report(0, RD_KAFKA_RESP_ERR_NO_ERROR);
    fake_run(r.loop, 0);
    answer(&r, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(r.done, 0);
    fake_run(r.loop, AGAIN_MS + 1);
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
    assert_string_equal(pass_trouble(r.pass), "silent");
    fake_run(r.loop, 1000);
    assert_int_equal(sends.count, 0);
    source.silent = false;
    fake_run(r.loop, 1000);
    assert_string_equal(pass_trouble(r.pass), "");
    assert_int_equal(sends.count, 1);
    end(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_letter_is_committed_once_it_is_acknowledged),
        cmocka_unit_test(test_a_letter_is_sent_until_it_is_acknowledged),
        cmocka_unit_test(test_a_letter_that_is_too_large_stays_and_holds_the_offset),
        cmocka_unit_test(test_what_the_limit_leaves_is_not_committed_over),
        cmocka_unit_test(test_a_rebalance_waits_for_what_is_in_flight),
        cmocka_unit_test(test_a_late_acknowledgement_is_not_committed),
        cmocka_unit_test(test_lost_partitions_end_the_pass_at_once),
        cmocka_unit_test(test_a_commit_that_is_refused_is_repeated_before_the_pass_ends),
        cmocka_unit_test(test_a_broker_that_is_silent_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
