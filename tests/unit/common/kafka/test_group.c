/* A member of a consumer group: rebalances, the bounded wait for a release, commits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/kafka/group.h"
#include "tests/unit/common/kafka/fake_consumer.h"

enum {
    REVOKE_MS = 5000,
    COMMIT_MS = 200,
    AGAIN_MS = 1000
};

struct member {
    struct loop *loop;
    struct kafka_options kafka;
    struct kafka_group *group;
    struct kafka_commits *commits;
    struct kafka_tracker trackers[FAKE_PARTITIONS];
    int assigned, revoked, lost, overdue, answers, faults, records;
    size_t count;
    int64_t offsets[FAKE_PARTITIONS]; /* as assigned() had them */
    bool release_at_once;
};

static void on_assigned(void *arg, const rd_kafka_topic_partition_list_t *list) {
    struct member *m = arg;
    m->assigned++;
    m->count = (size_t)list->cnt;
    for (int i = 0; i < list->cnt; i++) {
        struct kafka_tracker *t = &m->trackers[i];
        char *metadata = mem_bytes(list->elems[i].metadata, list->elems[i].metadata_size);
        m->offsets[i] = list->elems[i].offset;
        t->partition = list->elems[i].partition;
        offsets_init(&t->offsets, list->elems[i].offset, metadata);
        kafka_commits_track(m->commits, t);
        free(metadata);
    }
}

static void release(struct member *m) {
    kafka_group_release(m->group);
    for (size_t i = 0; i < m->count; i++) {
        kafka_commits_untrack(m->commits, &m->trackers[i]);
        offsets_free(&m->trackers[i].offsets);
    }
    m->count = 0;
}

static void on_revoked(void *arg, bool lost) {
    struct member *m = arg;
    m->revoked++;
    m->lost += lost;
    if (m->release_at_once)
        release(m);
}

static void on_overdue(void *arg) {
    ((struct member *)arg)->overdue++;
}

static void on_answer(void *arg, rd_kafka_resp_err_t err) {
    struct member *m = arg;
    m->answers++;
    m->faults += err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void on_record(void *arg, rd_kafka_message_t *message) {
    struct member *m = arg;
    m->records++;
    offsets_receive(&m->trackers[message->partition].offsets, message->offset);
    rd_kafka_message_destroy(message);
}

static void open_member(struct member *m, bool reads) {
    char error[256];
    fake_reset();
    *m = (struct member){.loop = loop_open(), .kafka = fake_options()};
    const struct kafka_group_settings settings = {
        .topic = FAKE_TOPIC,
        .revoke_ms = REVOKE_MS,
        .events = {on_assigned, on_revoked, on_overdue, on_answer, reads ? on_record : NULL, m}};
    m->group = kafka_group_open(m->loop, &m->kafka, kafka_group_conf(&m->kafka, FAKE_GROUP),
                                &settings, error, sizeof error);
    assert_non_null(m->group);
    m->commits = kafka_group_commits(m->group);
    assert_true(kafka_group_join(m->group, error, sizeof error));
    assert_true(fake.subscribed);
}

static void close_member(struct member *m) {
    release(m);
    kafka_group_close(m->group);
    loop_close(m->loop);
    fake_end();
}

/* Partition 0 is assigned, and offsets from 0 on were received. */
static void take_one(struct member *m, int records) {
    fake_assign(1);
    for (int i = 0; i < records; i++)
        fake_record(0, i);
    fake_run(m->loop, 0);
    assert_int_equal(m->records, records);
}

static void finish(struct member *m, int64_t offset) {
    kafka_commits_finish(m->commits, &m->trackers[0], offset);
}

static void answer(struct member *m, rd_kafka_resp_err_t err, bool of_one) {
    fake_answer(err, of_one);
    fake_run(m->loop, 0);
}

/* --- rebalances ------------------------------------------------------------------------------- */

static void test_what_was_committed_comes_with_the_assignment(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    fake.committed[0] = 7;
    fake.metadata[0] = mem_string("aq1 7 1:1");
    fake.paused[0] = true; /* a pause outlives the assignment it was made under */
    fake_assign(2);
    fake_run(m.loop, 0);
    assert_int_equal(m.assigned, 1);
    assert_int_equal(m.count, 2);
    assert_int_equal(m.offsets[0], 7);
    assert_true(m.offsets[1] < 0);
    assert_false(fake.paused[0]);
    assert_int_equal(offsets_receive(&m.trackers[0].offsets, 7), OFFSETS_NEW);
    assert_int_equal(offsets_receive(&m.trackers[0].offsets, 8), OFFSETS_FINISHED);
    close_member(&m);
}

static void test_a_broker_that_does_not_answer_delays_no_assignment(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    fake.silent = true;
    fake_assign(1);
    fake_run(m.loop, 0);
    assert_true(fake.assigned);
    assert_int_equal(m.offsets[0], RD_KAFKA_OFFSET_INVALID);
    close_member(&m);
}

static void test_a_member_that_does_not_read_stays_paused(void **state) {
    (void)state;
    struct member m;
    open_member(&m, false);
    fake_assign(2);
    fake_record(0, 5); /* fetched before the pause */
    fake_run(m.loop, 0);
    assert_int_equal(m.count, 2);
    assert_true(fake.paused[0] && fake.paused[1]);
    assert_int_equal(fake.messages_alive, 0);
    close_member(&m);
}

static void test_a_revocation_waits_for_the_release(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    take_one(&m, 2);
    finish(&m, 0);
    fake_revoke(false);
    fake_run(m.loop, REVOKE_MS - 1000);
    assert_int_equal(m.revoked, 1);
    assert_int_equal(m.lost, 0);
    assert_true(fake.assigned); /* not yet */
    answer(&m, RD_KAFKA_RESP_ERR_NO_ERROR, false);
    finish(&m, 1);
    release(&m);
    assert_false(fake.assigned);
    assert_int_equal(m.overdue, 0);
    answer(&m, RD_KAFKA_RESP_ERR_NO_ERROR, false); /* of the commit that the release has sent */
    assert_int_equal(fake.committed[0], 2);
    fake_run(m.loop, 2 * REVOKE_MS);
    assert_int_equal(m.overdue, 0);
    close_member(&m);
}

static void test_a_release_that_does_not_come_is_bounded(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    take_one(&m, 2);
    fake_revoke(false);
    fake_run(m.loop, 0);
    finish(&m, 0);
    fake_run(m.loop, REVOKE_MS + 1);
    assert_int_equal(m.overdue, 1);
    assert_false(fake.assigned);
    answer(&m, RD_KAFKA_RESP_ERR_NO_ERROR, false);
    assert_int_equal(fake.committed[0], 1);
    finish(&m, 1); /* late: another member has it */
    fake_run(m.loop, 2 * AGAIN_MS);
    assert_false(fake_is_committing());
    close_member(&m);
}

static void test_what_was_lost_is_not_committed(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    take_one(&m, 2);
    finish(&m, 0);
    fake_revoke(true);
    fake_run(m.loop, 2 * COMMIT_MS);
    assert_int_equal(m.lost, 1);
    finish(&m, 1);
    assert_false(kafka_commits_flush(m.commits));
    release(&m);
    assert_int_equal(fake.commits_sent, 0);
    assert_false(fake.assigned);

    /* And is a member like any other with the next assignment. */
    fake.committed[0] = 1;
    fake_assign(1);
    fake_record(0, 1);
    fake_run(m.loop, 0);
    finish(&m, 1);
    fake_run(m.loop, COMMIT_MS + 1);
    answer(&m, RD_KAFKA_RESP_ERR_NO_ERROR, false);
    assert_int_equal(fake.committed[0], 2);
    close_member(&m);
}

static void test_lost_while_it_waits_for_the_release(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    take_one(&m, 1);
    finish(&m, 0);
    fake_revoke(false);
    fake_run(m.loop, 0);
    fake_revoke(true);
    fake_run(m.loop, 0);
    assert_int_equal(m.revoked, 2);
    release(&m);
    assert_int_equal(fake.commits_sent, 0);
    assert_false(fake.assigned);
    close_member(&m);
}

static void test_a_release_from_within_the_revocation(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    m.release_at_once = true;
    take_one(&m, 1);
    finish(&m, 0);
    fake_revoke(false);
    fake_run(m.loop, 0);
    assert_false(fake.assigned);
    answer(&m, RD_KAFKA_RESP_ERR_NO_ERROR, false);
    assert_int_equal(fake.committed[0], 1);
    release(&m); /* again: nothing is left to let go */
    fake_assign(0);
    fake_run(m.loop, 0);
    release(&m);
    assert_true(fake.assigned); /* nothing was revoked: none of the group's business */
    close_member(&m);
}

static void test_a_member_that_stops_takes_nothing_more(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    kafka_group_stop(m.group);
    fake_assign(1);
    fake_run(m.loop, 0);
    assert_int_equal(m.assigned, 0);
    assert_false(fake.assigned);
    close_member(&m);
}

/* --- commits ---------------------------------------------------------------------------------- */

static void test_one_commit_is_under_way_at_a_time(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    take_one(&m, 3);
    finish(&m, 0);
    assert_int_equal(fake.commits_sent, 0);
    fake_run(m.loop, COMMIT_MS + 1);
    assert_int_equal(fake.commits_sent, 1);
    finish(&m, 1);
    fake_run(m.loop, COMMIT_MS + 1);
    assert_int_equal(fake.commits_sent, 1);
    assert_true(kafka_commits_flush(m.commits));
    assert_int_equal(fake.commits_sent, 1);
    answer(&m, RD_KAFKA_RESP_ERR_NO_ERROR, false);
    assert_int_equal(fake.commits_sent, 2); /* as soon as the first was answered */
    assert_false(kafka_commits_done(m.commits));
    answer(&m, RD_KAFKA_RESP_ERR_NO_ERROR, false);
    assert_true(kafka_commits_done(m.commits));
    assert_int_equal(fake.committed[0], 2);
    fake_run(m.loop, AGAIN_MS);
    assert_int_equal(fake.commits_sent, 2);
    close_member(&m);
}

static const struct {
    const char *what;
    rd_kafka_resp_err_t err;
    bool of_one, at_once;
} refusals[] = {
    {"all of it", RD_KAFKA_RESP_ERR__TRANSPORT, false, false},
    {"one partition", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, true, false},
    {"by librdkafka", RD_KAFKA_RESP_ERR_NO_ERROR, false, true},
};

static void test_what_was_refused_is_committed_again(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct member m;
        open_member(&m, true);
        take_one(&m, 3);
        finish(&m, 0);
        fake.refuse_commit = refusals[i].at_once;
        fake_run(m.loop, COMMIT_MS + 1);
        fake.refuse_commit = false;
        if (!refusals[i].at_once)
            answer(&m, refusals[i].err, refusals[i].of_one);
        assert_int_equal(fake.committed[0], -1);
        assert_int_equal(m.faults, refusals[i].at_once ? 0 : 1);
        assert_false(kafka_commits_done(m.commits));
        fake_run(m.loop, AGAIN_MS + 1);
        answer(&m, RD_KAFKA_RESP_ERR_NO_ERROR, false);
        if (fake.committed[0] != 1)
            fail_msg("%s: %d", refusals[i].what, (int)fake.committed[0]);
        close_member(&m);
    }
}

static void test_a_repetition_commits_what_is_so_by_then(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    take_one(&m, 3);
    finish(&m, 0);
    fake_run(m.loop, COMMIT_MS + 1);
    finish(&m, 1);
    answer(&m, RD_KAFKA_RESP_ERR__TRANSPORT, false);
    fake_run(m.loop, AGAIN_MS + 1);
    answer(&m, RD_KAFKA_RESP_ERR_NO_ERROR, false);
    assert_int_equal(fake.committed[0], 2);
    close_member(&m);
}

/* A broker whose offset.metadata.max.bytes is smaller than Kafka's own default. */
static void test_metadata_that_is_refused_is_left_off(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    take_one(&m, 3);
    finish(&m, 1);
    fake_run(m.loop, COMMIT_MS + 1);
    answer(&m, RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, true);
    fake_run(m.loop, AGAIN_MS + 1);
    answer(&m, RD_KAFKA_RESP_ERR_NO_ERROR, false);
    assert_int_equal(fake.committed[0], 0);
    assert_null(fake.metadata[0]);
    close_member(&m);
}

static void test_a_late_answer_is_of_no_partition_any_more(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    m.release_at_once = true;
    take_one(&m, 1);
    finish(&m, 0);
    fake_run(m.loop, COMMIT_MS + 1);
    fake_revoke(false);
    fake_run(m.loop, 0);
    answer(&m, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, false);
    assert_int_equal(m.answers, 1);
    fake_run(m.loop, 2 * AGAIN_MS);
    assert_int_equal(fake.commits_sent, 1);
    close_member(&m);
}

static void test_unread_is_what_the_last_fetch_has_shown(void **state) {
    (void)state;
    struct member m;
    open_member(&m, true);
    fake.committed[0] = 3;
    fake_assign(1);
    fake_run(m.loop, 0);
    fake.high[0] = -1001; /* nothing was fetched yet */
    assert_int_equal(kafka_group_unread(m.group, &m.trackers[0]), 0);
    fake.high[0] = 10;
    assert_int_equal(kafka_group_unread(m.group, &m.trackers[0]), 7);
    fake_record(0, 3);
    fake_run(m.loop, 0);
    assert_int_equal(kafka_group_unread(m.group, &m.trackers[0]), 6);
    close_member(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_committed_comes_with_the_assignment),
        cmocka_unit_test(test_a_broker_that_does_not_answer_delays_no_assignment),
        cmocka_unit_test(test_a_member_that_does_not_read_stays_paused),
        cmocka_unit_test(test_a_revocation_waits_for_the_release),
        cmocka_unit_test(test_a_release_that_does_not_come_is_bounded),
        cmocka_unit_test(test_what_was_lost_is_not_committed),
        cmocka_unit_test(test_lost_while_it_waits_for_the_release),
        cmocka_unit_test(test_a_release_from_within_the_revocation),
        cmocka_unit_test(test_a_member_that_stops_takes_nothing_more),
        cmocka_unit_test(test_one_commit_is_under_way_at_a_time),
        cmocka_unit_test(test_what_was_refused_is_committed_again),
        cmocka_unit_test(test_a_repetition_commits_what_is_so_by_then),
        cmocka_unit_test(test_metadata_that_is_refused_is_left_off),
        cmocka_unit_test(test_a_late_answer_is_of_no_partition_any_more),
        cmocka_unit_test(test_unread_is_what_the_last_fetch_has_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
