/*
 * librdkafka's in-memory broker inside a unit test, and the loop turned until something is so.
 */
#ifndef TESTS_UNIT_COMMON_KAFKA_MOCK_BROKER_H
#define TESTS_UNIT_COMMON_KAFKA_MOCK_BROKER_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/options.h"

struct mock_broker {
    rd_kafka_t *rk; /* that the cluster hangs on */
    rd_kafka_mock_cluster_t *cluster;
    struct loop *loop;
    struct kafka_options kafka;
};

static inline void mock_broker_open(struct mock_broker *b) {
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", error, sizeof error);
    log_init("test", LOG_ERROR, LOG_TEXT);
    *b = (struct mock_broker){.rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error)};
    assert_non_null(b->rk);
    b->cluster = rd_kafka_mock_cluster_new(b->rk, 1);
    assert_non_null(b->cluster);
    b->loop = loop_open();
    assert_non_null(b->loop);
    b->kafka.bootstrap_servers = rd_kafka_mock_cluster_bootstraps(b->cluster);
}

static inline void mock_broker_close(struct mock_broker *b) {
    loop_close(b->loop);
    rd_kafka_mock_cluster_destroy(b->cluster);
    rd_kafka_destroy(b->rk);
}

static inline void mock_broker_wake(void *arg) {
    (void)arg;
}

/* Fails the test where it does not come about. */
static inline void mock_broker_wait_until(struct mock_broker *b, bool (*is_so)(void *arg),
                                          void *arg, const char *what) {
    enum {
        WAIT_MS = 30000,
        LOOK_EVERY_MS = 20
    };
    struct loop_timer look = {0};
    int64_t began_ms = loop_wall();
    while (!is_so(arg) && loop_wall() - began_ms < WAIT_MS) {
        loop_timer_set(b->loop, &look, LOOK_EVERY_MS, mock_broker_wake, NULL);
        assert_true(loop_run_once(b->loop));
    }
    loop_timer_cancel(b->loop, &look);
    if (!is_so(arg))
        fail_msg("not within %d ms: %s", WAIT_MS, what);
}

#endif
