/*
 * A record → a job. The records are real ones: they go through librdkafka's in-memory broker, as
 * nothing else makes messages with headers and a time stamp.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "executor/query/job.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    WAIT_MS = 20000
};

static const char topic[] = "athena-query-dev";

struct job_case {
    const char *what;
    const char *value; /* NULL: none at all */
    const char *header_id, *header_attempt, *header_first_seen;
    int64_t timestamp_ms;
    bool sound;
    const char *user_id, *query_id; /* NULL: derived from where it stands */
    enum lane lane;
    const char *why; /* part of it */
};

static const struct job_case cases[] = {
    {.what = "a query of the receiver",
     .value = "{\"query\":\"SELECT 1\",\"queryId\":\"q\",\"userId\":\"u\",\"extra\":[1]}",
     .timestamp_ms = 1700000000123,
     .sound = true,
     .user_id = "u",
     .query_id = "q",
     .lane = LANE_DML},
    {.what = "DDL",
     .value = "{\"query\":\"/* x */ SHOW TABLES\",\"queryId\":\"q\"}",
     .timestamp_ms = 1700000000124,
     .sound = true,
     .user_id = "",
     .query_id = "q",
     .lane = LANE_DDL},
    {.what = "injected without an id",
     .value = "{\"query\":\"SELECT 1\"}",
     .timestamp_ms = 1700000000125,
     .sound = true,
     .user_id = ""},
    {.what = "the same bytes again are another query",
     .value = "{\"query\":\"SELECT 1\"}",
     .timestamp_ms = 1700000000125,
     .sound = true,
     .user_id = ""},
    {.what = "redriven: the id is in the header",
     .value = "{\"query\":\"SELECT 1\",\"userId\":\"u\"}",
     .header_id = "h",
     .header_attempt = "3",
     .header_first_seen = "1600000000000",
     .timestamp_ms = 1700000000126,
     .sound = true,
     .user_id = "u",
     .query_id = "h"},
    {.what = "the body's id goes first",
     .value = "{\"query\":\"SELECT 1\",\"queryId\":\"q\"}",
     .header_id = "h",
     .timestamp_ms = 1700000000127,
     .sound = true,
     .user_id = "",
     .query_id = "q"},
    {.what = "no query",
     .value = "{\"queryId\":\"q\",\"userId\":\"u\"}",
     .timestamp_ms = 1700000000128,
     .user_id = "u",
     .query_id = "q",
     .why = "query"},
    {.what = "no JSON", .value = "SELECT 1", .timestamp_ms = 1700000000129, .user_id = ""},
    {.what = "no JSON, an id in the header",
     .value = "SELECT 1",
     .header_id = "h",
     .timestamp_ms = 1700000000130,
     .user_id = "",
     .query_id = "h"},
    {.what = "no bytes", .value = "", .timestamp_ms = 1700000000131, .user_id = ""},
    {.what = "a tombstone", .timestamp_ms = 1700000000132, .user_id = ""},
};

/* --- a broker in memory ----------------------------------------------------------------------- */

static struct {
    rd_kafka_t *producer, *consumer;
    rd_kafka_mock_cluster_t *cluster;
} kafka;

static rd_kafka_t *open_client(rd_kafka_type_t type, const char *bootstrap) {
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (bootstrap != NULL)
        rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "2", NULL, 0); /* the broker's end is no news */
    if (type == RD_KAFKA_CONSUMER) {
        rd_kafka_conf_set(conf, "group.id", "g", NULL, 0);
        rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", NULL, 0); /* each seek waits so long */
    }
    rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof error);
    if (client == NULL)
        fail_msg("%s", error);
    return client;
}

static void produce(const struct job_case *row) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new(3);
    const struct record_header ours[] = {{HEADER_QUERY_ID, row->header_id},
                                         {HEADER_ATTEMPT, row->header_attempt},
                                         {HEADER_FIRST_SEEN, row->header_first_seen}};
    for (size_t i = 0; i < COUNT(ours); i++)
        if (ours[i].value != NULL)
            rd_kafka_header_add(headers, ours[i].name, -1, ours[i].value, -1);
    size_t n = row->value != NULL ? strlen(row->value) : 0;
    rd_kafka_resp_err_t error =
        rd_kafka_producev(kafka.producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_VALUE((void *)row->value, n), RD_KAFKA_V_HEADERS(headers),
                          RD_KAFKA_V_TIMESTAMP(row->timestamp_ms),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    assert_int_equal(error, RD_KAFKA_RESP_ERR_NO_ERROR);
}

static int open_kafka(void **state) {
    (void)state;
    rd_kafka_t *owner = open_client(RD_KAFKA_PRODUCER, NULL);
    kafka.cluster = rd_kafka_mock_cluster_new(owner, 1);
    kafka.producer = owner;
    const char *bootstrap = rd_kafka_mock_cluster_bootstraps(kafka.cluster);
    assert_int_equal(rd_kafka_brokers_add(owner, bootstrap), 1);
    assert_int_equal(rd_kafka_mock_topic_create(kafka.cluster, topic, 1, 1), 0);
    kafka.consumer = open_client(RD_KAFKA_CONSUMER, bootstrap);
    for (size_t i = 0; i < COUNT(cases); i++)
        produce(&cases[i]);
    assert_int_equal(rd_kafka_flush(owner, WAIT_MS), 0);
    return 0;
}

static int close_kafka(void **state) {
    (void)state;
    rd_kafka_consumer_close(kafka.consumer);
    rd_kafka_destroy(kafka.consumer);
    rd_kafka_mock_cluster_destroy(kafka.cluster);
    rd_kafka_destroy(kafka.producer);
    return 0;
}

/* The caller owns it. */
static rd_kafka_message_t *fetch(int64_t offset) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = offset;
    assert_int_equal(rd_kafka_assign(kafka.consumer, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_message_t *message = rd_kafka_consumer_poll(kafka.consumer, WAIT_MS);
    assert_non_null(message);
    if (message->err)
        fail_msg("%s", rd_kafka_message_errstr(message));
    return message;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void check_row(const struct job_case *row, int64_t offset) {
    char why[512] = "", derived[37], token[65];
    struct job *job = mem_zero(sizeof *job);
    rd_kafka_message_t *message = fetch(offset);
    bool sound = job_read(job, message, "dev", why, sizeof why);
    if (sound != row->sound)
        fail_msg("%s: %s", row->what, why);
    const char *query_id = row->query_id;
    if (query_id == NULL) {
        query_id_derive(topic, 0, offset, row->timestamp_ms, derived);
        query_id = derived;
    }
    assert_int_equal(job->message->len, row->value != NULL ? strlen(row->value) : 0);
    assert_int_equal(job->message->payload != NULL, row->value != NULL);
    assert_true(job->offset == offset);
    assert_true(job->received_ms == row->timestamp_ms);
    assert_string_equal(job->id.user_id, row->user_id);
    assert_string_equal(job->id.query_id, query_id);
    query_token("dev", row->user_id, query_id, token);
    assert_string_equal(job->token, token);
    query_token("", row->user_id, query_id, token);
    assert_string_not_equal(job->token, token);
    assert_int_equal(job->headers.attempt, row->header_attempt != NULL ? 3 : 0);
    assert_true(job->headers.first_seen_ms ==
                (row->header_first_seen != NULL ? INT64_C(1600000000000) : -1));
    assert_int_equal(job->lane, row->lane);
    assert_int_equal(job->has_sha256, row->sound);
    assert_int_equal(job->query.text != NULL, row->sound);
    if (row->sound) {
        uint8_t sha256[32];
        query_sha256(&job->query, sha256);
        assert_memory_equal(job->sha256, sha256, sizeof sha256);
        job_forget_query(job);
        assert_null(job->query.text);
        job_parse_query(job);
        query_sha256(&job->query, sha256);
        assert_memory_equal(job->sha256, sha256, sizeof sha256);
    } else {
        assert_true(strlen(why) > 0);
        assert_non_null(strstr(why, row->why != NULL ? row->why : ""));
    }
    job_free(job);
}

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_row(&cases[i], (int64_t)i);
}

/* The same record again is the same query, whatever its bytes; another one is not. */
static void test_redelivered(void **state) {
    (void)state;
    char why[512], first[65] = "";
    for (int i = 0; i < 3; i++) {
        struct job *job = mem_zero(sizeof *job);
        assert_true(job_read(job, fetch(i < 2 ? 2 : 3), "dev", why, sizeof why));
        if (i == 0)
            memcpy(first, job->token, sizeof first);
        assert_int_equal(strcmp(first, job->token) == 0, i < 2);
        job_free(job);
    }
}

/* Once it runs, its bytes no longer count for its partition; its names stay. */
static void test_release(void **state) {
    (void)state;
    char why[512];
    struct partition partition = {.jobs_waiting = 1, .bytes_waiting = 1000};
    struct job *job = mem_zero(sizeof *job);
    job->partition = &partition;
    assert_true(job_read(job, fetch(0), "dev", why, sizeof why));
    assert_int_equal(partition.jobs_waiting, 2);
    assert_int_equal(partition.bytes_waiting, 1000 + sizeof *job + job->message->size);
    assert_true(job->message->size > strlen(cases[0].value));
    for (int i = 0; i < 2; i++) { /* the second time is nothing */
        job_release_message(job);
        assert_int_equal(partition.jobs_waiting, 1);
        assert_int_equal(partition.bytes_waiting, 1000);
    }
    assert_null(job->message);
    assert_null(job->query.text);
    assert_string_equal(job->id.query_id, "q");
    assert_true(job->has_sha256);
    job->execution_id = mem_string("e");
    job->output_location = mem_string("s3://b");
    job->error_code = mem_string("c");
    job->reason = mem_string("r");
    job_free(job);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_redelivered),
        cmocka_unit_test(test_release),
    };
    return cmocka_run_group_tests(tests, open_kafka, close_kafka);
}
