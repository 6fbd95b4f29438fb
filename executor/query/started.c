#include "executor/query/started.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "executor/metrics.h"

static void started_send(void *arg);

static void started_free(struct started *start) {
    struct settler *s = start->settler;
    LIST_REMOVE(start, link);
    s->starts_in_flight--;
    loop_timer_cancel(s->loop, &start->timer);
    free(start->state.user_id);
    free(start->state.query_id);
    free(start->state.query_execution_id);
    free(start->state.output_location);
    free(start);
}

static void started_done(struct started *start) {
    struct settler *s = start->settler;
    started_free(start);
    if (s->start_published != NULL)
        s->start_published(s->arg);
}

static void started_on_refusal(struct started *start, rd_kafka_resp_err_t err) {
    struct settler *s = start->settler;
    metric_add(&s->metrics[METRIC_SEND_ERRORS], 1);
    log_warn("status STARTED not written, tried again: %s queryId=%s partition=%d offset=%" PRId64,
             rd_kafka_err2str(err), start->state.query_id, (int)start->partition, start->offset);
    if (start->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        start->failing_ms = loop_now(s->loop);
    start->err = err;
    if (settle_shorten_state(err, &start->shortened))
        start->wait_ms = 0;
    else
        start->wait_ms = settle_backoff_ms(start->wait_ms);
    loop_timer_set(s->loop, &start->timer, start->wait_ms, started_send, start);
}

static void started_on_report(void *arg, rd_kafka_resp_err_t err, int32_t partition,
                              int64_t offset) {
    struct started *start = arg;
    (void)partition;
    (void)offset;
    start->in_flight = false;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        started_done(start);
    else
        started_on_refusal(start, err);
}

/* Not any more where a later state is known. */
static void started_send(void *arg) {
    struct started *start = arg;
    struct settler *s = start->settler;
    if (!settle_is_published(s, &start->state) && !settle_may_publish(s, &start->state)) {
        started_done(start);
        return;
    }
    rd_kafka_resp_err_t err =
        settle_publish(s, &start->state, start->shortened, started_on_report, start);
    start->in_flight = err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!start->in_flight)
        started_on_refusal(start, err);
}

void started_publish(struct settler *s, struct job *job) {
    struct status state = settle_describe(job, STATUS_STARTED);
    if (!settle_may_publish(s, &state))
        return;
    struct started *start = mem_zero(sizeof *start);
    start->settler = s;
    start->state = state;
    start->state.user_id = mem_string(state.user_id);
    start->state.query_id = mem_string(state.query_id);
    start->state.query_execution_id = mem_string(state.query_execution_id);
    start->state.output_location = mem_string(state.output_location);
    start->state.reason = NULL;
    start->partition = job->partition->id;
    start->offset = job->offset;
    LIST_INSERT_HEAD(&s->starts, start, link);
    s->starts_in_flight++;
    started_send(start);
}

void started_close(struct settler *s) {
    struct started *start;
    while ((start = LIST_FIRST(&s->starts)) != NULL)
        started_free(start);
}
