#include "executor/query/settle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "executor/metrics.h"
#include "executor/query/copy.h"
#include "executor/query/job_state.h"

enum {
    AGAIN_LEAST_MS = 200,
    AGAIN_MOST_MS = 10000,
    DEADLETTER_PATIENCE_MS = 10000, /* a dead letter that fails for longer is not waited for */
    REBALANCE_PATIENCE_MS = 2000,
    SHORT_REASON_BYTES = 256,
    STATE_SHORTENINGS = 3,
};

static void settle_send_what_is_left(struct job *job);

int64_t settle_backoff_ms(int64_t last_ms) {
    return backoff_next_ms(last_ms, AGAIN_LEAST_MS, AGAIN_MOST_MS);
}

/* --- states ----------------------------------------------------------------------------------- */

struct status settle_describe(const struct job *job, enum status_state state) {
    struct status s = {
        .user_id = (char *)job->id.user_id,   /* only read, … */
        .query_id = (char *)job->id.query_id, /* … as all of this is */
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

bool settle_may_publish(const struct settler *s, const struct status *next) {
    struct status known;
    bool is_known = status_view_find(s->view, next->user_id, next->query_id, &known);
    return status_may_follow(is_known ? &known : NULL, next);
}

bool settle_is_published(const struct settler *s, const struct status *state) {
    struct status known;
    return status_view_find(s->view, state->user_id, state->query_id, &known) &&
           known.state == state->state && status_is_same_text(&known, state);
}

/* The reason is cut, then left out, and then the place of the result. */
static struct status shortened_state(const struct status *state, unsigned times,
                                     char reason[SHORT_REASON_BYTES]) {
    struct status s = *state;
    if (times >= 1 && s.reason != NULL) {
        snprintf(reason, SHORT_REASON_BYTES, "%s", s.reason);
        s.reason = times == 1 ? reason : NULL;
    }
    if (times >= STATE_SHORTENINGS)
        s.output_location = NULL;
    return s;
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

rd_kafka_resp_err_t settle_publish(struct settler *s, const struct status *state,
                                   unsigned shortened, producer_done_fn *fn, void *arg) {
    char reason[SHORT_REASON_BYTES];
    struct status shorter = shortened_state(state, shortened, reason);
    rd_kafka_resp_err_t err = send_state(s, &shorter, fn, arg);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) /* before it is read: a repetition may be next in line */
        status_view_apply(s->view, &shorter);
    return err;
}

static bool settle_shorten(rd_kafka_resp_err_t err, unsigned *shortened, unsigned most) {
    if (err != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || *shortened == most)
        return false;
    ++*shortened;
    return true;
}

bool settle_shorten_state(rd_kafka_resp_err_t err, unsigned *shortened) {
    return settle_shorten(err, shortened, STATE_SHORTENINGS);
}

void settle_republish(struct settler *s, const struct status *known) {
    send_state(s, known, NULL, NULL);
}

static void settle_publish_in_passing(struct settler *s, const struct status *state) {
    rd_kafka_resp_err_t err = settle_publish(s, state, 0, NULL, NULL);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_debug("status not written: %s queryId=%s", rd_kafka_err2str(err), state->query_id);
}

void settle_waiting(struct settler *s, struct job *job, const char *reason) {
    struct status state = settle_describe(job, STATUS_QUEUED);
    state.reason = (char *)reason; /* only read */
    if (settle_may_publish(s, &state))
        settle_publish_in_passing(s, &state);
}

/* --- a record is refused ---------------------------------------------------------------------- */

/*
 * Its dead letter cannot be written, so it waits here: in its place, without a slot, and holds up
 * nobody. THROTTLED may be on its way, and is published once more with the reason.
 */
static void settle_wait_here(struct settler *s, struct job *job, rd_kafka_resp_err_t err) {
    char reason[512];
    if (job->partition->revoking) {
        job_transition(job, JOB_DROPPED);
        return;
    }
    log_warn("a query waits for the quota here, for its dead letter is not taken: %s queryId=%s "
             "partition=%d offset=%" PRId64,
             rd_kafka_err2str(err), job->id.query_id, (int)job->partition->id, job->offset);
    snprintf(reason, sizeof reason, "waiting for the quota in an executor, for %s refuses it: %s",
             job->copy_topic, rd_kafka_err2str(err));
    struct status state = settle_describe(job, STATUS_THROTTLED);
    state.reason = reason;
    if (status_reader_caught_up(s->reader) && settle_may_publish(s, &state))
        settle_publish_in_passing(s, &state);
    job_forget_sends(job);
    free(job->reason);
    job->reason = NULL;
    job->headers.attempt = state.attempt;
    job->has_no_copy |= err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    job->keeps_place = true;
    job_transition(job, JOB_WAITING);
    if (s->waits_again != NULL)
        s->waits_again(s->arg);
}

static void settle_on_timer(void *arg) {
    settle_send_what_is_left(arg);
}

static bool fails_for_long(const struct settler *s, const struct job_send *send) {
    return !send->acked && send->flight == NULL && send->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
           loop_now(s->loop) - send->failing_ms >= REBALANCE_PATIENCE_MS;
}

bool settle_ends_soon(const struct job *job) {
    return !fails_for_long(job->settler, &job->copy) && !fails_for_long(job->settler, &job->status);
}

static bool is_hopeless_letter(const struct settler *s, const struct job *job,
                               const struct job_send *send, rd_kafka_resp_err_t err) {
    return send == &job->copy && job->final_state == STATUS_THROTTLED &&
           (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
            loop_now(s->loop) - send->failing_ms >= DEADLETTER_PATIENCE_MS);
}

static void log_cut(const struct job *job) {
    log_error(
        "a record of %zu bytes is kept cut: %s does not take it whole, even compressed, give it "
        "a larger max.message.bytes: partition=%d offset=%" PRId64,
        job->message->len, job->copy_topic, (int)job->partition->id, job->offset);
}

/*
 * Sent again, shorter at once where that helps, else later and later: what cannot be written must
 * not be lost either.
 */
static void settle_on_refusal(struct settler *s, struct job *job, struct job_send *send,
                              rd_kafka_resp_err_t err) {
    bool is_copy = send == &job->copy;
    metric_add(&s->metrics[METRIC_SEND_ERRORS], 1);
    log_warn("%s not written, tried again: %s queryId=%s partition=%d offset=%" PRId64,
             is_copy ? job->copy_topic : "status", rd_kafka_err2str(err), job->id.query_id,
             (int)job->partition->id, job->offset);
    if (send->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        send->failing_ms = loop_now(s->loop);
    send->err = err;
    if (is_hopeless_letter(s, job, send, err)) {
        settle_wait_here(s, job, err);
        return;
    }
    if (settle_shorten(err, &send->shortened, is_copy ? COPY_SHORTENINGS : STATE_SHORTENINGS)) {
        if (is_copy && send->shortened == 1)
            log_cut(job);
        send->wait_ms = 0;
    } else if (job->partition->revoking && !settle_ends_soon(job)) {
        job_transition(job, JOB_DROPPED);
        return;
    } else {
        send->wait_ms = settle_backoff_ms(send->wait_ms);
    }
    loop_timer_set(s->loop, &send->timer, send->wait_ms, settle_on_timer, job);
}

/* --- sending ---------------------------------------------------------------------------------- */

static bool is_left(const struct job_send *send) {
    return send->wanted && !send->acked;
}

static bool is_due(const struct job_send *send) {
    return is_left(send) && send->flight == NULL && send->timer.place == 0;
}

static void settle_finish_if_acknowledged(struct job *job) {
    if (job->state == JOB_SETTLING && !is_left(&job->copy) && !is_left(&job->status))
        job_transition(job, JOB_FINISHED);
}

static void settle_on_report(void *arg, rd_kafka_resp_err_t err, int32_t partition,
                             int64_t offset) {
    (void)partition;
    (void)offset;
    struct job_flight flight = *(struct job_flight *)arg;
    free(arg);
    struct job *job = flight.job;
    if (job == NULL)
        return;
    flight.send->flight = NULL;
    flight.send->acked = err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!flight.send->acked) {
        settle_on_refusal(job->settler, job, flight.send, err);
        return;
    }
    settle_finish_if_acknowledged(job);
}

static struct job_flight *new_flight(struct job *job, struct job_send *send) {
    struct job_flight *flight = mem_alloc(sizeof *flight);
    *flight = (struct job_flight){job, send};
    return flight;
}

/* What producer_send() has returned. */
static void settle_on_sent(struct settler *s, struct job_flight *flight, rd_kafka_resp_err_t err) {
    struct job *job = flight->job;
    struct job_send *send = flight->send;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        send->flight = flight;
        return;
    }
    free(flight);
    settle_on_refusal(s, job, send, err);
}

static void settle_send_copy(struct settler *s, struct job *job) {
    struct producer_record record = copy_record(job, s->kafka->names.topics[TOPIC_QUERY]);
    struct job_flight *flight = new_flight(job, &job->copy);
    rd_kafka_resp_err_t err = producer_send(s->producer, &record, settle_on_report, flight);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && record.headers != NULL)
        rd_kafka_headers_destroy(record.headers);
    settle_on_sent(s, flight, err);
}

static void settle_send_state(struct settler *s, struct job *job) {
    /* What may be touched is only known once all that was written before has been read. */
    if (job->execution_id == NULL && !status_reader_caught_up(s->reader)) {
        loop_timer_set(s->loop, &job->status.timer, AGAIN_LEAST_MS, settle_on_timer, job);
        return;
    }
    struct status state = settle_describe(job, job->final_state);
    /* Published by us before a failure, or by another copy of the same query: once more. */
    if (!settle_is_published(s, &state) && !settle_may_publish(s, &state)) {
        job->status.wanted = false;
        return;
    }
    struct job_flight *flight = new_flight(job, &job->status);
    settle_on_sent(s, flight,
                   settle_publish(s, &state, job->status.shortened, settle_on_report, flight));
}

static void settle_send_what_is_left(struct job *job) {
    struct settler *s = job->settler;
    if (is_due(&job->copy))
        settle_send_copy(s, job);
    if (job->state == JOB_SETTLING && is_due(&job->status)) /* the copy may have been refused */
        settle_send_state(s, job);
    settle_finish_if_acknowledged(job);
}

/* --- settling --------------------------------------------------------------------------------- */

/* Athena's reason may quote the text of the query. */
static void log_rejected(const struct job *job, const char *code, const char *reason) {
    log_info("rejected: code=%s queryId=%s partition=%d offset=%" PRId64, code, job->id.query_id,
             (int)job->message->partition, job->offset);
    log_debug("rejected: %s queryId=%s", reason, job->id.query_id);
}

static void settle_begin(struct settler *s, struct job *job, enum status_state state,
                         const char *copy_topic, const char *code, const char *reason) {
    job_transition(job, JOB_SETTLING);
    job->settler = s;
    job->final_state = state;
    job->copy_topic = copy_topic;
    job->copy = (struct job_send){.wanted = copy_topic != NULL};
    job->status = (struct job_send){.wanted = true};
    char *own_code = mem_string(code), *own_reason = mem_string(reason);
    free(job->error_code);
    free(job->reason);
    job->error_code = own_code;
    job->reason = own_reason;
}

void settle_started(struct settler *s, struct job *job) {
    settle_begin(s, job, STATUS_STARTED, NULL, NULL, NULL);
    settle_send_what_is_left(job);
}

void settle_ended(struct settler *s, struct job *job, enum status_state state, const char *reason) {
    settle_begin(s, job, state, NULL, NULL, reason);
    settle_send_what_is_left(job);
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
    settle_begin(s, job, known->state, NULL, NULL, known->reason);
    settle_send_what_is_left(job);
}

void settle_throttled(struct settler *s, struct job *job, const char *code, const char *reason) {
    metric_add(&s->metrics[METRIC_DEADLETTERED], 1);
    settle_begin(s, job, STATUS_THROTTLED, s->kafka->names.topics[TOPIC_DEADLETTER], code, reason);
    settle_send_what_is_left(job);
}

void settle_rejected(struct settler *s, struct job *job, const char *code, const char *reason) {
    metric_add(&s->metrics[METRIC_REJECTED], 1);
    log_rejected(job, code, reason);
    settle_begin(s, job, STATUS_REJECTED, s->kafka->names.topics[TOPIC_REJECTED], code, reason);
    settle_send_what_is_left(job);
}

void settle_mismatch(struct settler *s, struct job *job, const char *code, const char *reason) {
    metric_add(&s->metrics[METRIC_REJECTED], 1);
    log_info("rejected: its userId and queryId are those of another query: queryId=%s",
             job->id.query_id);
    log_rejected(job, code, reason);
    settle_begin(s, job, STATUS_REJECTED, s->kafka->names.topics[TOPIC_REJECTED], code, reason);
    job->status.wanted = false;
    settle_send_what_is_left(job);
}
