#include "common/kafka/positions.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/base/side_call.h"

enum {
    /* What ListOffsets calls the newest and the oldest offset. */
    NEWEST = -1,
    OLDEST = -2,
    NO_LEADER = -1
};

struct kafka_positions {
    struct side_call *call;
    rd_kafka_t *rk;
    const char *topic;
    kafka_positions_fn *fn;
    void *arg;
    bool forgotten;
    atomic_bool cancelled;
    /* The question under way: the thread's alone until it has ended. */
    struct kafka_position *positions; /* owned */
    int32_t *leaders;                 /* owned: the broker of each position */
    size_t count;
    bool committed;
    int64_t since_ms;
};

/* --- on the thread ---------------------------------------------------------------------------- */

static void position_fail(struct kafka_position *p, const char *what, rd_kafka_resp_err_t err) {
    if (p->error[0] == '\0')
        snprintf(p->error, sizeof p->error, "%s: %s", what, rd_kafka_err2str(err));
}

static void positions_fail_all(struct kafka_positions *p, const char *what,
                               rd_kafka_resp_err_t err) {
    for (size_t i = 0; i < p->count; i++)
        position_fail(&p->positions[i], what, err);
}

static struct kafka_position *positions_find(struct kafka_positions *p, int32_t partition) {
    for (size_t i = 0; i < p->count; i++)
        if (p->positions[i].partition == partition)
            return &p->positions[i];
    return NULL;
}

static void positions_ask_committed(struct kafka_positions *p) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)p->count);
    for (size_t i = 0; i < p->count; i++)
        rd_kafka_topic_partition_list_add(list, p->topic, p->positions[i].partition)->offset =
            RD_KAFKA_OFFSET_INVALID;
    rd_kafka_resp_err_t err = rd_kafka_committed(p->rk, list, KAFKA_POSITIONS_CALL_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        positions_fail_all(p, "committed offsets", err);
    for (int i = 0; i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        const rd_kafka_topic_partition_t *answer = &list->elems[i];
        struct kafka_position *position = positions_find(p, answer->partition);
        if (answer->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            position_fail(position, "committed offset", answer->err);
        if (answer->offset >= 0)
            position->committed = answer->offset;
        if (answer->metadata_size > 0)
            position->metadata = mem_bytes(answer->metadata, answer->metadata_size);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void positions_take_leaders(struct kafka_positions *p,
                                   const rd_kafka_metadata_topic_t *topic) {
    for (size_t i = 0; i < p->count; i++)
        for (int n = 0; n < topic->partition_cnt; n++)
            if (topic->partitions[n].id == p->positions[i].partition)
                p->leaders[i] = topic->partitions[n].leader;
}

/* ListOffsets answers nothing at all where one of its partitions has no leader. */
static void positions_ask_leaders(struct kafka_positions *p) {
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(p->rk, p->topic, NULL);
    rd_kafka_resp_err_t err = rd_kafka_last_error();
    if (topic != NULL)
        err = rd_kafka_metadata(p->rk, 0, topic, &metadata, KAFKA_POSITIONS_CALL_MS);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt > 0)
        err = metadata->topics[0].err;
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        positions_fail_all(p, "metadata", err);
    else if (metadata->topic_cnt > 0)
        positions_take_leaders(p, &metadata->topics[0]);
    for (size_t i = 0; i < p->count; i++)
        if (p->leaders[i] == NO_LEADER)
            position_fail(&p->positions[i], "offsets", RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    if (topic != NULL)
        rd_kafka_topic_destroy(topic);
}

/* Where no answer came in time, librdkafka leaves what was asked for in `offset`. */
static void position_take_offset(struct kafka_position *position, int64_t asked,
                                 const rd_kafka_topic_partition_t *answer) {
    if (answer->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        position_fail(position, "offsets", answer->err);
    else if (asked >= 0)
        position->since = answer->offset;
    else if (answer->offset < 0)
        position_fail(position, "offsets", RD_KAFKA_RESP_ERR__TIMED_OUT);
    else if (asked == NEWEST)
        position->end = answer->offset;
    else
        position->low = answer->offset;
}

/* Of all partitions that `leader` leads. `which`: OLDEST, NEWEST, or a time. */
static void positions_ask_offsets(struct kafka_positions *p, int32_t leader, int64_t which) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)p->count);
    for (size_t i = 0; i < p->count; i++)
        if (p->leaders[i] == leader && p->positions[i].error[0] == '\0')
            rd_kafka_topic_partition_list_add(list, p->topic, p->positions[i].partition)->offset =
                which;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (list->cnt > 0 && !atomic_load(&p->cancelled))
        err = rd_kafka_offsets_for_times(p->rk, list, KAFKA_POSITIONS_CALL_MS);
    for (int i = 0; i < list->cnt; i++) {
        struct kafka_position *position = positions_find(p, list->elems[i].partition);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
            position_fail(position, "offsets", err);
        else
            position_take_offset(position, which, &list->elems[i]);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* The ends last: all that was there when the question was asked is within. */
static void positions_ask_broker(struct kafka_positions *p, int32_t leader) {
    positions_ask_offsets(p, leader, OLDEST);
    if (p->since_ms >= 0)
        positions_ask_offsets(p, leader, p->since_ms);
    positions_ask_offsets(p, leader, NEWEST);
}

static bool positions_is_first_of(const struct kafka_positions *p, size_t i) {
    for (size_t n = 0; n < i; n++)
        if (p->leaders[n] == p->leaders[i])
            return false;
    return p->leaders[i] != NO_LEADER;
}

static void position_check_since(struct kafka_position *position) {
    if (position->since < 0)
        position->since = position->end; /* no record is as young */
    else if (position->since < position->low || position->since > position->end)
        position_fail(position, "offsets by time", RD_KAFKA_RESP_ERR__TIMED_OUT);
}

static void positions_run(void *arg) {
    struct kafka_positions *p = arg;
    if (p->committed)
        positions_ask_committed(p);
    if (!atomic_load(&p->cancelled))
        positions_ask_leaders(p);
    for (size_t i = 0; i < p->count; i++)
        if (positions_is_first_of(p, i))
            positions_ask_broker(p, p->leaders[i]);
    for (size_t i = 0; i < p->count && p->since_ms >= 0; i++)
        position_check_since(&p->positions[i]);
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void positions_free(struct kafka_position *positions, size_t count) {
    if (positions == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        free(positions[i].metadata);
    free(positions);
}

static void positions_drop_question(struct kafka_positions *p) {
    positions_free(p->positions, p->count);
    free(p->leaders);
    p->positions = NULL;
    p->leaders = NULL;
}

static void positions_on_answer(void *arg) {
    struct kafka_positions *p = arg;
    struct kafka_position *positions = p->positions;
    size_t count = p->count;
    p->positions = NULL;
    positions_drop_question(p);
    if (!p->forgotten)
        p->fn(p->arg, positions, count);
    positions_free(positions, count);
}

bool kafka_positions_ask(struct kafka_positions *p,
                         const struct kafka_positions_question *question) {
    if (side_call_busy(p->call))
        return false;
    p->count = question->count;
    p->committed = question->committed;
    p->since_ms = question->since_ms;
    p->positions = mem_zero((p->count + 1) * sizeof *p->positions);
    p->leaders = mem_zero((p->count + 1) * sizeof *p->leaders);
    for (size_t i = 0; i < p->count; i++) {
        p->positions[i] = (struct kafka_position){.partition = question->partitions[i],
                                                  .committed = KAFKA_POSITION_UNKNOWN,
                                                  .low = KAFKA_POSITION_UNKNOWN,
                                                  .end = KAFKA_POSITION_UNKNOWN,
                                                  .since = KAFKA_POSITION_UNKNOWN};
        p->leaders[i] = NO_LEADER;
    }
    p->forgotten = false;
    bool begun = side_call_begin(p->call);
    if (!begun)
        positions_drop_question(p);
    return begun;
}

void kafka_positions_forget(struct kafka_positions *p) {
    p->forgotten = true;
}

bool kafka_positions_busy(const struct kafka_positions *p) {
    return side_call_busy(p->call);
}

struct kafka_positions *kafka_positions_open(struct loop *loop, rd_kafka_t *rk, const char *topic,
                                             kafka_positions_fn *fn, void *arg) {
    struct kafka_positions *p = mem_zero(sizeof *p);
    *p = (struct kafka_positions){.rk = rk, .topic = topic, .fn = fn, .arg = arg};
    p->call = side_call_open(loop, positions_run, positions_on_answer, p);
    if (p->call == NULL) {
        free(p);
        return NULL;
    }
    return p;
}

void kafka_positions_close(struct kafka_positions *p) {
    if (p == NULL)
        return;
    atomic_store(&p->cancelled, true);
    side_call_close(p->call);
    positions_drop_question(p);
    free(p);
}
