/*
 * athena-query-redriver: dead letters back to the query topic, once a minute or by hand. Opens the
 * parts, runs the loop until a signal or the end of the work, and closes them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/aws/client.h"
#include "common/aws/cloudwatch.h"
#include "common/aws/credentials/chain.h"
#include "common/base/http/admin.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/program.h"
#include "common/kafka/iam.h"
#include "common/kafka/producer.h"
#include "common/kafka/topics.h"
#include "redriver/config.h"
#include "redriver/redriver.h"

enum {
    SEND_TIMEOUT_MS = 30000,
    AWS_CONNECTIONS = 2,
    WHY_MAX_BYTES = 4096
};

struct parts {
    struct redriver_config *config;
    struct loop *loop;
    struct credentials_provider *credentials;
    struct aws_client *aws;
    struct cloudwatch *cloudwatch; /* NULL: off */
    struct producer *producer;     /* NULL: a dry run */
    struct redriver *redriver;
    struct topics *topics;
    struct admin *admin;
    bool failed; /* EXIT_CANNOT_GO_ON */
};

/* --- what others call ------------------------------------------------------------------------- */

static void redriver_on_topics(void *arg) {
    struct parts *p = arg;
    redriver_begin(p->redriver, topics_partitions(p->topics, redriver_topic(p->config)));
}

static bool redriver_is_ready(void *arg, struct buffer *why) {
    struct parts *p = arg;
    if (!topics_ready(p->topics))
        topics_describe_missing(p->topics, why);
    else if (p->producer != NULL && !producer_up(p->producer))
        producer_describe_down(p->producer, why);
    else
        redriver_describe(p->redriver, why);
    return why->len == 0;
}

static void redriver_on_metrics(void *arg, struct buffer *out) {
    struct parts *p = arg;
    redriver_write_metrics(p->redriver, out);
    topics_write_metrics(p->topics, out);
}

/* --- opening, in this order; closing, in reverse ---------------------------------------------- */

/* Before Kafka, where the sign-in may need them. */
static void open_credentials(struct parts *p) {
    struct kafka_options *kafka = &p->config->kafka;
    if (!redriver_counts(p->config) && !kafka->msk_iam)
        return;
    p->credentials = credentials_open_chain(p->loop, &p->config->aws);
    if (kafka->msk_iam)
        kafka->iam = kafka_iam_open(p->loop, p->credentials, &p->config->aws);
}

static bool open_cloudwatch(struct parts *p, char *error, size_t error_size) {
    if (!redriver_counts(p->config))
        return true;
    p->aws = aws_client_open(p->loop, p->credentials, &p->config->aws, AWS_CONNECTIONS);
    if (p->aws == NULL) {
        snprintf(error, error_size, "no client for AWS");
        return false;
    }
    p->cloudwatch = cloudwatch_open(p->loop, p->aws, p->config->aws.cloudwatch_interval_ms);
    return p->cloudwatch != NULL;
}

static bool redriver_open_kafka(struct parts *p, char *error, size_t error_size) {
    const struct kafka_options *kafka = &p->config->kafka;
    bool sends = !p->config->dry_run;
    if (sends)
        p->producer = producer_open(p->loop, kafka, SEND_TIMEOUT_MS, error, error_size);
    if (sends && p->producer == NULL)
        return false;
    const struct redriver_parts parts = {p->loop, p->config, p->producer, p->cloudwatch};
    p->redriver = redriver_open(&parts, error, error_size);
    if (p->redriver == NULL)
        return false;
    const struct topics_events events = {redriver_on_topics, NULL, p};
    p->topics = topics_open(p->loop, kafka, &events, error, error_size);
    return p->topics != NULL;
}

static bool redriver_open_admin(struct parts *p, char *error, size_t error_size) {
    const struct admin_source source = {.ready = redriver_is_ready,
                                        .metrics = redriver_on_metrics,
                                        .arg = p,
                                        .stage = p->config->kafka.names.stage};
    if (!redriver_serves_admin(p->config))
        return true;
    p->admin = admin_open(p->loop, p->config->process.admin_listen, &source, error, error_size);
    return p->admin != NULL;
}

static bool redriver_open_all(struct parts *p) {
    char error[512] = "out of file descriptors";
    open_credentials(p);
    bool ok = open_cloudwatch(p, error, sizeof error) &&
              redriver_open_kafka(p, error, sizeof error) &&
              redriver_open_admin(p, error, sizeof error);
    if (!ok)
        log_error("cannot start: %s", error);
    return ok;
}

static void redriver_close_all(struct parts *p) {
    admin_close(p->admin);
    topics_close(p->topics);
    producer_close(p->producer);
    redriver_close(p->redriver);
    if (p->cloudwatch != NULL)
        cloudwatch_close(p->cloudwatch);
    if (p->aws != NULL)
        aws_client_close(p->aws);
    kafka_iam_close(p->config->kafka.iam);
    credentials_close(p->credentials);
    loop_close(p->loop);
}

/* --- running ---------------------------------------------------------------------------------- */

static void redriver_run(struct parts *p) {
    while (!loop_stopping() && !redriver_over(p->redriver) && !redriver_broken(p->redriver))
        if (!loop_run_once(p->loop)) {
            log_error("epoll: %s", strerror(errno));
            p->failed = true;
            return;
        }
}

static bool pass_is_over(void *arg) {
    const struct parts *p = arg;
    return !redriver_busy(p->redriver);
}

static bool counters_are_sent(void *arg) {
    const struct parts *p = arg;
    return !cloudwatch_busy(p->cloudwatch);
}

/* Within DRAIN_TIMEOUT_MS: the pass commits what it has moved, then all counters are sent. */
static void redriver_drain(struct parts *p) {
    int64_t timeout_ms = p->config->process.drain_timeout_ms;
    int64_t deadline_ms = loop_now(p->loop) + timeout_ms;
    redriver_stop(p->redriver, timeout_ms);
    if (!loop_run_until(p->loop, pass_is_over, p, timeout_ms))
        log_warn("the pass did not end in time: what is not committed is moved again");
    cloudwatch_flush(p->cloudwatch);
    if (!loop_run_until(p->loop, counters_are_sent, p, deadline_ms - loop_now(p->loop)))
        log_warn("the last counters were not sent to CloudWatch in time");
}

/* By hand: what became of the pass. `why`: why it has not begun, if it has not. */
static void redriver_report(struct parts *p, const struct buffer *why) {
    if (redriver_has_read(p->redriver)) {
        redriver_print_summary(p->redriver);
        if (redriver_incomplete(p->redriver))
            log_error("the pass is not complete: not all could be read, moved or committed");
        p->failed |= redriver_incomplete(p->redriver);
        return;
    }
    const char *text = why->len > 0 ? buffer_text(why) : "it was stopped";
    log_error("no dead letter was looked at: %.*s", (int)strcspn(text, "\n"), text);
    p->failed = true;
}

static void run_and_drain(struct parts *p) {
    struct buffer why;
    buffer_init(&why, WHY_MAX_BYTES);
    log_info("up from=%s to=%s librdkafka=%s", redriver_topic(p->config),
             p->config->kafka.names.topics[TOPIC_QUERY], rd_kafka_version_str());
    redriver_run(p);
    (void)redriver_is_ready(p, &why); /* as it is before the drain */
    redriver_drain(p);
    if (redriver_by_hand(p->config))
        redriver_report(p, &why);
    buffer_free(&why);
    p->failed |= redriver_broken(p->redriver);
    log_info("stopped");
}

static int redriver_work(void *config) {
    struct parts p = {.config = config, .loop = program_loop()};
    if (p.loop == NULL)
        return EXIT_CANNOT_GO_ON;
    if (redriver_open_all(&p))
        run_and_drain(&p);
    else
        p.failed = true;
    redriver_close_all(&p);
    return p.failed ? EXIT_CANNOT_GO_ON : EXIT_STOPPED;
}

int main(int argc, char **argv) {
    struct redriver_config config = {.from = REDRIVER_FROM_UNSAID};
    return program_main(&redriver_program, argc, argv, &config, redriver_work);
}
