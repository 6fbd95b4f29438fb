#include "executor/executor.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/aws/credentials/chain.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/iam.h"
#include "executor/query/started.h"
#include "executor/whole.h"

enum {
    SEND_TIMEOUT_MS = 30000,  /* then a record is reported as failed, and sent again */
    REVOKE_TIMEOUT_MS = 5000, /* the longest that a rebalance waits for calls under way */
};

/* --- what the parts report -------------------------------------------------------------------- */

static void executor_on_change(void *arg) {
    struct executor *x = arg;
    dispatch_soon(&x->dispatch);
}

static void executor_on_finished(void *arg, struct partition *p, int64_t offset) {
    struct executor *x = arg;
    partitions_finish(x->partitions, p, offset);
}

static void executor_on_fewer_jobs(void *arg) {
    struct executor *x = arg;
    partitions_settled(x->partitions);
    if (!TAILQ_EMPTY(&x->jobs.received)) /* what was behind another one */
        dispatch_soon(&x->dispatch);
}

/* What the last owners have written of states is read before anything is started. */
static void executor_on_taken(void *arg) {
    struct executor *x = arg;
    status_reader_renew(x->reader);
}

static void executor_on_record(void *arg, struct partition *p, rd_kafka_message_t *message) {
    struct executor *x = arg;
    dispatch_record(&x->dispatch, p, message);
}

static void executor_on_revoking(void *arg, struct partition *p) {
    struct executor *x = arg;
    dispatch_revoking(&x->dispatch, p);
}

static void executor_on_gone(void *arg, struct partition *p) {
    struct executor *x = arg;
    dispatch_gone(&x->dispatch, p);
}

static bool executor_is_full(void *arg, const struct partition *p, bool was_full) {
    struct executor *x = arg;
    return dispatch_is_full(&x->dispatch, p, was_full);
}

/* The next owner reads of what runs. */
static bool executor_unsettled(void *arg) {
    const struct executor *x = arg;
    return x->settler.starts_in_flight > 0;
}

static void executor_on_sweep_begins(void *arg, const struct sweep *s) {
    struct executor *x = arg;
    for (int lane = 0; lane < LANES; lane++)
        admission_sweep_begins(&x->slots.admission[lane], s->number);
    fleet_link_sweep_begins(x->fleet, s->number);
}

static void report_sweep(struct executor *x, uint64_t sweep) {
    for (int i = 0; i < LANES; i++) {
        enum lane lane = (enum lane)i;
        double at = fleet_link_count_at(x->fleet, sweep, lane);
        fleet_link_swept(
            x->fleet, sweep, lane,
            tracker_last_submitted(&x->tracker, lane, fleet_link_counts_before(x->fleet, lane)),
            tracker_active_at(&x->tracker, lane, at));
    }
}

static void executor_on_sweep_ends(void *arg, const struct sweep *s) {
    struct executor *x = arg;
    for (int lane = 0; lane < LANES; lane++) {
        struct admission *a = &x->slots.admission[lane];
        admission_swept(a, s->number,
                        tracker_peak(&x->tracker, s, (enum lane)lane, admission_generation(a)));
    }
    report_sweep(x, s->number);
}

/* Nothing runs, so the tracker sweeps nothing: to the fleet that is a sweep that is over. */
static void sweep_nothing(struct executor *x) {
    fleet_link_sweep_begins(x->fleet, 0);
    report_sweep(x, 0);
}

static void step_fleet(struct executor *x) {
    const char *topic = x->config->kafka.names.topics[TOPIC_QUERY];
    int32_t owned = (int32_t)partitions_count(x->partitions);
    bool owns_first = partitions_has(x->partitions, 0);
    struct fleet_link_facts facts = {
        .joined = partitions_joined(x->partitions),
        .owns_first = owns_first,
        .owns_all = owns_first && owned == topics_partitions(x->topics, topic),
    };
    for (int lane = 0; lane < LANES; lane++)
        facts.work[lane] = (struct fleet_work){
            .waiting = dispatch_startable(&x->dispatch, (enum lane)lane),
            .backlog = dispatch_backlog(&x->dispatch, (enum lane)lane),
        };
    if (jobs_followed(&x->jobs) == 0)
        sweep_nothing(x);
    fleet_link_step(x->fleet, &facts);
}

static int64_t executor_unread(void *arg) {
    struct executor *x = arg;
    return partitions_unread(x->partitions);
}

static bool executor_caught_up(void *arg) {
    struct executor *x = arg;
    return partitions_caught_up(x->partitions);
}

static void executor_on_pass_begins(void *arg) {
    step_fleet(arg); /* what may be started now */
}

static void executor_on_pass_ends(void *arg) {
    struct executor *x = arg;
    step_fleet(x); /* what still waits */
    limit_log_write(&x->limit_log);
    notifier_look_soon(&x->notifier);
}

static void executor_on_topics(void *arg) {
    struct executor *x = arg;
    const char *const *topics = x->config->kafka.names.topics;
    char error[512];
    status_reader_watch(x->reader, repair_later, &x->repairs);
    if (!status_reader_start(x->reader, topics_partitions(x->topics, topics[TOPIC_STATUS])))
        log_error("states are not read: nothing can be rejected");
    fleet_link_start(x->fleet, topics_partitions(x->topics, topics[TOPIC_QUOTA]));
    if (!partitions_join(x->partitions, error, sizeof error))
        log_error("%s", error);
}

/* The quota topic may be there now, or the executor no longer own all partitions. */
static void executor_on_topics_changed(void *arg) {
    struct executor *x = arg;
    const char *quota_topic = x->config->kafka.names.topics[TOPIC_QUOTA];
    fleet_link_start(x->fleet, topics_partitions(x->topics, quota_topic));
    dispatch_soon(&x->dispatch);
}

/* --- opening ---------------------------------------------------------------------------------- */

static bool open_aws(struct executor *x, char *error, size_t size) {
    struct kafka_options *kafka = &x->config->kafka;
    const struct aws_options *aws = &x->config->aws;
    x->credentials = credentials_open_chain(x->loop, aws);
    if (kafka->msk_iam)
        kafka->iam = kafka_iam_open(x->loop, x->credentials, aws);
    x->aws = aws_client_open(x->loop, x->credentials, aws,
                             (int)x->config->max_in_flight + TRACKER_POLLS);
    if (x->aws == NULL) {
        snprintf(error, size, "libcurl cannot be set up");
        return false;
    }
    if (aws->cloudwatch)
        x->cloudwatch = cloudwatch_open(x->loop, x->aws, aws->cloudwatch_interval_ms);
    return true;
}

/* Nothing is reported to the parts before the loop runs. */
static bool open_kafka(struct executor *x, char *error, size_t size) {
    const struct kafka_options *kafka = &x->config->kafka;
    const struct partitions_limits limits = {
        .jobs_waiting = (size_t)x->config->window_records,
        .bytes_waiting = (size_t)x->config->window_bytes,
        .revoke_ms = REVOKE_TIMEOUT_MS,
    };
    const struct partitions_events events = {
        .taken = executor_on_taken,
        .record = executor_on_record,
        .is_full = executor_is_full,
        .revoking = executor_on_revoking,
        .gone = executor_on_gone,
        .unsettled = executor_unsettled,
        .arg = x,
    };
    const struct topics_events topics_events = {executor_on_topics, executor_on_topics_changed, x};
    x->view = status_view_open((size_t)x->config->status_cache_max);
    return (x->producer = producer_open(x->loop, kafka, SEND_TIMEOUT_MS, error, size)) != NULL &&
           (x->reader = status_reader_open(x->loop, kafka, x->view, NULL, NULL, error, size)) !=
               NULL &&
           (x->partitions = partitions_open(x->loop, kafka, &limits, &events, error, size)) !=
               NULL &&
           partitions_watch(x->partitions, error, size) &&
           (x->topics = topics_open(x->loop, kafka, &topics_events, error, size)) != NULL;
}

static bool wire_limit(struct executor *x, char *error, size_t size) {
    const struct executor_config *config = x->config;
    const struct gate_events gate_events = {executor_on_change, executor_on_change, x};
    const struct fleet_link_parts fleet = {
        .loop = x->loop,
        .kafka = &config->kafka,
        .producer = x->producer,
        .slots = &x->slots,
        .changed = executor_on_change,
        .arg = x,
    };
    slots_init(&x->slots, (int)config->max_running, config->track_queries);
    pace_init(&x->pace);
    gate_init(&x->gate, x->loop, x->credentials, &gate_events);
    x->fleet = fleet_link_open(&fleet, error, size);
    limit_log_init(&x->limit_log, x->fleet, x->metrics);
    return x->fleet != NULL;
}

static void wire_query(struct executor *x) {
    const struct jobs_events jobs_events = {executor_on_finished, executor_on_fewer_jobs, x};
    const struct tracker_parts tracker = {
        .loop = x->loop,
        .jobs = &x->jobs,
        .aws = x->aws,
        .slots = &x->slots,
        .gate = &x->gate,
        .settler = &x->settler,
        .metrics = x->metrics,
        .interval_ms = x->config->poll_interval_ms,
        .sweep_begins = executor_on_sweep_begins,
        .sweep_ends = executor_on_sweep_ends,
        .changed = executor_on_change,
        .arg = x,
    };
    const struct answers_parts answers = {
        .loop = x->loop,
        .config = x->config,
        .slots = &x->slots,
        .pace = &x->pace,
        .gate = &x->gate,
        .settler = &x->settler,
        .tracker = &x->tracker,
        .view = x->view,
        .cloudwatch = x->cloudwatch,
        .metrics = x->metrics,
        .changed = executor_on_change,
        .arg = x,
    };
    jobs_init(&x->jobs, x->loop, &x->slots, &jobs_events);
    x->settler = (struct settler){
        .loop = x->loop,
        .kafka = &x->config->kafka,
        .producer = x->producer,
        .view = x->view,
        .reader = x->reader,
        .metrics = x->metrics,
        .start_published = executor_on_fewer_jobs,
        .waits_again = executor_on_change,
        .arg = x,
    };
    tracker_init(&x->tracker, &tracker);
    answers_init(&x->answers, &answers);
    repair_init(&x->repairs, x->loop, x->view, &x->settler);
}

/* At most as many are fetched again as a partition holds as they come. */
static bool wire_recall(struct executor *x, char *error, size_t size) {
    const struct kafka_options *kafka = &x->config->kafka;
    const struct kafka_refetch_events events = {recall_on_record, recall_on_ended, &x->recall};
    const struct recall_parts recall = {
        .loop = x->loop,
        .jobs = &x->jobs,
        .index = &x->index,
        .records_most = (size_t)(x->config->window_records + 1) / 2,
        .bytes_most = (size_t)(x->config->window_bytes + 1) / 2,
        .recalled = dispatch_recalled,
        .gone = dispatch_record_gone,
        .arg = &x->dispatch,
    };
    record_index_init(&x->index);
    recall_init(&x->recall, &recall);
    x->recall.refetch =
        kafka_refetch_open(x->loop, kafka, kafka->names.topics[TOPIC_QUERY], &events, error, size);
    return x->recall.refetch != NULL;
}

static void wire_turn(struct executor *x) {
    const struct notifier_parts notifier = {
        .loop = x->loop,
        .jobs = &x->jobs,
        .slots = &x->slots,
        .gate = &x->gate,
        .reader = x->reader,
        .settler = &x->settler,
    };
    const struct dispatch_parts dispatch = {
        .loop = x->loop,
        .config = x->config,
        .aws = x->aws,
        .jobs = &x->jobs,
        .index = &x->index,
        .recall = &x->recall,
        .slots = &x->slots,
        .pace = &x->pace,
        .gate = &x->gate,
        .reader = x->reader,
        .view = x->view,
        .settler = &x->settler,
        .answers = &x->answers,
        .metrics = x->metrics,
        .pass_begins = executor_on_pass_begins,
        .pass_ends = executor_on_pass_ends,
        .unread = executor_unread,
        .caught_up = executor_caught_up,
        .arg = x,
    };
    notifier_init(&x->notifier, &notifier);
    dispatch_init(&x->dispatch, &dispatch);
}

struct executor *executor_open(struct loop *loop, struct executor_config *config, char *error,
                               size_t error_size) {
    struct executor *x = mem_zero(sizeof *x);
    x->loop = loop;
    x->config = config;
    executor_metrics_init(x->metrics);
    if (!open_aws(x, error, error_size) || !open_kafka(x, error, error_size) ||
        !wire_limit(x, error, error_size) || !wire_recall(x, error, error_size)) {
        executor_close(x);
        return NULL;
    }
    wire_query(x);
    wire_turn(x);
    return x;
}

/* --- the end ---------------------------------------------------------------------------------- */

static bool executor_is_drained(void *arg) {
    const struct executor *x = arg;
    return partitions_count(x->partitions) == 0 && producer_in_flight(x->producer) == 0;
}

static bool executor_counters_sent(void *arg) {
    const struct executor *x = arg;
    return !cloudwatch_busy(x->cloudwatch);
}

void executor_drain(struct executor *x) {
    int64_t timeout_ms = x->config->process.drain_timeout_ms;
    int64_t deadline_ms = loop_now(x->loop) + timeout_ms;
    log_info("stopping running=%zu in_flight=%zu", jobs_followed(&x->jobs),
             jobs_starting(&x->jobs));
    dispatch_stop(&x->dispatch);
    notifier_stop(&x->notifier);
    partitions_leave(x->partitions);
    fleet_link_leave(x->fleet);
    if (!loop_run_until(x->loop, executor_is_drained, x, timeout_ms))
        log_warn("not all was acknowledged in time: it is done again by the next owner");
    cloudwatch_flush(x->cloudwatch); /* the last calls are counted by now */
    if (!loop_run_until(x->loop, executor_counters_sent, x, deadline_ms - loop_now(x->loop)))
        log_warn("the last counters were not sent to CloudWatch in time");
}

/* Of what was not opened or wired nothing is closed. */
void executor_close(struct executor *x) {
    if (x == NULL)
        return;
    dispatch_stop(&x->dispatch);
    notifier_stop(&x->notifier);
    partitions_close(x->partitions); /* drops the jobs and the entries */
    recall_close(&x->recall);
    kafka_refetch_close(x->recall.refetch);
    producer_close(x->producer); /* reports all that is under way */
    started_close(&x->settler);
    tracker_close(&x->tracker);
    repair_close(&x->repairs);
    gate_close(&x->gate);
    jobs_close(&x->jobs);
    dispatch_close(&x->dispatch);
    cloudwatch_close(x->cloudwatch);
    aws_client_close(x->aws);
    status_reader_close(x->reader);
    fleet_link_close(x->fleet);
    topics_close(x->topics);
    kafka_iam_close(x->config->kafka.iam);
    credentials_close(x->credentials);
    status_view_close(x->view);
    free(x);
}
