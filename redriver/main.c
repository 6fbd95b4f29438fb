/*
 * athena-query-redriver: dead letters back to the query topic, once a minute or by hand.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/client.h"
#include "common/aws/cloudwatch.h"
#include "common/aws/credentials/chain.h"
#include "common/base/http/admin.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/memory.h"
#include "common/base/program.h"
#include "common/kafka/iam.h"
#include "common/kafka/producer.h"
#include "common/kafka/topics.h"
#include "redriver/by_hand.h"
#include "redriver/config.h"
#include "redriver/member.h"
#include "redriver/metrics.h"
#include "redriver/pass.h"
#include "redriver/reader.h"

enum {
    SEND_TIMEOUT_MS = 30000,
    REVOKE_TIMEOUT_MS = 5000,
    AWS_CONNECTIONS = 2,
    LINE_MAX_BYTES = 65536,
    LOOK_EVERY_MS = 10000
};

struct redriver {
    struct redriver_config *config;
    struct loop *loop;
    struct producer *producer; /* NULL: a dry run */
    struct topics *topics;
    struct reader *reader;
    struct member *member; /* NULL: by hand, without the group */
    struct pass *pass;
    struct admin *admin;
    struct credentials_provider *credentials;
    struct aws_client *aws;
    struct cloudwatch *cloudwatch; /* NULL: off */
    struct metric metrics[REDRIVER_METRICS];
    struct loop_timer next_pass, look, drained;
    int32_t *partitions; /* owned: what the next pass goes over */
    size_t count;
    int64_t pass_started_ms;
    int64_t waiting;      /* dead letters between passes, by offsets, when they were last counted */
    int64_t moved_before; /* by hand: in passes that a rebalance cut short */
    bool joined, begun;
    bool cut_short; /* the last pass did not come to its end: the next does not wait */
    bool releasing; /* the group waits for this pass to end */
    bool over;      /* the one pass that was asked for is done */
    bool broken;    /* EXIT_CANNOT_GO_ON */
};

/* --- passes ----------------------------------------------------------------------------------- */

static void begin_pass(void *arg) {
    struct redriver *r = arg;
    if (pass_busy(r->pass) || r->releasing || r->over || loop_stopping())
        return;
    r->begun = true;
    r->cut_short = false;
    r->pass_started_ms = loop_now(r->loop);
    if (redriver_by_hand(r->config))
        r->moved_before += pass_result(r->pass)->moved;
    pass_begin(r->pass, r->partitions, r->count, r->moved_before);
}

static void begin_pass_in(struct redriver *r, int64_t delay_ms) {
    loop_timer_set(r->loop, &r->next_pass, delay_ms, begin_pass, r);
}

/* For the metrics only. It blocks for a moment, so not while a broker is known to be away. */
static void look(void *arg) {
    struct redriver *r = arg;
    char error[256];
    loop_timer_set(r->loop, &r->look, LOOK_EVERY_MS, look, r);
    if (pass_busy(r->pass) || r->count == 0 || !reader_up(r->reader))
        return;
    struct reader_place *places = mem_zero(r->count * sizeof *places);
    for (size_t i = 0; i < r->count; i++)
        places[i].partition = r->partitions[i];
    if (reader_learn(r->reader, r->config->common.names.topics[TOPIC_DEADLETTER], places, r->count,
                     true, error, sizeof error)) {
        r->waiting = 0;
        for (size_t i = 0; i < r->count; i++)
            r->waiting += places[i].end - places[i].from;
    }
    reader_places_free(places, r->count);
}

static int64_t waiting(const struct redriver *r) {
    if (!pass_busy(r->pass))
        return r->waiting;
    const struct pass_result *so_far = pass_result(r->pass);
    return pass_waiting(r->pass) + so_far->skipped + so_far->left;
}

static void record_pass(struct redriver *r, const struct pass_result *result) {
    double seconds = (double)(loop_now(r->loop) - r->pass_started_ms) / 1000;
    metric_add(&r->metrics[REDRIVER_PASSES], 1);
    metric_add(&r->metrics[REDRIVER_SKIPPED], (double)result->skipped);
    metric_set(&r->metrics[REDRIVER_LEFT], (double)result->left);
    metric_observe(&r->metrics[REDRIVER_PASS_SECONDS], seconds);
    log_write(result->moved > 0 || result->left > 0 ? LOG_INFO : LOG_DEBUG,
              "pass over moved=%lld skipped=%lld left=%lld seconds=%.3f", (long long)result->moved,
              (long long)result->skipped, (long long)result->left, seconds);
}

/* A limit ends a pass as well as the end of the topic does; a rebalance or a stop does not. */
static void on_pass_done(void *arg) {
    struct redriver *r = arg;
    const struct pass_result *result = pass_result(r->pass);
    record_pass(r, result);
    if (r->releasing) {
        r->releasing = false;
        r->cut_short = !result->whole;
        member_release(r->member);
    }
    if (redriver_by_hand(r->config)) {
        r->over = !r->cut_short;
        return;
    }
    r->waiting = result->skipped + result->left;
    if (r->admin != NULL)
        loop_timer_set(r->loop, &r->look, 0, look, r);
    int64_t spent_ms = loop_now(r->loop) - r->pass_started_ms;
    begin_pass_in(r, r->config->interval_ms - spent_ms);
}

static void on_moved(void *arg, const char *database) {
    struct redriver *r = arg;
    metric_add(&r->metrics[REDRIVER_RESTARTED], 1);
    if (r->cloudwatch != NULL)
        cloudwatch_count(r->cloudwatch, CLOUDWATCH_RESTARTED,
                         database != NULL ? database : r->config->aws.database);
}

static void on_failed(void *arg) {
    struct redriver *r = arg;
    metric_add(&r->metrics[REDRIVER_FAILURES], 1);
}

static bool print(struct redriver *r, struct buffer *line) {
    bool ok = !line->failed && fwrite(line->data, 1, line->len, stdout) == line->len;
    if (!ok) {
        log_error("cannot write to the standard output: %s", strerror(errno));
        r->broken = true;
    }
    buffer_free(line);
    return ok;
}

static bool on_chosen(void *arg, struct letter *letter) {
    struct redriver *r = arg;
    struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    by_hand_letter(letter, loop_wall(), &line);
    return print(r, &line);
}

/* --- the group, or none ----------------------------------------------------------------------- */

static void keep_partitions(struct redriver *r, const int32_t *partitions, size_t count) {
    r->partitions = mem_resize(r->partitions, count + 1, sizeof *r->partitions);
    for (size_t i = 0; i < count; i++)
        r->partitions[i] = partitions[i];
    r->count = count;
}

static void on_assigned(void *arg, const int32_t *partitions, size_t count) {
    struct redriver *r = arg;
    keep_partitions(r, partitions, count);
    if (!r->begun || r->cut_short)
        begin_pass_in(r, 0);
}

static void on_revoked(void *arg, bool lost) {
    struct redriver *r = arg;
    r->count = 0;
    r->waiting = 0;
    if (!pass_busy(r->pass)) {
        member_release(r->member);
        return;
    }
    r->releasing = true;
    pass_stop(r->pass, REVOKE_TIMEOUT_MS, lost);
}

static const char *topic_from(const struct redriver *r) {
    const struct options_common *c = &r->config->common;
    return r->config->from == REDRIVER_FROM_REJECTED ? c->names.topics[TOPIC_REJECTED]
                                                     : c->names.topics[TOPIC_DEADLETTER];
}

/* Without the group: every partition of the topic. */
static void begin_alone(struct redriver *r) {
    int32_t count = topics_partitions(r->topics, topic_from(r));
    int32_t *all = mem_alloc((size_t)count * sizeof *all);
    for (int32_t i = 0; i < count; i++)
        all[i] = i;
    keep_partitions(r, all, (size_t)count);
    free(all);
    begin_pass_in(r, 0);
}

static void on_topics(void *arg) {
    struct redriver *r = arg;
    char error[512];
    r->joined = true;
    if (r->member == NULL) {
        begin_alone(r);
    } else if (!member_join(r->member, error, sizeof error)) {
        log_error("%s", error);
        r->broken = true;
    }
}

/* --- admin ------------------------------------------------------------------------------------ */

static bool ready(void *arg, struct buffer *why) {
    struct redriver *r = arg;
    if (!topics_ready(r->topics))
        topics_describe_missing(r->topics, why);
    else if (!producer_up(r->producer))
        producer_describe_down(r->producer, why);
    else if (!member_assigned(r->member))
        buffer_printf(why, "no partitions assigned yet in the group %s\n",
                      r->config->common.names.groups[GROUP_REDRIVER]);
    else if (*pass_trouble(r->pass) != '\0')
        buffer_printf(why, "the pass waits for the broker: %s\n", pass_trouble(r->pass));
    return why->len == 0;
}

static void write_metrics(void *arg, struct buffer *out) {
    struct redriver *r = arg;
    int64_t oldest_ms = pass_result(r->pass)->oldest_ms;
    metric_set(&r->metrics[REDRIVER_WAITING], (double)waiting(r));
    double age = oldest_ms >= 0 ? (double)(loop_wall() - oldest_ms) / 1000 : 0;
    metric_set(&r->metrics[REDRIVER_OLDEST], age > 0 ? age : 0);
    metric_set(&r->metrics[REDRIVER_PARTITIONS], (double)member_partitions(r->member));
    metrics_write(r->metrics, REDRIVER_METRICS, out);
}

/* --- opening, in this order; closing, in reverse ---------------------------------------------- */

static bool open_kafka(struct redriver *r, char *error, size_t error_size) {
    const struct options_common *common = &r->config->common;
    struct member_events events = {on_assigned, on_revoked, r};
    bool sends = !r->config->dry_run, commits = !redriver_copies(r->config);
    if (sends)
        r->producer = producer_open(r->loop, common, SEND_TIMEOUT_MS, error, error_size);
    if (sends && r->producer == NULL)
        return false;
    r->reader = reader_open(r->loop, common, error, error_size);
    if (r->reader == NULL)
        return false;
    if (commits)
        r->member = member_open(r->loop, common, &events, error, error_size);
    if (commits && r->member == NULL)
        return false;
    r->topics = topics_open(r->loop, common, on_topics, r, error, error_size);
    return r->topics != NULL;
}

/* Whether CloudWatch is told of what moves. */
static bool counts(const struct redriver *r) {
    return r->config->aws.cloudwatch && !r->config->dry_run;
}

static int64_t or_none(int64_t zero_is_none) {
    return zero_is_none > 0 ? zero_is_none : -1;
}

static void open_pass(struct redriver *r) {
    const struct redriver_config *c = r->config;
    struct pass_settings settings = {
        .loop = r->loop,
        .producer = r->producer,
        .reader = r->reader,
        .member = r->member,
        .from = topic_from(r),
        .to = c->common.names.topics[TOPIC_QUERY],
        .from_committed = c->from != REDRIVER_FROM_REJECTED,
        .rules = {c->user, c->query_id, c->min_age_ms,
                  decide_limit(or_none(c->max_per_pass), or_none(c->limit))},
        .rate_per_s = c->rate_per_s,
        .count_all = redriver_by_hand(c),
        .chosen = c->dry_run ? on_chosen : NULL,
        .moved = on_moved,
        .databases = counts(r),
        .failed = on_failed,
        .done = on_pass_done,
        .arg = r,
    };
    r->pass = pass_open(&settings);
}

/* Before Kafka, which may have to be signed in to with them. */
static void open_credentials(struct redriver *r) {
    struct options_common *common = &r->config->common;
    if (!counts(r) && !common->msk_iam)
        return;
    r->credentials = credentials_open_chain(r->loop, &r->config->aws);
    if (common->msk_iam)
        common->iam = kafka_iam_open(r->loop, r->credentials, &r->config->aws);
}

static bool open_cloudwatch(struct redriver *r, char *error, size_t error_size) {
    if (!counts(r))
        return true;
    r->aws = aws_client_open(r->loop, r->credentials, &r->config->aws, AWS_CONNECTIONS);
    if (r->aws == NULL) {
        snprintf(error, error_size, "no client for AWS");
        return false;
    }
    r->cloudwatch = cloudwatch_open(r->loop, r->aws, r->config->aws.cloudwatch_interval_ms);
    return r->cloudwatch != NULL;
}

static bool open_admin(struct redriver *r, char *error, size_t error_size) {
    struct admin_source source = {
        .ready = ready, .metrics = write_metrics, .arg = r, .stage = r->config->common.names.stage};
    /* By hand, beside a running one with the same environment, its port is taken. */
    if (r->config->process.admin_listen == NULL || redriver_by_hand(r->config))
        return true;
    r->admin = admin_open(r->loop, r->config->process.admin_listen, &source, error, error_size);
    return r->admin != NULL;
}

static bool open_all(struct redriver *r) {
    char error[512] = "out of file descriptors";
    redriver_metrics_init(r->metrics);
    open_credentials(r);
    bool ok = open_kafka(r, error, sizeof error);
    if (ok)
        open_pass(r);
    ok = ok && open_cloudwatch(r, error, sizeof error) && open_admin(r, error, sizeof error);
    if (!ok)
        log_error("cannot start: %s", error);
    return ok;
}

static void close_all(struct redriver *r) {
    admin_close(r->admin);
    if (r->topics != NULL)
        topics_close(r->topics);
    producer_close(r->producer);
    pass_close(r->pass);
    member_close(r->member);
    reader_close(r->reader);
    if (r->cloudwatch != NULL)
        cloudwatch_close(r->cloudwatch);
    if (r->aws != NULL)
        aws_client_close(r->aws);
    kafka_iam_close(r->config->common.iam);
    credentials_close(r->credentials);
    loop_timer_cancel(r->loop, &r->next_pass);
    loop_timer_cancel(r->loop, &r->look);
    loop_timer_cancel(r->loop, &r->drained);
    loop_close(r->loop);
    free(r->partitions);
}

/* --- running ---------------------------------------------------------------------------------- */

static void wake(void *arg) {
    (void)arg;
}

static void run(struct redriver *r) {
    while (!loop_stopping() && !r->over && !r->broken) {
        if (!loop_run_once(r->loop)) {
            log_error("epoll: %s", strerror(errno));
            r->broken = true;
        }
        if (r->member != NULL && member_fatal(r->member))
            r->broken = true;
    }
}

static void drain(struct redriver *r) {
    int64_t timeout_ms = r->config->process.drain_timeout_ms;
    int64_t deadline_ms = loop_now(r->loop) + timeout_ms;
    loop_timer_set(r->loop, &r->drained, timeout_ms, wake, r);
    pass_stop(r->pass, timeout_ms, false);
    bool flushed = r->cloudwatch == NULL;
    while (loop_now(r->loop) < deadline_ms) {
        bool moving = pass_busy(r->pass);
        if (!moving && !flushed) { /* once all that will be counted is counted */
            cloudwatch_flush(r->cloudwatch);
            flushed = true;
        }
        if (!moving && (r->cloudwatch == NULL || !cloudwatch_busy(r->cloudwatch)))
            break;
        if (!loop_run_once(r->loop))
            break;
    }
}

static void print_summary(struct redriver *r) {
    struct pass_result result = *pass_result(r->pass);
    int64_t elsewhere = -1;
    result.moved += r->moved_before;
    if (r->config->once) {
        elsewhere = topics_partitions(r->topics, topic_from(r)) - (int64_t)r->count;
        if (elsewhere < 0 || r->member == NULL)
            elsewhere = 0;
    }
    struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    by_hand_summary(&result, elsewhere, &line);
    if (print(r, &line) && fflush(stdout) != 0) {
        log_error("cannot write to the standard output: %s", strerror(errno));
        r->broken = true;
    }
}

static int work(void *config) {
    struct redriver r = {.config = config};
    r.loop = program_loop();
    if (r.loop == NULL)
        return EXIT_CANNOT_GO_ON;
    if (open_all(&r)) {
        log_info("up from=%s to=%s librdkafka=%s", topic_from(&r),
                 r.config->common.names.topics[TOPIC_QUERY], rd_kafka_version_str());
        run(&r);
        drain(&r);
        if (redriver_by_hand(r.config))
            print_summary(&r);
        log_info("stopped");
    } else {
        r.broken = true;
    }
    close_all(&r);
    return r.broken ? EXIT_CANNOT_GO_ON : EXIT_STOPPED;
}

int main(int argc, char **argv) {
    struct redriver_config config = {.from = REDRIVER_FROM_UNSAID};
    return program_main(&redriver_program, argc, argv, &config, work);
}
