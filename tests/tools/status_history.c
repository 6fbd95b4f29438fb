/*
 * A long past in the status topic, for tests/bench/catch_up.py.
 *
 *     status_history fill BROKERS TOPIC COUNT [FIRST]
 *     status_history read BROKERS TOPIC
 *
 * fill writes COUNT ended queries, one record each, as compaction leaves them: query h-FIRST ended
 * long before query h-(FIRST+COUNT-1), ten milliseconds apart, the last one now. read is the bare
 * consumer that the programs are compared with: librdkafka's defaults, all partitions at once, each
 * record parsed by cJSON, its state and updatedAt looked at. It prints records/s.
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buffer.h"
#include "common/model/status.h"

enum {
    APART_MS = 10,
    TIMEOUT_MS = 60000,
    BATCH = 1000
};

static void die(const char *what, const char *why) {
    fprintf(stderr, "status_history: %s: %s\n", what, why);
    exit(1);
}

static rd_kafka_t *open_handle(rd_kafka_type_t type, const char *const settings[][2]) {
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; settings[i][0] != NULL; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], error, sizeof error) !=
            RD_KAFKA_CONF_OK)
            die(settings[i][0], error);
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof error);
    if (rk == NULL)
        die("no handle", error);
    return rk;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- fill ------------------------------------------------------------------------------------- */

static void write_ended(int64_t n, int64_t ended_ms, struct buffer *value,
                        char key[STATUS_KEY_MAX]) {
    char query_id[32], user_id[16], execution_id[40], location[96];
    snprintf(query_id, sizeof query_id, "h-%" PRId64, n);
    snprintf(user_id, sizeof user_id, "user-%d", (int)(n % 100));
    snprintf(execution_id, sizeof execution_id, "5d0c42ac-91b8-4b21-8b3c-%012" PRIx64, n);
    snprintf(location, sizeof location, "s3://athena-results/queries/%s.csv", execution_id);
    struct status s = {.user_id = user_id,
                       .query_id = query_id,
                       .state = STATUS_SUCCEEDED,
                       .query_execution_id = execution_id,
                       .output_location = location,
                       .updated_at_ms = ended_ms,
                       .has_sha256 = true};
    memset(s.sha256, (int)n & 0xff, sizeof s.sha256);
    status_key(user_id, query_id, key);
    value->len = 0;
    status_write(&s, true, value);
}

static int fill(const char *brokers, const char *topic, int64_t count, int64_t first) {
    rd_kafka_t *rk =
        open_handle(RD_KAFKA_PRODUCER, (const char *const[][2]){{"bootstrap.servers", brokers},
                                                                {"acks", "all"},
                                                                {"linger.ms", "20"},
                                                                {"batch.num.messages", "10000"},
                                                                {NULL, NULL}});
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    char key[STATUS_KEY_MAX];
    struct buffer value;
    buffer_init(&value, STATUS_VALUE_MAX);
    for (int64_t i = 0; i < count; i++) {
        write_ended(first + i, now_ms - (count - i) * APART_MS, &value, key);
        while (rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key, strlen(key)),
                                 RD_KAFKA_V_VALUE(value.data, value.len),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                 RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(rk, 10);
        rd_kafka_poll(rk, 0);
    }
    rd_kafka_flush(rk, TIMEOUT_MS);
    if (rd_kafka_outq_len(rk) > 0)
        die("fill", "not all was acknowledged");
    rd_kafka_destroy(rk);
    buffer_free(&value);
    return 0;
}

/* --- read ------------------------------------------------------------------------------------- */

struct reading {
    int64_t records, final;
    int32_t ended; /* partitions */
};

static void take(struct reading *r, const rd_kafka_message_t *message) {
    r->ended += message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    r->records++;
    cJSON *json = cJSON_ParseWithLength(message->payload, message->len);
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "state"));
    const char *at = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "updatedAt"));
    r->final +=
        state != NULL && at != NULL && status_is_final(status_state_parse(state, strlen(state)));
    cJSON_Delete(json);
}

static int read_all(const char *brokers, const char *topic) {
    double began = seconds();
    rd_kafka_t *rk =
        open_handle(RD_KAFKA_CONSUMER, (const char *const[][2]){{"bootstrap.servers", brokers},
                                                                {"enable.partition.eof", "true"},
                                                                {NULL, NULL}});
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    const rd_kafka_metadata_t *metadata;
    if (rd_kafka_metadata(rk, 0, t, &metadata, TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die(topic, "no metadata");
    int32_t partitions = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    for (int32_t p = 0; p < partitions; p++)
        rd_kafka_consume_start_queue(t, p, RD_KAFKA_OFFSET_BEGINNING, queue);
    struct reading r = {0};
    while (r.ended < partitions) {
        rd_kafka_message_t *batch[BATCH];
        ssize_t n = rd_kafka_consume_batch_queue(queue, 100, batch, BATCH);
        for (ssize_t i = 0; i < n; i++) {
            take(&r, batch[i]);
            rd_kafka_message_destroy(batch[i]);
        }
    }
    double took = seconds() - began;
    printf("{\"records\": %" PRId64 ", \"final\": %" PRId64
           ", \"seconds\": %.3f, \"records/s\": %.0f}\n",
           r.records, r.final, took, (double)r.records / took);
    for (int32_t p = 0; p < partitions; p++)
        rd_kafka_consume_stop(t, p);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(rk);
    return 0;
}

int main(int argc, char **argv) {
    if (argc >= 5 && strcmp(argv[1], "fill") == 0)
        return fill(argv[2], argv[3], strtoll(argv[4], NULL, 10),
                    argc > 5 ? strtoll(argv[5], NULL, 10) : 0);
    if (argc == 4 && strcmp(argv[1], "read") == 0)
        return read_all(argv[2], argv[3]);
    fprintf(stderr, "status_history fill BROKERS TOPIC COUNT [FIRST] | read BROKERS TOPIC\n");
    return 100;
}
