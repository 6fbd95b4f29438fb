/*
 * The least that a client in C can spend on a record: librdkafka's producer alone, as the receiver
 * sets it, with delivery reports. The receiver is measured beside it (tests/bench).
 *
 *     producer_peer BOOTSTRAP-SERVERS TOPIC RECORDS
 *
 * Prints records a second and the CPU time of a record, in microseconds.
 */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    VALUE_BYTES = 250,
    USERS = 50,
    IN_FLIGHT_MAX = 10000
};

static long delivered, failed;

static void peer_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk, (void)opaque;
    delivered++;
    failed += message->err != 0;
}

static double peer_seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static rd_kafka_t *peer_open(const char *brokers) {
    static const char *const settings[][2] = {{"enable.idempotence", "true"},
                                              {"acks", "all"},
                                              {"linger.ms", "1"},
                                              {"partitioner", "murmur2_random"}};
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, error, sizeof error);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        rd_kafka_conf_set(conf, settings[i][0], settings[i][1], error, sizeof error);
    rd_kafka_conf_set_dr_msg_cb(conf, peer_on_delivery);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    if (rk == NULL) {
        fprintf(stderr, "producer_peer: %s\n", error);
        exit(1);
    }
    return rk;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "producer_peer BOOTSTRAP-SERVERS TOPIC RECORDS\n");
        return 100;
    }
    long count = atol(argv[3]);
    rd_kafka_t *rk = peer_open(argv[1]);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, argv[2], NULL);
    char value[VALUE_BYTES], key[16];
    memset(value, 'x', sizeof value);
    double began = peer_seconds(CLOCK_MONOTONIC), cpu = peer_seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (long sent = 0; sent < count;) {
        int n = snprintf(key, sizeof key, "u%ld", sent % USERS);
        bool full = sent - delivered >= IN_FLIGHT_MAX;
        if (!full && rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value,
                                      sizeof value, key, (size_t)n, NULL) == 0)
            sent++;
        rd_kafka_poll(rk, full ? 1 : 0);
    }
    rd_kafka_flush(rk, 30000);
    double seconds = peer_seconds(CLOCK_MONOTONIC) - began;
    cpu = peer_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("%.0f records/s, %.2f us CPU a record\n", (double)count / seconds,
           cpu * 1e6 / (double)count);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return failed > 0 || delivered < count;
}
