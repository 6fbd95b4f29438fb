/*
 * The executor between the stubs of stubs.h: all that has to do with one query, wired as
 * executor/executor.c wires it, over one partition. To be included instead of stubs.h.
 */
#ifndef TESTS_UNIT_EXECUTOR_PARTS_H
#define TESTS_UNIT_EXECUTOR_PARTS_H

#include "tests/unit/executor/stubs.h"

#include "common/base/log.h"
#include "executor/config.h"
#include "executor/metrics.h"
#include "executor/query/answer.h"
#include "executor/query/job_state.h"
#include "executor/query/settle.h"
#include "executor/query/started.h"
#include "executor/query/tracker.h"
#include "executor/turn/dispatch.h"
#include "executor/turn/notifier.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define PARTS_QUERY      "athena-query"
#define PARTS_DEADLETTER "athena-query-deadletter"
#define PARTS_REJECTED   "athena-query-rejected"
#define PARTS_STATUS     "athena-query-status"

static struct parts {
    struct loop *loop;
    struct executor_config config;
    struct slots slots;
    struct pace pace;
    struct gate gate;
    struct jobs jobs;
    struct settler settler;
    struct tracker tracker;
    struct answers answers;
    struct record_index index;
    struct recall recall;
    struct notifier notifier;
    struct dispatch dispatch;
    bool is_behind; /* not all is received yet that was there before */
    struct status_view *view;
    struct metric metrics[EXECUTOR_METRICS];
    struct partition partition;
    int64_t next_offset, unread;
    int finished, passes, grants;
    int64_t finished_offset;   /* the last one */
    void (*on_finished)(void); /* looks at what led there; NULL: nothing more is checked */
} t;

/* --- what the parts report -------------------------------------------------------------------- */

static void parts_on_change(void *arg) {
    (void)arg;
    dispatch_soon(&t.dispatch);
}

static void parts_on_finished(void *arg, struct partition *p, int64_t offset) {
    (void)arg;
    assert_ptr_equal(p, &t.partition);
    t.finished++;
    t.finished_offset = offset;
    if (t.on_finished != NULL)
        t.on_finished();
}

static void parts_on_fewer(void *arg) {
    (void)arg;
}

static void parts_on_sweep_begins(void *arg, const struct sweep *s) {
    (void)arg;
    for (int lane = 0; lane < LANES; lane++)
        admission_sweep_begins(&t.slots.admission[lane], s->number);
}

static void parts_on_sweep_ends(void *arg, const struct sweep *s) {
    (void)arg;
    for (int lane = 0; lane < LANES; lane++) {
        struct admission *a = &t.slots.admission[lane];
        admission_swept(a, s->number,
                        tracker_peak(&t.tracker, s, (enum lane)lane, admission_generation(a)));
    }
}

static void parts_on_pass_begins(void *arg) {
    (void)arg;
    t.passes++;
}

static void parts_on_pass_ends(void *arg) {
    (void)arg;
    notifier_look_soon(&t.notifier);
}

static int64_t parts_unread(void *arg) {
    (void)arg;
    return t.unread;
}

static bool parts_caught_up(void *arg) {
    (void)arg;
    return !t.is_behind;
}

/* --- wiring ----------------------------------------------------------------------------------- */

static inline struct executor_config parts_config(void) {
    struct executor_config c = {
        .max_in_flight = 32,
        .poll_interval_ms = 1000,
        .track_queries = true,
        .throttle_patience_ms = 60000,
        .window_records = 2000,
        .window_bytes = 4 << 20,
        .window_index_bytes = 1 << 20,
        .aws = {.database = "db", .work_group = "primary"},
    };
    c.kafka.names.stage = "";
    c.kafka.names.topics[TOPIC_QUERY] = PARTS_QUERY;
    c.kafka.names.topics[TOPIC_DEADLETTER] = PARTS_DEADLETTER;
    c.kafka.names.topics[TOPIC_REJECTED] = PARTS_REJECTED;
    c.kafka.names.topics[TOPIC_STATUS] = PARTS_STATUS;
    return c;
}

static void parts_wire_query(void) {
    const struct jobs_events jobs_events = {parts_on_finished, parts_on_fewer, NULL};
    const struct gate_events gate_events = {parts_on_change, parts_on_change, NULL};
    const struct tracker_parts tracker = {
        .loop = t.loop,
        .jobs = &t.jobs,
        .slots = &t.slots,
        .gate = &t.gate,
        .settler = &t.settler,
        .metrics = t.metrics,
        .interval_ms = t.config.poll_interval_ms,
        .sweep_begins = parts_on_sweep_begins,
        .sweep_ends = parts_on_sweep_ends,
        .changed = parts_on_change,
    };
    const struct answers_parts answers = {
        .loop = t.loop,
        .config = &t.config,
        .slots = &t.slots,
        .pace = &t.pace,
        .gate = &t.gate,
        .settler = &t.settler,
        .tracker = &t.tracker,
        .view = t.view,
        .metrics = t.metrics,
        .changed = parts_on_change,
    };
    jobs_init(&t.jobs, t.loop, &t.slots, &jobs_events);
    gate_init(&t.gate, t.loop, NULL, &gate_events);
    t.settler = (struct settler){.loop = t.loop,
                                 .kafka = &t.config.kafka,
                                 .view = t.view,
                                 .metrics = t.metrics,
                                 .waits_again = parts_on_change};
    tracker_init(&t.tracker, &tracker);
    answers_init(&t.answers, &answers);
}

static void parts_wire_turn(void) {
    const struct recall_parts recall = {
        .loop = t.loop,
        .jobs = &t.jobs,
        .index = &t.index,
        .records_most = (size_t)(t.config.window_records + 1) / 2,
        .bytes_most = (size_t)(t.config.window_bytes + 1) / 2,
        .recalled = dispatch_recalled,
        .gone = dispatch_record_gone,
        .arg = &t.dispatch,
    };
    const struct notifier_parts notifier = {
        .loop = t.loop,
        .jobs = &t.jobs,
        .slots = &t.slots,
        .gate = &t.gate,
        .settler = &t.settler,
    };
    const struct dispatch_parts dispatch = {
        .loop = t.loop,
        .config = &t.config,
        .jobs = &t.jobs,
        .index = &t.index,
        .recall = &t.recall,
        .slots = &t.slots,
        .pace = &t.pace,
        .gate = &t.gate,
        .view = t.view,
        .settler = &t.settler,
        .answers = &t.answers,
        .metrics = t.metrics,
        .pass_begins = parts_on_pass_begins,
        .pass_ends = parts_on_pass_ends,
        .unread = parts_unread,
        .caught_up = parts_caught_up,
    };
    record_index_init(&t.index);
    recall_init(&t.recall, &recall);
    notifier_init(&t.notifier, &notifier);
    dispatch_init(&t.dispatch, &dispatch);
}

/* With these options; what they name must outlive it. */
static inline void parts_open(const struct executor_config *config) {
    stubs_reset();
    memset(&t, 0, sizeof t);
    log_init("test", LOG_ERROR, LOG_TEXT);
    t.loop = loop_open();
    assert_non_null(t.loop);
    t.config = *config;
    t.view = status_view_open(1000);
    TAILQ_INIT(&t.partition.jobs);
    TAILQ_INIT(&t.partition.indexed);
    executor_metrics_init(t.metrics);
    slots_init(&t.slots, (int)t.config.max_running, t.config.track_queries);
    pace_init(&t.pace);
    parts_wire_query();
    parts_wire_turn();
}

/* Nothing is out, and nothing is left of what was received. */
static void parts_assert_empty(void) {
    for (int lane = 0; lane < LANES; lane++) {
        assert_int_equal(t.slots.admission[lane].running, 0);
        assert_int_equal(t.slots.admission[lane].calls, 0);
        assert_int_equal(jobs_waiting(&t.jobs, (enum lane)lane), 0);
    }
    for (int state = 0; state < JOB_STATES; state++)
        if (t.jobs.count[state] != 0)
            fail_msg("%zu left that are %s", t.jobs.count[state], job_state_name(state));
    assert_true(TAILQ_EMPTY(&t.partition.jobs));
    assert_int_equal(record_index_bytes(&t.index), 0);
    assert_int_equal(t.jobs.recalled, 0);
    assert_int_equal(t.jobs.recalled_bytes, 0);
    assert_int_equal(t.partition.jobs_waiting, 0);
    assert_int_equal(t.partition.bytes_waiting, 0);
    assert_int_equal(stub_messages_alive, 0);
}

/* As executor_close() does it: whatever is under way comes to its end, and nothing is left. */
static inline void parts_close(void) {
    dispatch_stop(&t.dispatch);
    notifier_stop(&t.notifier);
    dispatch_gone(&t.dispatch, &t.partition);
    for (size_t i = 0; i < stub_producer.count; i++)
        if (stub_producer.sends[i].open)
            stub_producer_report(&stub_producer.sends[i], RD_KAFKA_RESP_ERR__PURGE_QUEUE);
    started_close(&t.settler);
    recall_close(&t.recall);
    tracker_close(&t.tracker);
    gate_close(&t.gate);
    jobs_close(&t.jobs);
    dispatch_close(&t.dispatch);
    assert_null(stub_aws_open());
    parts_assert_empty();
    status_view_close(t.view);
    loop_close(t.loop);
    stubs_reset();
}

static inline int parts_begin(void **state) {
    (void)state;
    const struct executor_config config = parts_config();
    parts_open(&config);
    return 0;
}

static inline int parts_end(void **state) {
    (void)state;
    parts_close();
    return 0;
}

#define WITH_PARTS(test) cmocka_unit_test_setup_teardown(test, parts_begin, parts_end)

/* --- what a test does with them --------------------------------------------------------------- */

/* A record comes in; its job, if it is not finished at once. */
static inline struct job *parts_take(const char *value, rd_kafka_headers_t *headers) {
    rd_kafka_message_t *message = stub_message(t.next_offset++, NULL, value, headers);
    dispatch_record(&t.dispatch, &t.partition, message);
    return TAILQ_LAST(&t.partition.jobs, job_list);
}

static inline struct job *parts_query(const char *user_id, const char *query_id, const char *sql) {
    char value[512];
    snprintf(value, sizeof value, "{\"query\":\"%s\",\"userId\":\"%s\",\"queryId\":\"%s\"}", sql,
             user_id, query_id);
    return parts_take(value, NULL);
}

/* So many records of the user u, each of a pair of its own. */
static inline void parts_queries(int count, const char *sql) {
    for (int i = 0; i < count; i++) {
        char query_id[32];
        snprintf(query_id, sizeof query_id, "q%lld", (long long)t.next_offset);
        parts_query("u", query_id, sql);
    }
}

/* The quota has so many slots for each lane, and is known. */
static inline void parts_grant(int share) {
    t.grants++;
    for (int lane = 0; lane < LANES; lane++)
        admission_govern(&t.slots.admission[lane], share, t.grants);
}

static inline void parts_revoke(void) {
    t.partition.revoking = true;
    dispatch_revoking(&t.dispatch, &t.partition);
}

static inline void parts_iterate(void) {
    stub_iterate(t.loop);
}

/* Lets time go by until a call is open, a minute at most. */
static inline struct aws_call *parts_next_call(void) {
    stub_run(t.loop, 0);
    for (int i = 0; i < 120 && stub_aws_open() == NULL; i++)
        stub_run(t.loop, 500);
    assert_non_null(stub_aws_open());
    return stub_aws_open();
}

static inline void parts_answer_started(struct aws_call *call, const char *execution_id) {
    char body[128];
    snprintf(body, sizeof body, "{\"QueryExecutionId\":\"%s\"}", execution_id);
    stub_aws_answer(call, 200, "", body);
}

/* The oldest record to this topic that is not reported; NULL: none. */
static inline struct stub_send *parts_unreported(const char *topic) {
    for (size_t i = 0; i < stub_producer.count; i++)
        if (stub_producer.sends[i].open && strcmp(stub_producer.sends[i].topic, topic) == 0)
            return &stub_producer.sends[i];
    return NULL;
}

static inline void parts_report(const char *topic, rd_kafka_resp_err_t err) {
    struct stub_send *send = parts_unreported(topic);
    assert_non_null(send);
    stub_producer_report(send, err);
}

/* How many records this topic was sent. */
static inline size_t parts_sent(const char *topic) {
    size_t count = 0;
    for (size_t i = 0; i < stub_producer.count; i++)
        count += strcmp(stub_producer.sends[i].topic, topic) == 0;
    return count;
}

/* What the view knows of a pair: another executor has written it, say. */
static inline void parts_know(const char *user_id, const char *query_id, enum status_state state,
                              const char *execution_id, const char *sql) {
    struct query q = {.text = (char *)(uintptr_t)sql, .text_len = strlen(sql)};
    struct status s = {
        .user_id = (char *)(uintptr_t)user_id,
        .query_id = (char *)(uintptr_t)query_id,
        .state = state,
        .query_execution_id = (char *)(uintptr_t)execution_id,
        .has_sha256 = true,
        .updated_at_ms = loop_wall(),
    };
    query_sha256(&q, s.sha256);
    assert_true(status_view_apply(t.view, &s));
}

#endif
