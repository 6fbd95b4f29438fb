/*
 * A Kafka client with AWS_MSK_IAM whose credentials live for twelve seconds. For nearly as long it
 * does not run its loop, and then it runs nothing but its loop, so that a test can see which thread
 * renews tokens.
 *
 * The n-th credentials are the key AKIDn with the secret "secret n". KAFKA_… and LOG_… as for the
 * programs; ends with SIGTERM.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/aws/credentials/provider.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/program.h"
#include "common/kafka/handle.h"
#include "common/kafka/iam.h"
#include "common/kafka/properties.h"
#include "common/kafka/wakeup.h"

enum {
    LIFETIME_S = 12, /* librdkafka looks once a second whether 80 % of it are over */
    MARGIN_MS = 100
};

struct msk_client_config {
    struct process_options process;
    struct kafka_options kafka;
};

static const struct option_part parts[] = {
    {&options_kafka, offsetof(struct msk_client_config, kafka)},
    {&options_process, offsetof(struct msk_client_config, process)},
    {NULL, 0},
};
static const struct program program = {"msk_client", "connects.", parts, NULL};

static enum credentials_found fetch(void *state, struct credentials *out, char *detail,
                                    size_t detail_size) {
    (void)detail, (void)detail_size;
    int *count = state;
    char id[32], secret[32];
    snprintf(id, sizeof id, "AKID%d", ++*count);
    snprintf(secret, sizeof secret, "secret %d", *count);
    *out = (struct credentials){mem_string(id), mem_string(secret), NULL,
                                loop_wall() / 1000 + LIFETIME_S};
    return CREDENTIALS_FOUND;
}

/* Credentials count whole seconds. */
static void await_full_second(void) {
    struct timespec rest = {0, (1000 - loop_wall() % 1000) * 1000000L};
    if (rest.tv_nsec < 1000000000L)
        nanosleep(&rest, NULL);
}

/* Neither the loop nor the handle's queue is served meanwhile; the handle goes on connecting. */
static void be_busy(rd_kafka_t *rk, int64_t until_ms) {
    while (loop_wall() < until_ms) {
        const rd_kafka_metadata_t *metadata;
        if (rd_kafka_metadata(rk, 0, NULL, &metadata, 50) == RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_metadata_destroy(metadata);
    }
}

static void serve(void *rk) {
    rd_kafka_poll(rk, 0);
}

static int work(void *arg) {
    struct msk_client_config *config = arg;
    struct kafka_options *kafka = &config->kafka;
    char error[512];
    int count = 0;
    struct loop *loop = program_loop();
    if (loop == NULL)
        return EXIT_CANNOT_GO_ON;
    const struct credentials_source source = {"a test", fetch, &count};
    const struct aws_options aws = {.region = "eu-central-1"};
    struct credentials_provider *provider = credentials_open(&source, 1);
    struct kafka_owner owner = {0};
    await_full_second();
    int64_t began_ms = loop_wall();
    kafka->iam = kafka_iam_open(loop, provider, &aws);
    rd_kafka_t *rk =
        kafka_open(RD_KAFKA_PRODUCER, kafka_conf(kafka), kafka, &owner, error, sizeof error);
    if (rk == NULL) {
        log_error("%s", error);
        return EXIT_CANNOT_GO_ON;
    }
    be_busy(rk, began_ms + LIFETIME_S * 1000 - MARGIN_MS);
    log_info("was busy, turns the loop");
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(rk);
    struct kafka_wakeup *wakeup = kafka_wakeup_open(loop, queue, serve, rk);
    while (!loop_stopping() && loop_run_once(loop))
        ;
    kafka_wakeup_close(wakeup);
    rd_kafka_queue_destroy(queue);
    bool closed = kafka_close(&owner, rk, 0);
    kafka_iam_close(kafka->iam);
    credentials_close(provider);
    loop_close(loop);
    return closed ? EXIT_STOPPED : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    struct msk_client_config config = {0};
    return program_main(&program, argc, argv, &config, work);
}
