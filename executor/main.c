/*
 * athena-query-executor: takes queries from Kafka, starts each once in Athena, follows it to its
 * end. One thread, one loop; docs/architecture.md draws it.
 */
#include <librdkafka/rdkafka.h>

#include "common/aws/credentials/chain.h"
#include "common/aws/whoami.h"
#include "common/base/http/admin.h"
#include "common/base/log.h"
#include "common/base/program.h"
#include "common/kafka/iam.h"
#include "executor/config.h"
#include "executor/executor.h"
#include "executor/query/repair.h"
#include "executor/turn/dispatch.h"
#include "executor/turn/gate.h"

enum {
    SEND_TIMEOUT_MS = 30000,  /* then a record is reported as failed, and sent again */
    REVOKE_TIMEOUT_MS = 5000, /* the longest that a rebalance waits for calls under way */
};

static bool is_ready(void *arg, struct buffer *why) {
    struct executor *x = arg;
    if (!topics_ready(x->topics))
        topics_describe_missing(x->topics, why);
    else if (!partitions_up(x->partitions))
        partitions_describe_down(x->partitions, why);
    else if (!partitions_joined(x->partitions))
        buffer_puts(why, "the consumer group is not joined yet\n");
    else if (!status_reader_caught_up(x->reader))
        buffer_puts(why, "the status topic is still being read\n");
    return gate_ready(x, why) && why->len == 0;
}

static void write_metrics(void *arg, struct buffer *out) {
    executor_metrics_write(arg, out);
}

static void on_topics(void *arg) {
    struct executor *x = arg;
    char error[512];
    int32_t partitions = topics_partitions(x->topics, x->config->common.names.topics[TOPIC_STATUS]);
    status_reader_watch(x->reader, repair_later, x);
    if (!status_reader_start(x->reader, partitions))
        log_error("states are not read: nothing can be rejected");
    fleet_link_start(x->fleet);
    if (!partitions_join(x->partitions, error, sizeof error))
        log_error("%s", error);
}

static bool open_kafka(struct executor *x, char *error, size_t size) {
    const struct options_common *common = &x->config->common;
    const struct partitions_limits limits = {
        .jobs_waiting = (size_t)x->config->window_records,
        .bytes_waiting = (size_t)x->config->window_bytes,
        .revoke_ms = REVOKE_TIMEOUT_MS,
    };
    const struct partitions_events events = {dispatch_record, dispatch_revoking, dispatch_gone, x};
    x->view = status_view_open((size_t)x->config->status_cache_max);
    return (x->producer = producer_open(x->loop, common, SEND_TIMEOUT_MS, error, size)) != NULL &&
           (x->reader = status_reader_open(x->loop, common, x->view, NULL, NULL, error, size)) !=
               NULL &&
           (x->fleet = fleet_link_open(x, error, size)) != NULL &&
           (x->partitions = partitions_open(x->loop, common, &limits, &events, error, size)) !=
               NULL &&
           (x->topics = topics_open(x->loop, common, on_topics, x, error, size)) != NULL;
}

static bool open_aws(struct executor *x, struct options_common *common) {
    const struct aws_options *aws = &x->config->aws;
    x->credentials = credentials_open_chain(x->loop, aws);
    if (common->msk_iam)
        common->iam = kafka_iam_open(x->loop, x->credentials, aws);
    x->aws = aws_client_open(x->loop, x->credentials, aws, (int)x->config->max_in_flight + 1);
    if (x->aws == NULL)
        return false;
    if (aws->cloudwatch)
        x->cloudwatch = cloudwatch_open(x->loop, x->aws, aws->cloudwatch_interval_ms);
    return true;
}

static bool is_drained(const struct executor *x) {
    return partitions_count(x->partitions) == 0 && producer_in_flight(x->producer) == 0;
}

static void on_deadline(void *arg) {
    *(bool *)arg = true;
}

/* Calls in flight, records not yet acknowledged, counters; not the queries that run. */
static void drain(struct executor *x) {
    struct loop_timer deadline = {0};
    bool late = false;
    x->stopping = true;
    log_info("stopping running=%zu in_flight=%d", x->tracker.count, x->calls);
    partitions_leave(x->partitions);
    fleet_link_leave(x->fleet);
    loop_timer_set(x->loop, &deadline, x->config->process.drain_timeout_ms, on_deadline, &late);
    bool works = true;
    while (works && !late && !is_drained(x))
        works = loop_run_once(x->loop);
    cloudwatch_flush(x->cloudwatch); /* the last calls are counted by now */
    while (works && !late && cloudwatch_busy(x->cloudwatch))
        works = loop_run_once(x->loop);
    loop_timer_cancel(x->loop, &deadline);
    if (late)
        log_warn("not all was acknowledged in time: it is done again by the next owner");
}

static void run(struct executor *x) {
    while (!loop_stopping() && loop_run_once(x->loop))
        ;
    drain(x);
}

static void close_all(struct executor *x) {
    x->stopping = true;
    partitions_close(x->partitions);
    producer_close(x->producer);
    if (x->aws != NULL)
        tracker_close(x);
    cloudwatch_close(x->cloudwatch);
    aws_client_close(x->aws);
    status_reader_close(x->reader);
    repair_close(x);
    fleet_link_close(x->fleet);
    topics_close(x->topics);
    kafka_iam_close(x->config->common.iam);
    credentials_close(x->credentials);
    status_view_close(x->view);
    loop_close(x->loop);
}

static int serve(struct executor *x, struct options_common *common) {
    char error[512] = "libcurl cannot be set up";
    x->loop = program_loop();
    if (x->loop == NULL)
        return EXIT_CANNOT_GO_ON;
    dispatch_init(x);
    tracker_init(x);
    repair_init(x);
    executor_metrics_init(x->metrics);
    const struct admin_source source = {is_ready, write_metrics, x, x->config->common.names.stage};
    struct admin *admin = NULL;
    bool opened = open_aws(x, common) && open_kafka(x, error, sizeof error);
    if (opened && x->config->process.admin_listen != NULL)
        opened = (admin = admin_open(x->loop, x->config->process.admin_listen, &source, error,
                                     sizeof error)) != NULL;
    if (opened) {
        log_info("up librdkafka=%s group=%s topic=%s", rd_kafka_version_str(),
                 x->config->common.names.groups[GROUP_EXECUTOR],
                 x->config->common.names.topics[TOPIC_QUERY]);
        run(x);
    } else {
        log_error("%s", error);
    }
    admin_close(admin);
    close_all(x);
    log_info("stopped");
    return opened ? EXIT_STOPPED : EXIT_CANNOT_GO_ON;
}

static int work(void *arg) {
    static struct executor executor;
    struct executor_config *config = arg;
    executor.config = config;
    if (config->whoami)
        return whoami_print(&config->aws) ? EXIT_STOPPED : EXIT_CANNOT_GO_ON;
    return serve(&executor, &config->common);
}

int main(int argc, char **argv) {
    static struct executor_config config;
    return program_main(&executor_program, argc, argv, &config, work);
}
