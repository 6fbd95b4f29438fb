#include "common/kafka/trim.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/wakeup.h"

enum {
    EVERY_MIN_MS = 1000,
    EVERY_MAX_MS = 60000,
    FIRST_MS = 1000, /* after an assignment: members that live shortly delete, too */
    DELETE_TIMEOUT_MS = 10000,
    REASON_MAX = 256
};

struct trim_partition {
    int32_t partition;
    struct kafka_trim_mark mark;
    int64_t low; /* as the broker has answered last */
};

struct kafka_trim {
    struct loop *loop;
    rd_kafka_t *rk;
    const char *topic;
    const struct kafka_commits *commits;
    int64_t keep_done_ms;
    struct kafka_positions *positions;
    rd_kafka_queue_t *results;
    struct kafka_wakeup *wakeup;
    struct trim_partition *partitions; /* owned */
    size_t count;
    bool deleting; /* a request is under way */
    int64_t deleted;
    char refused[REASON_MAX]; /* the last refusal that was logged */
    struct loop_timer timer;
};

/* --- the decision ----------------------------------------------------------------------------- */

static int64_t trim_old_below(int64_t since, int64_t done, int64_t keep_done_ms, int64_t now_ms,
                              struct kafka_trim_mark *mark) {
    int64_t below = since;
    if (keep_done_ms == 0)
        return done;
    bool due = mark->offset >= 0 && now_ms - mark->at_ms >= keep_done_ms;
    if (due && mark->offset > below)
        below = mark->offset;
    if (due || mark->offset < 0)
        *mark = (struct kafka_trim_mark){done, now_ms};
    return below < done ? below : done;
}

int64_t kafka_trim_before(const struct kafka_position *position, int64_t tracked,
                          int64_t keep_done_ms, int64_t now_ms, struct kafka_trim_mark *mark) {
    int64_t done = position->committed < tracked ? position->committed : tracked;
    /* A commit beyond the end is of another topic than the one that is there. */
    if (position->error[0] != '\0' || done < 0 || position->committed > position->end)
        return -1;
    int64_t before = trim_old_below(position->since, done, keep_done_ms, now_ms, mark);
    return before > position->low ? before : -1;
}

int64_t kafka_trim_every_ms(int64_t keep_done_ms) {
    int64_t every_ms = keep_done_ms / 10;
    if (every_ms < EVERY_MIN_MS)
        return EVERY_MIN_MS;
    return every_ms < EVERY_MAX_MS ? every_ms : EVERY_MAX_MS;
}

/* --- deleting --------------------------------------------------------------------------------- */

static struct trim_partition *trim_find(struct kafka_trim *t, int32_t partition) {
    for (size_t i = 0; i < t->count; i++)
        if (t->partitions[i].partition == partition)
            return &t->partitions[i];
    return NULL;
}

/* A stand-in for a broker may not have DeleteRecords: that is no fault. */
static void trim_note_refusal(struct kafka_trim *t, rd_kafka_resp_err_t err, const char *reason) {
    if (strncmp(reason, t->refused, sizeof t->refused - 1) == 0)
        return;
    snprintf(t->refused, sizeof t->refused, "%s", reason);
    log_write(err == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE ? LOG_INFO : LOG_WARN,
              "records that are done with cannot be deleted from %s: %s", t->topic, reason);
}

static void trim_take_result(struct kafka_trim *t, const rd_kafka_topic_partition_t *result) {
    if (result->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        trim_note_refusal(t, result->err, rd_kafka_err2str(result->err));
        return;
    }
    t->refused[0] = '\0';
    struct trim_partition *p = trim_find(t, result->partition);
    if (p == NULL || result->offset <= p->low)
        return;
    t->deleted += result->offset - p->low;
    log_info("deleted what is done with topic=%s partition=%d offsets=%lld..%lld", t->topic,
             (int)result->partition, (long long)p->low, (long long)result->offset);
    p->low = result->offset;
}

static void trim_on_results(void *arg) {
    struct kafka_trim *t = arg;
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(t->results, 0)) != NULL) {
        const rd_kafka_DeleteRecords_result_t *result = rd_kafka_event_DeleteRecords_result(event);
        t->deleting = false;
        if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            trim_note_refusal(t, rd_kafka_event_error(event), rd_kafka_event_error_string(event));
        } else if (result != NULL) {
            const rd_kafka_topic_partition_list_t *list =
                rd_kafka_DeleteRecords_result_offsets(result);
            for (int i = 0; i < list->cnt; i++)
                trim_take_result(t, &list->elems[i]);
        }
        rd_kafka_event_destroy(event);
    }
}

static void trim_delete(struct kafka_trim *t, const rd_kafka_topic_partition_list_t *before) {
    char error[256];
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(before);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(t->rk, RD_KAFKA_ADMIN_OP_DELETERECORDS);
    rd_kafka_AdminOptions_set_request_timeout(options, DELETE_TIMEOUT_MS, error, sizeof error);
    t->deleting = true;
    rd_kafka_DeleteRecords(t->rk, &request, 1, options, t->results);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_DeleteRecords_destroy(request);
}

/* --- asking ----------------------------------------------------------------------------------- */

static int64_t trim_tracked(const struct kafka_trim *t, int32_t partition) {
    const struct kafka_tracker *tracker = kafka_commits_find(t->commits, partition);
    return tracker != NULL ? offsets_position(&tracker->offsets) : KAFKA_TRIM_UNTRACKED;
}

static void trim_on_positions(void *arg, struct kafka_position *positions, size_t count) {
    struct kafka_trim *t = arg;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count + 1);
    for (size_t i = 0; i < count; i++) {
        struct trim_partition *p = trim_find(t, positions[i].partition);
        if (p == NULL)
            continue;
        int64_t before = kafka_trim_before(&positions[i], trim_tracked(t, p->partition),
                                           t->keep_done_ms, loop_now(t->loop), &p->mark);
        p->low = positions[i].low;
        if (before >= 0)
            rd_kafka_topic_partition_list_add(list, t->topic, p->partition)->offset = before;
    }
    if (list->cnt > 0)
        trim_delete(t, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void trim_on_timer(void *arg);

static void trim_ask_in(struct kafka_trim *t, int64_t delay_ms) {
    loop_timer_set(t->loop, &t->timer, delay_ms, trim_on_timer, t);
}

static void trim_on_timer(void *arg) {
    struct kafka_trim *t = arg;
    int32_t *partitions = mem_zero((t->count + 1) * sizeof *partitions);
    for (size_t i = 0; i < t->count; i++)
        partitions[i] = t->partitions[i].partition;
    const struct kafka_positions_question question = {
        .partitions = partitions,
        .count = t->count,
        .committed = true,
        .since_ms = t->keep_done_ms > 0 ? loop_wall() - t->keep_done_ms : -1};
    if (!t->deleting && !kafka_positions_ask(t->positions, &question))
        log_debug("the offsets of %s are still being asked for", t->topic);
    free(partitions);
    trim_ask_in(t, kafka_trim_every_ms(t->keep_done_ms));
}

/* --- life ------------------------------------------------------------------------------------- */

void kafka_trim_assign(struct kafka_trim *t, const rd_kafka_topic_partition_list_t *partitions) {
    if (t == NULL)
        return;
    kafka_positions_forget(t->positions);
    t->count = partitions != NULL ? (size_t)partitions->cnt : 0;
    t->partitions = mem_resize(t->partitions, t->count + 1, sizeof *t->partitions);
    for (size_t i = 0; i < t->count; i++)
        t->partitions[i] =
            (struct trim_partition){.partition = partitions->elems[i].partition, .mark.offset = -1};
    if (t->count > 0)
        trim_ask_in(t, FIRST_MS);
    else
        loop_timer_cancel(t->loop, &t->timer);
}

struct kafka_trim *kafka_trim_open(struct loop *loop, rd_kafka_t *rk, const char *topic,
                                   const struct kafka_commits *commits, int64_t keep_done_ms) {
    struct kafka_trim *t = mem_zero(sizeof *t);
    *t = (struct kafka_trim){
        .loop = loop, .rk = rk, .topic = topic, .commits = commits, .keep_done_ms = keep_done_ms};
    t->results = rd_kafka_queue_new(rk);
    t->wakeup = kafka_wakeup_open(loop, t->results, trim_on_results, t);
    t->positions = kafka_positions_open(loop, rk, topic, trim_on_positions, t);
    if (t->wakeup == NULL || t->positions == NULL) {
        kafka_trim_close(t);
        return NULL;
    }
    return t;
}

void kafka_trim_close(struct kafka_trim *t) {
    if (t == NULL)
        return;
    loop_timer_cancel(t->loop, &t->timer);
    kafka_positions_close(t->positions);
    kafka_wakeup_close(t->wakeup);
    rd_kafka_queue_destroy(t->results);
    free(t->partitions);
    free(t);
}

int64_t kafka_trim_deleted(const struct kafka_trim *t) {
    return t != NULL ? t->deleted : 0;
}
