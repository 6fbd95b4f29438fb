#include "executor/query/tracker.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/attempts.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "executor/executor.h"
#include "executor/limit/slot.h"
#include "executor/query/outcome.h"
#include "executor/query/settle.h"
#include "executor/turn/dispatch.h"
#include "executor/turn/gate.h"

enum {
    INTERVAL_LEAST_MS = 50,
    INTERVAL_MOST_MS = 1000,
    SPACING_LEAST_MS = 100,
    CREDENTIALS_MOST_MS = 5000, /* as gate.c: a refused call costs nothing */
    CALL_TIMEOUT_MS = 10000,
    UNTOLD_HELD = 100, /* looks in vain after which a query no longer counts as active */
    UNTOLD_SAID_EVERY_MS = 60000,
    BATCH_TEXT_BYTES =
        2 << 20, /* of SQL that an answer brings back: bounds its size and our memory */
};

static void on_timer(void *arg);

/* --- pure ------------------------------------------------------------------------------------- */

int64_t tracker_interval_ms(double median_s) {
    double ms = median_s * 1000 / 20;
    if (median_s <= 0)
        return SPACING_LEAST_MS;
    return ms < INTERVAL_LEAST_MS  ? INTERVAL_LEAST_MS
           : ms > INTERVAL_MOST_MS ? INTERVAL_MOST_MS
                                   : (int64_t)ms;
}

int tracker_peak(const struct tracker_seen *seen, size_t count, enum lane lane) {
    double last = 0;
    int active = 0;
    for (size_t i = 0; i < count; i++)
        if (seen[i].lane == lane && seen[i].submitted > last)
            last = seen[i].submitted;
    for (size_t i = 0; i < count; i++)
        active += seen[i].lane == lane && (seen[i].completed <= 0 || seen[i].completed > last);
    return active;
}

void tracker_back_off(struct tracker *t, int64_t now_ms, bool is_credentials) {
    t->failures += t->failures < INT_MAX;
    t->spacing_ms = attempts_delay_ms(t->failures);
    if (t->spacing_ms < SPACING_LEAST_MS)
        t->spacing_ms = SPACING_LEAST_MS;
    if (is_credentials && t->spacing_ms > CREDENTIALS_MOST_MS)
        t->spacing_ms = CREDENTIALS_MOST_MS;
    t->rests_since_ms = now_ms; /* a call that timed out has had its time */
}

double tracker_last_submitted(const struct tracker *t, enum lane lane) {
    const struct job *job;
    double last = 0;
    TAILQ_FOREACH(job, &t->running, in_list)
    if (job->lane == lane && job->submitted > last)
        last = job->submitted;
    return last;
}

int tracker_active_at(const struct tracker *t, enum lane lane, double at) {
    const struct job *job;
    int active = 0;
    TAILQ_FOREACH(job, &t->running, in_list)
    active += job->lane == lane && job->submitted > 0 && job->submitted <= at;
    for (size_t i = 0; i < TRACKER_ENDED; i++)
        active +=
            t->ended[i].lane == lane && t->ended[i].submitted <= at && t->ended[i].completed > at;
    return active;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const struct tracker *t) {
    if (t->durations_count == 0)
        return 0;
    double sorted[TRACKER_DURATIONS];
    memcpy(sorted, t->durations_s, t->durations_count * sizeof *sorted);
    qsort(sorted, t->durations_count, sizeof *sorted, by_value);
    return sorted[t->durations_count / 2];
}

/* --- when ------------------------------------------------------------------------------------- */

static void call_in(struct executor *x, int64_t delay_ms) {
    struct tracker *t = &x->tracker;
    int64_t rested_ms = loop_now(x->loop) - t->rests_since_ms;
    if (delay_ms < t->spacing_ms - rested_ms)
        delay_ms = t->spacing_ms - rested_ms;
    if (delay_ms < 0)
        delay_ms = 0;
    loop_timer_set(x->loop, &t->timer, delay_ms, on_timer, x);
}

static int64_t sweep_interval_ms(const struct executor *x) {
    if (x->config->poll_interval_ms > 0)
        return x->config->poll_interval_ms;
    return tracker_interval_ms(median(&x->tracker));
}

/* --- answers ---------------------------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL ? text : "";
}

static double number_of(const cJSON *object, const char *name) {
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(number) ? number->valuedouble : 0;
}

static void take_out(struct tracker *t, struct job *job) {
    TAILQ_REMOVE(&t->running, job, in_list);
    t->count--;
    for (size_t i = 0; i < t->batch_count; i++)
        if (t->batch[i] == job)
            t->batch[i] = NULL;
}

static void note_seen(struct tracker *t, const struct job *job, const cJSON *status) {
    if (t->seen_count == t->seen_room) {
        t->seen_room = t->seen_room * 2 + 64;
        t->seen = mem_resize(t->seen, t->seen_room, sizeof *t->seen);
    }
    t->seen[t->seen_count++] =
        (struct tracker_seen){job->lane, number_of(status, "SubmissionDateTime"),
                              number_of(status, "CompletionDateTime")};
}

static void note_duration(struct executor *x, const struct job *job, const cJSON *status) {
    struct tracker *t = &x->tracker;
    double submitted = number_of(status, "SubmissionDateTime");
    double completed = number_of(status, "CompletionDateTime");
    double seconds = completed > submitted && submitted > 0
                         ? completed - submitted
                         : (double)(loop_now(x->loop) - job->started_ms) / 1000;
    t->durations_s[t->durations_next] = seconds;
    t->durations_next = (t->durations_next + 1) % TRACKER_DURATIONS;
    if (t->durations_count < TRACKER_DURATIONS)
        t->durations_count++;
    metric_observe(&x->metrics[METRIC_RUN_SECONDS], seconds);
}

static void end(struct executor *x, struct job *job, enum status_state state,
                const cJSON *execution) {
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(execution, "Status");
    const char *reason = text_of(status, "StateChangeReason");
    note_duration(x, job, status);
    x->tracker.ended[x->tracker.ended_next++ % TRACKER_ENDED] =
        (struct tracker_seen){job->lane, job->submitted, number_of(status, "CompletionDateTime")};
    metric_add(
        &x->metrics[METRIC_SCANNED_BYTES],
        number_of(cJSON_GetObjectItemCaseSensitive(execution, "Statistics"), "DataScannedInBytes"));
    metric_add(&x->metrics[state == STATUS_SUCCEEDED ? METRIC_SUCCEEDED
                           : state == STATUS_FAILED  ? METRIC_FAILED
                                                     : METRIC_CANCELLED],
               1);
    take_out(&x->tracker, job);
    slot_release(x, job);
    settle_ended(x, job, state, reason[0] != '\0' ? reason : NULL);
}

static void note_location(struct job *job, const cJSON *execution) {
    const char *location = text_of(
        cJSON_GetObjectItemCaseSensitive(execution, "ResultConfiguration"), "OutputLocation");
    if (job->output_location == NULL && location[0] != '\0')
        job->output_location = mem_string(location);
}

static void look_at(struct executor *x, struct job *job, const cJSON *execution) {
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(execution, "Status");
    const char *name = text_of(status, "State");
    enum status_state state = status_state_parse(name, strlen(name));
    note_seen(&x->tracker, job, status);
    job->submitted = number_of(status, "SubmissionDateTime");
    note_location(job, execution);
    if (status_is_final(state))
        end(x, job, state, execution);
}

/* Two jobs may follow one execution: the same query was posted twice. */
static void look_at_each(struct executor *x, const cJSON *executions) {
    struct tracker *t = &x->tracker;
    const cJSON *execution;
    cJSON_ArrayForEach(execution, executions) {
        const char *id = text_of(execution, "QueryExecutionId");
        for (size_t i = 0; i < t->batch_count; i++) {
            struct job *job = t->batch[i];
            if (job != NULL && strcmp(job->execution_id, id) == 0) {
                t->batch[i] = NULL;
                look_at(x, job, execution);
            }
        }
    }
}

static void begin_sweep(struct executor *x) {
    struct tracker *t = &x->tracker;
    t->sweeping = t->sweep_sound = true;
    t->seen_count = 0;
    for (int lane = 0; lane < LANES; lane++)
        admission_sweep_begins(&x->admission[lane]);
    fleet_link_sweep_begins(x->fleet);
}

static void end_sweep(struct executor *x) {
    struct tracker *t = &x->tracker;
    for (int lane = 0; lane < LANES && t->sweep_sound; lane++)
        admission_swept(&x->admission[lane], tracker_peak(t->seen, t->seen_count, (enum lane)lane));
    if (t->sweep_sound)
        fleet_link_swept(x->fleet);
    t->sweeping = false;
    t->sweep++;
}

/* Whether some that run were not looked at in this sweep: those are at the front. */
static bool sweep_goes_on(const struct tracker *t) {
    const struct job *next = TAILQ_FIRST(&t->running);
    return next != NULL && next->sweep != t->sweep;
}

/* It may run, and takes a slot, but not for ever. */
static void note_one_untold(struct executor *x, struct job *job) {
    if (job->slot == SLOT_HELD && ++job->untold > UNTOLD_HELD)
        slot_release(x, job);
    if (job->slot == SLOT_HELD)
        note_seen(&x->tracker, job, NULL);
}

/* Those of the batch that the answer does not tell of count as active, and are asked for again. */
static void note_untold(struct executor *x, const cJSON *unprocessed) {
    struct tracker *t = &x->tracker;
    size_t untold = 0;
    for (size_t i = 0; i < t->batch_count; i++)
        if (t->batch[i] != NULL) {
            note_one_untold(x, t->batch[i]);
            untold++;
        }
    if (untold == 0 || loop_now(x->loop) < t->quiet_until_ms)
        return;
    t->quiet_until_ms = loop_now(x->loop) + UNTOLD_SAID_EVERY_MS;
    log_warn("Athena does not tell of %zu queries that it started, asked again: %s", untold,
             text_of(cJSON_GetArrayItem(unprocessed, 0), "ErrorMessage"));
}

static bool take_answer(struct executor *x, const struct aws_answer *answer) {
    cJSON *root = cJSON_ParseWithLength(answer->http.body, answer->http.body_len);
    const cJSON *executions = cJSON_GetObjectItemCaseSensitive(root, "QueryExecutions");
    const cJSON *unprocessed =
        cJSON_GetObjectItemCaseSensitive(root, "UnprocessedQueryExecutionIds");
    bool sound = cJSON_IsArray(executions);
    if (sound)
        look_at_each(x, executions);
    if (sound)
        note_untold(x, unprocessed);
    cJSON_Delete(root);
    return sound;
}

static void note_failure(struct executor *x, const struct aws_answer *answer) {
    struct tracker *t = &x->tracker;
    t->sweep_sound = false;
    metric_add(&x->metrics[METRIC_POLL_ERRORS], 1);
    log_warn("running queries cannot be looked at, tried again: status=%d code=%s %s",
             answer->http.status, answer->code,
             answer->http.error != NULL ? answer->http.error : answer->message);
}

static void on_answer(void *arg, const struct aws_answer *answer) {
    struct executor *x = arg;
    struct tracker *t = &x->tracker;
    struct outcome_input in = outcome_input_of(answer);
    enum outcome outcome = outcome_of_poll(&in);
    t->call = NULL;
    if (outcome == OUTCOME_CREDENTIALS) {
        note_failure(x, answer);
        tracker_back_off(t, loop_now(x->loop), true);
        gate_refused(x, answer);
    } else if (outcome != OUTCOME_STARTED || !take_answer(x, answer)) {
        note_failure(x, answer);
        if (outcome == OUTCOME_REJECTED && t->batch_count > 1)
            t->batch_max = t->batch_count / 2; /* one id may spoil it for the others */
        else
            tracker_back_off(t, loop_now(x->loop), false);
    } else {
        t->failures = 0;
        t->spacing_ms = SPACING_LEAST_MS;
        t->batch_max = t->batch_max * 2 < TRACKER_BATCH ? t->batch_max * 2 : TRACKER_BATCH;
        gate_worked(x);
    }
    t->batch_count = 0;
    /* The rest of this sweep follows at once, the next sweep so long after this call was made. */
    bool goes_on = sweep_goes_on(t);
    int64_t rested_ms = loop_now(x->loop) - t->rests_since_ms;
    if (!goes_on)
        end_sweep(x);
    if (t->count > 0)
        call_in(x, goes_on ? 0 : sweep_interval_ms(x) - rested_ms);
    dispatch_run(x);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* The next of this sweep, from the front; each goes to the end as it is taken. */
static void fill_batch(struct tracker *t) {
    struct job *job;
    size_t text_bytes = 0;
    t->batch_count = 0;
    while (t->batch_count < t->batch_max && text_bytes < BATCH_TEXT_BYTES &&
           (job = TAILQ_FIRST(&t->running)) != NULL && job->sweep != t->sweep) {
        text_bytes += job->text_bytes;
        job->sweep = t->sweep;
        TAILQ_REMOVE(&t->running, job, in_list);
        TAILQ_INSERT_TAIL(&t->running, job, in_list);
        t->batch[t->batch_count++] = job;
    }
}

/* Two jobs may follow one execution; Athena is asked for it once. */
static bool is_asked_before(const struct tracker *t, size_t i) {
    for (size_t j = 0; j < i; j++)
        if (strcmp(t->batch[j]->execution_id, t->batch[i]->execution_id) == 0)
            return true;
    return false;
}

static void write_batch(const struct tracker *t, struct buffer *body) {
    buffer_puts(body, "{\"QueryExecutionIds\":[");
    for (size_t i = 0; i < t->batch_count; i++) {
        const char *id = t->batch[i]->execution_id;
        if (is_asked_before(t, i))
            continue;
        buffer_puts(body, i > 0 ? "," : "");
        buffer_json_string(body, id, strlen(id));
    }
    buffer_puts(body, "]}");
}

static void on_timer(void *arg) {
    struct executor *x = arg;
    struct tracker *t = &x->tracker;
    if (t->call != NULL || t->count == 0)
        return;
    if (t->sweeping && !sweep_goes_on(t)) /* those that were left of it are gone */
        end_sweep(x);
    if (!t->sweeping)
        begin_sweep(x);
    fill_batch(t);
    struct buffer body;
    buffer_init(&body, 65536);
    write_batch(t, &body);
    t->rests_since_ms = loop_now(x->loop);
    metric_add(&x->metrics[METRIC_POLLS], 1);
    t->call = aws_start(x->aws, &aws_athena, "BatchGetQueryExecution", buffer_text(&body), body.len,
                        CALL_TIMEOUT_MS, on_answer, x);
    buffer_free(&body);
}

/* --- life ------------------------------------------------------------------------------------- */

void tracker_init(struct executor *x) {
    struct tracker *t = &x->tracker;
    memset(t, 0, sizeof *t);
    TAILQ_INIT(&t->running);
    t->sweep = 1;
    t->spacing_ms = SPACING_LEAST_MS;
    t->batch_max = TRACKER_BATCH;
}

void tracker_add(struct executor *x, struct job *job) {
    struct tracker *t = &x->tracker;
    job->state = JOB_RUNNING;
    job->started_ms = loop_now(x->loop);
    job->sweep = t->sweeping ? t->sweep : t->sweep - 1;
    TAILQ_INSERT_TAIL(&t->running, job, in_list);
    t->count++;
    if (t->call == NULL && t->timer.place == 0)
        call_in(x, sweep_interval_ms(x));
}

void tracker_drop(struct executor *x, struct job *job) {
    x->tracker.sweep_sound = false;
    take_out(&x->tracker, job);
}

void tracker_close(struct executor *x) {
    struct tracker *t = &x->tracker;
    loop_timer_cancel(x->loop, &t->timer);
    if (t->call != NULL)
        aws_cancel(t->call);
    t->call = NULL;
    free(t->seen);
    t->seen = NULL;
}
