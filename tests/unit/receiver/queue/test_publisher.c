#include "receiver/queue/publisher.h"

#include "tests/unit/receiver/queue/stub_producer.h"

enum {
    LONG_MS = 3600000
};

/* What was reported, to whom waits for one query and for every one that is in the topic. */
struct reports {
    size_t count;
    struct published last;
    char query_id[QUERY_ID_MAX + 1];
};

struct fixture {
    struct loop *loop;
    struct publisher *publisher;
    struct reports reports, in_topic;
};

static void on_report(void *arg, const struct published *what) {
    struct reports *r = arg;
    r->count++;
    r->last = *what;
    snprintf(r->query_id, sizeof r->query_id, "%s", what->intake->query_id);
}

static void open_fixture(struct fixture *f, int64_t ack_timeout_ms) {
    *f = (struct fixture){.loop = loop_open()};
    memset(&stub, 0, sizeof stub);
    struct publisher_settings settings = {.topic = "queries",
                                          .ack_timeout_ms = ack_timeout_ms,
                                          .in_topic = on_report,
                                          .arg = &f->in_topic};
    f->publisher = publisher_open(f->loop, NULL, &settings);
}

static void close_fixture(struct fixture *f) {
    publisher_close(f->publisher);
    loop_close(f->loop);
}

static enum publish_outcome send_query(struct fixture *f, const char *user_id, bool given) {
    struct intake in = {.query_id = "q", .given = given};
    snprintf(in.user_id, sizeof in.user_id, "%s", user_id);
    struct publication what = {
        .intake = &in, .body = "{}", .body_len = 2, .traceparent = given ? "t" : NULL};
    return publisher_send(f->publisher, &what, on_report, &f->reports);
}

static void test_records(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f, LONG_MS);
    assert_int_equal(send_query(&f, "u", false), PUBLISH_SENT);
    assert_int_equal(send_query(&f, "", true), PUBLISH_SENT);
    assert_string_equal(stub.records[0].topic, "queries");
    assert_string_equal(stub.records[0].key, "u");
    assert_string_equal(stub.records[0].value, "{}");
    assert_int_equal(stub.records[0].headers, 0);
    assert_string_equal(stub.records[1].key, "q");
    assert_int_equal(stub.records[1].headers, 2); /* the given queryId, traceparent */
    assert_int_equal(publisher_waiting(f.publisher), 2);
    for (size_t i = 0; i < 2; i++)
        stub_deliver(i, RD_KAFKA_RESP_ERR_NO_ERROR, 3, 40 + (int64_t)i);
    assert_int_equal(publisher_waiting(f.publisher), 0);
    assert_int_equal(f.reports.count, 2);
    assert_int_equal(f.reports.last.outcome, PUBLISH_ACKED);
    assert_int_equal(f.reports.last.partition, 3);
    assert_int_equal(f.reports.last.offset, 41);
    assert_string_equal(f.reports.query_id, "q");
    assert_int_equal(f.in_topic.count, 2);
    close_fixture(&f);
}

static const struct {
    rd_kafka_resp_err_t err;
    enum publish_outcome outcome;
} failures[] = {
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, PUBLISH_FULL},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, PUBLISH_TOO_LARGE},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, PUBLISH_TOO_LARGE},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, PUBLISH_LATE},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, PUBLISH_REFUSED},
};

static void test_failures(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        struct fixture f;
        open_fixture(&f, LONG_MS);
        assert_int_equal(send_query(&f, "u", true), PUBLISH_SENT);
        stub_deliver(0, failures[i].err, -1, -1);
        assert_int_equal(f.reports.count, 1);
        assert_int_equal(f.reports.last.outcome, failures[i].outcome);
        assert_string_equal(f.reports.last.error, rd_kafka_err2str(failures[i].err));
        stub.refuse = failures[i].err; /* already by producer_send(): the headers stay ours */
        assert_int_equal(send_query(&f, "u", true), failures[i].outcome);
        assert_int_equal(f.reports.count, 1);
        assert_int_equal(f.in_topic.count, 0);
        close_fixture(&f);
    }
}

/* The client got its 503; that the query is in the topic all the same is reported later. */
static void test_acknowledged_after_the_deadline(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f, 1);
    assert_int_equal(send_query(&f, "u", false), PUBLISH_SENT);
    while (f.reports.count == 0)
        assert_true(loop_run_once(f.loop));
    assert_int_equal(f.reports.last.outcome, PUBLISH_LATE);
    assert_int_equal(publisher_waiting(f.publisher), 0);
    stub_deliver(0, RD_KAFKA_RESP_ERR_NO_ERROR, 0, 1);
    assert_int_equal(f.reports.count, 1);
    assert_int_equal(f.in_topic.count, 1);
    close_fixture(&f);
}

static void test_give_up(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f, LONG_MS);
    for (int i = 0; i < 3; i++)
        assert_int_equal(send_query(&f, "u", false), PUBLISH_SENT);
    publisher_give_up(f.publisher);
    assert_int_equal(f.reports.count, 3);
    assert_int_equal(f.reports.last.outcome, PUBLISH_LATE);
    for (size_t i = 0; i < 3; i++)
        stub_deliver(i, RD_KAFKA_RESP_ERR__DESTROY, -1, -1);
    assert_int_equal(f.reports.count, 3);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_acknowledged_after_the_deadline),
        cmocka_unit_test(test_give_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
