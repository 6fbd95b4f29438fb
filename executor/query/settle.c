#include "executor/query/settle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "executor/metrics.h"
#include "executor/query/job_state.h"

enum {
    AGAIN_LEAST_MS = 200,
    AGAIN_MOST_MS = 10000,
    CUT_FROM_BYTES = 256 << 10, /* smaller ones were never too large by themselves */
    CUT_TO_BYTES = 64 << 10,
};

static void send_what_is_left(void *arg);

/* --- the copy --------------------------------------------------------------------------------- */

static rd_kafka_headers_t *copy_headers(const struct settler *s, const struct job *job) {
    char attempt[32], first_seen[32], origin[sizeof job->headers.origin];
    bool throttled = job->final_state == STATUS_THROTTLED;
    snprintf(attempt, sizeof attempt, "%" PRId64, job->headers.attempt + (throttled ? 1 : 0));
    snprintf(first_seen, sizeof first_seen, "%" PRId64, job_first_seen_ms(job));
    if (job->headers.origin[0] != '\0')
        snprintf(origin, sizeof origin, "%s", job->headers.origin);
    else
        snprintf(origin, sizeof origin, "%s/%d/%" PRId64, s->kafka->names.topics[TOPIC_QUERY],
                 (int)job->message->partition, job->offset);
    struct record_header set[] = {
        {HEADER_ATTEMPT, attempt},
        {HEADER_FIRST_SEEN, first_seen},
        {HEADER_ORIGIN, origin},
        {HEADER_ERROR, job->error_code},
        {HEADER_QUERY_ID, job->id.query_id}, /* last: left out where the body carries it */
    };
    size_t count = sizeof set / sizeof *set - (job->id.in_body ? 1 : 0);
    rd_kafka_headers_t *from = job->cut ? NULL : held_record_headers(job->message);
    rd_kafka_headers_t *to = record_headers_copy(from, set, count);
    if (from != NULL)
        rd_kafka_headers_destroy(from);
    return to;
}

static void finish_if_acknowledged(struct job *job) {
    if (job->copy.in_flight || job->status.in_flight)
        return;
    bool left =
        (job->copy.wanted && !job->copy.acked) || (job->status.wanted && !job->status.acked);
    if (job->state == JOB_ABANDONED)
        job_transition(job, JOB_DROPPED);
    else if (!left)
        job_transition(job, JOB_FINISHED);
    else if (job->timer.place == 0)
        send_what_is_left(job);
}

/* Longer after each failure, up to a bound: what cannot be written must not be lost either. */
static void send_later(struct job *job, rd_kafka_resp_err_t err, const char *what) {
    struct settler *s = job->settler;
    job->send_again_ms = backoff_next_ms(job->send_again_ms, AGAIN_LEAST_MS, AGAIN_MOST_MS);
    metric_add(&s->metrics[METRIC_SEND_ERRORS], 1);
    log_warn("%s not written, tried again: %s queryId=%s partition=%d offset=%" PRId64, what,
             rd_kafka_err2str(err), job->id.query_id,
             job->partition != NULL ? (int)job->partition->id : -1, job->offset);
    loop_timer_set(s->loop, &job->timer, job->send_again_ms, send_what_is_left, job);
}

/*
 * The copy is larger than its topic takes. A throttled query stays here and waits; what is rejected
 * is cut, for people still want to know of it. A small one was only in a batch with a large one.
 */
static void shrink(struct job *job) {
    if (job->message->len < CUT_FROM_BYTES)
        return;
    log_error("a record is too large for %s: give that topic a larger max.message.bytes "
              "partition=%d offset=%" PRId64,
              job->copy_topic, (int)job->message->partition, job->offset);
    job->cut = job->final_state == STATUS_REJECTED;
}

static void settle_on_sent(struct job *job, struct job_send *send, rd_kafka_resp_err_t err,
                           const char *what) {
    send->in_flight = false;
    send->acked = err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (job->state != JOB_ABANDONED && err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        shrink(job);
    if (job->state != JOB_ABANDONED && !send->acked)
        send_later(job, err, what);
    finish_if_acknowledged(job);
}

static void settle_on_copy(void *arg, rd_kafka_resp_err_t err, int32_t partition, int64_t offset) {
    (void)partition;
    (void)offset;
    struct job *job = arg;
    settle_on_sent(job, &job->copy, err, job->copy_topic);
}

static void send_copy(struct settler *s, struct job *job) {
    struct producer_record record = {
        .topic = job->copy_topic,
        .key = job->message->key,
        .key_len = job->message->key_len,
        .value = job->message->payload,
        .value_len = job->cut ? CUT_TO_BYTES : job->message->len,
        .headers = copy_headers(s, job),
        .may_compress = true,
    };
    rd_kafka_resp_err_t err = producer_send(s->producer, &record, settle_on_copy, job);
    job->copy.in_flight = err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!job->copy.in_flight) {
        if (record.headers != NULL)
            rd_kafka_headers_destroy(record.headers);
        if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            shrink(job);
        send_later(job, err, job->copy_topic);
    }
}

/* --- the state -------------------------------------------------------------------------------- */

static struct status settle_describe(struct job *job, enum status_state state) {
    struct status s = {
        .user_id = job->id.user_id,
        .query_id = job->id.query_id,
        .state = state,
        .query_execution_id = job->execution_id,
        .output_location = job->output_location,
        .reason = job->reason,
        .attempt = job->headers.attempt + (state == STATUS_THROTTLED ? 1 : 0),
        .updated_at_ms = loop_wall(),
        .has_sha256 = job->has_sha256,
    };
    memcpy(s.sha256, job->sha256, sizeof s.sha256);
    return s;
}

static bool may_publish(const struct settler *s, const struct status *next) {
    struct status known;
    bool is_known = status_view_find(s->view, next->user_id, next->query_id, &known);
    return status_may_follow(is_known ? &known : NULL, next);
}

static rd_kafka_resp_err_t send_state(struct settler *s, const struct status *state,
                                      producer_done_fn *fn, void *arg) {
    char key[STATUS_KEY_MAX];
    struct buffer value;
    buffer_init(&value, STATUS_VALUE_MAX);
    status_key(state->user_id, state->query_id, key);
    status_write(state, true, &value);
    struct producer_record record = {
        .topic = s->kafka->names.topics[TOPIC_STATUS],
        .key = key,
        .key_len = strlen(key),
        .value = buffer_text(&value),
        .value_len = value.len,
    };
    rd_kafka_resp_err_t err = producer_send(s->producer, &record, fn, arg);
    buffer_free(&value);
    return err;
}

static rd_kafka_resp_err_t publish_state(struct settler *s, const struct status *state,
                                         producer_done_fn *fn, void *arg) {
    rd_kafka_resp_err_t err = send_state(s, state, fn, arg);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        status_view_apply(s->view, state); /* before it is read: a repetition may be next in line */
    return err;
}

void settle_republish(struct settler *s, const struct status *known) {
    send_state(s, known, NULL, NULL);
}

static void settle_on_status(void *arg, rd_kafka_resp_err_t err, int32_t partition,
                             int64_t offset) {
    (void)partition;
    (void)offset;
    struct job *job = arg;
    settle_on_sent(job, &job->status, err, "status");
}

static void send_status(struct settler *s, struct job *job) {
    /* What may be touched is only known once all that was written before has been read. */
    if (job->execution_id == NULL && !status_reader_caught_up(s->reader)) {
        if (job->timer.place == 0)
            loop_timer_set(s->loop, &job->timer, AGAIN_LEAST_MS, send_what_is_left, job);
        return;
    }
    struct status state = settle_describe(job, job->final_state);
    /* Published by us before a failure, or by another copy of the same query: once more. */
    struct status known;
    bool same = status_view_find(s->view, state.user_id, state.query_id, &known) &&
                known.state == state.state && status_is_same_text(&known, &state);
    if (!same && !may_publish(s, &state)) {
        job->status.wanted = false;
        return;
    }
    rd_kafka_resp_err_t err = publish_state(s, &state, settle_on_status, job);
    job->status.in_flight = err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!job->status.in_flight)
        send_later(job, err, "status");
}

/* --- settling --------------------------------------------------------------------------------- */

static void send_what_is_left(void *arg) {
    struct job *job = arg;
    struct settler *s = job->settler;
    if (job->copy.wanted && !job->copy.acked && !job->copy.in_flight)
        send_copy(s, job);
    if (job->status.wanted && !job->status.acked && !job->status.in_flight)
        send_status(s, job);
    bool waits = job->timer.place != 0 || job->copy.in_flight || job->status.in_flight;
    if (!waits)
        finish_if_acknowledged(job);
}

/* Athena's reason may quote the text of the query. */
static void log_rejected(const struct job *job, const char *code, const char *reason) {
    log_info("rejected: code=%s queryId=%s partition=%d offset=%" PRId64, code, job->id.query_id,
             (int)job->message->partition, job->offset);
    log_debug("rejected: %s queryId=%s", reason, job->id.query_id);
}

static void settle(struct settler *s, struct job *job, enum status_state state,
                   const char *copy_topic, const char *code, const char *reason) {
    job_transition(job, JOB_SETTLING);
    job->settler = s;
    job->final_state = state;
    job->copy_topic = copy_topic;
    job->copy = (struct job_send){.wanted = copy_topic != NULL};
    job->status = (struct job_send){.wanted = true};
    free(job->error_code);
    free(job->reason);
    job->error_code = mem_string(code);
    job->reason = mem_string(reason);
    job->send_again_ms = 0;
}

/*
 * An earlier record of its partition is still about this pair, and Athena may have started that one
 * already: a state of this one would make it look as if the pair were this one's.
 */
static bool is_behind_its_pair(const struct job *job) {
    const struct job *earlier = job;
    while ((earlier = TAILQ_PREV(earlier, job_list, in_partition)) != NULL)
        if (strcmp(earlier->token, job->token) == 0)
            return true;
    return false;
}

void settle_waiting(struct settler *s, struct job *job, const char *reason) {
    struct status known, state = settle_describe(job, STATUS_QUEUED);
    state.reason = (char *)reason; /* only read */
    bool is_known = status_view_find(s->view, state.user_id, state.query_id, &known);
    if (status_may_follow(is_known ? &known : NULL, &state) &&
        (is_known || !is_behind_its_pair(job)))
        publish_state(s, &state, NULL, NULL);
}

static void settle_on_start_published(void *arg, rd_kafka_resp_err_t err, int32_t partition,
                                      int64_t offset) {
    struct settler *s = arg;
    (void)partition;
    (void)offset;
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_debug("STARTED not written: %s", rd_kafka_err2str(err));
    s->starts_in_flight--;
    if (s->start_published != NULL)
        s->start_published(s->arg);
}

void settle_running(struct settler *s, struct job *job) {
    struct status state = settle_describe(job, STATUS_STARTED);
    if (may_publish(s, &state) &&
        publish_state(s, &state, settle_on_start_published, s) == RD_KAFKA_RESP_ERR_NO_ERROR)
        s->starts_in_flight++;
}

void settle_started(struct settler *s, struct job *job) {
    settle(s, job, STATUS_STARTED, NULL, NULL, NULL);
    send_what_is_left(job);
}

void settle_ended(struct settler *s, struct job *job, enum status_state state, const char *reason) {
    settle(s, job, state, NULL, NULL, reason);
    send_what_is_left(job);
}

void settle_known(struct settler *s, struct job *job, const struct status *known) {
    if (!status_view_is_covered(s->view, job->id.user_id, job->id.query_id)) {
        job_transition(job, JOB_FINISHED);
        return;
    }
    char *id = mem_string(known->query_execution_id);
    char *location = mem_string(known->output_location);
    free(job->execution_id);
    free(job->output_location);
    job->execution_id = id;
    job->output_location = location;
    settle(s, job, known->state, NULL, NULL, known->reason);
    send_what_is_left(job);
}

void settle_throttled(struct settler *s, struct job *job, const char *code, const char *reason) {
    metric_add(&s->metrics[METRIC_DEADLETTERED], 1);
    settle(s, job, STATUS_THROTTLED, s->kafka->names.topics[TOPIC_DEADLETTER], code, reason);
    send_what_is_left(job);
}

void settle_rejected(struct settler *s, struct job *job, const char *code, const char *reason) {
    metric_add(&s->metrics[METRIC_REJECTED], 1);
    log_rejected(job, code, reason);
    settle(s, job, STATUS_REJECTED, s->kafka->names.topics[TOPIC_REJECTED], code, reason);
    send_what_is_left(job);
}

void settle_mismatch(struct settler *s, struct job *job, const char *code, const char *reason) {
    metric_add(&s->metrics[METRIC_REJECTED], 1);
    log_info("rejected: its userId and queryId are those of another query: queryId=%s",
             job->id.query_id);
    log_rejected(job, code, reason);
    settle(s, job, STATUS_REJECTED, s->kafka->names.topics[TOPIC_REJECTED], code, reason);
    job->status.wanted = false;
    send_what_is_left(job);
}
