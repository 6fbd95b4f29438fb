#include "redriver/pass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bucket.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/offsets.h"
#include "redriver/flight.h"

enum {
    RECORDS_A_TURN = 1000, /* the loop serves others in between */
    COMMIT_EVERY_MS = 200,
    COMMIT_AGAIN_MS = 500,
    LEARN_AGAIN_MS = 500
};

enum state {
    STATE_IDLE,
    STATE_LEARNING,   /* where the partitions begin and end */
    STATE_MOVING,     /* reading and sending */
    STATE_SETTLING,   /* nothing more is taken; waiting for what is in flight */
    STATE_COMMITTING, /* the last commit */
};

struct partition {
    int64_t next; /* to be read */
    bool done;    /* read to its end */
    bool news;    /* something finished since the last commit was made */
    struct offsets offsets;
};

struct pass {
    struct pass_settings settings;
    enum state state;
    struct reader_place *places; /* owned, and the partitions beside them */
    struct partition *partitions;
    size_t count, done_count;
    struct flights *flights;
    struct bucket pace;
    int64_t chosen; /* moved, or about to be */
    int64_t given_up;
    struct pass_result result;
    int64_t again_ms;    /* learning and committing: not before */
    int64_t deadline_ms; /* of a stop, -1: none */
    bool stopping, lost;
    bool committing, commit_failed;
    uint64_t generation; /* tells a commit's answer from one of an earlier pass */
    uint64_t commit_generation;
    char trouble[256];
};

static int64_t now(const struct pass *p) {
    return loop_now(p->settings.loop);
}

static bool commits(const struct pass *p) {
    return p->settings.member != NULL && !p->lost;
}

/* --- beginning -------------------------------------------------------------------------------- */

void pass_begin(struct pass *p, const int32_t *partitions, size_t count, int64_t chosen) {
    p->state = STATE_LEARNING;
    p->places = mem_zero((count + 1) * sizeof *p->places);
    p->partitions = mem_zero((count + 1) * sizeof *p->partitions);
    p->count = count;
    for (size_t i = 0; i < count; i++)
        p->places[i].partition = partitions[i];
    p->done_count = 0;
    p->chosen = chosen;
    p->given_up = 0;
    p->result = (struct pass_result){.oldest_ms = -1};
    p->again_ms = 0;
    p->deadline_ms = -1;
    p->stopping = p->lost = p->commit_failed = false;
    p->trouble[0] = '\0';
    /* A tenth of a second's worth at once, so that no pass begins with a burst. */
    double per_s = (double)p->settings.rate_per_s;
    bucket_init(&p->pace, per_s, per_s / 10, now(p));
}

static void mark_done(struct pass *p, size_t i) {
    p->done_count += !p->partitions[i].done;
    p->partitions[i].done = true;
}

static int64_t learn(struct pass *p) {
    if (now(p) < p->again_ms)
        return p->again_ms - now(p);
    char error[sizeof p->trouble];
    if (!reader_learn(p->settings.reader, p->settings.from, p->places, p->count,
                      p->settings.from_committed, error, sizeof error)) {
        if (p->trouble[0] == '\0')
            log_warn("the pass waits for the broker: %s", error);
        memcpy(p->trouble, error, sizeof error);
        p->again_ms = now(p) + LEARN_AGAIN_MS;
        return LEARN_AGAIN_MS;
    }
    p->trouble[0] = '\0';
    for (size_t i = 0; i < p->count; i++) {
        struct reader_place *place = &p->places[i];
        p->partitions[i].next = place->from;
        offsets_init(&p->partitions[i].offsets, place->committed, place->metadata);
        if (place->from >= place->end)
            mark_done(p, i);
    }
    reader_start(p->settings.reader, p->settings.from, p->places, p->count);
    p->again_ms = now(p) + COMMIT_EVERY_MS;
    p->state = STATE_MOVING;
    return 0;
}

/* --- one record ------------------------------------------------------------------------------- */

static void stays(struct pass *p, const struct letter *l) {
    if (l->timestamp_ms >= 0 && (p->result.oldest_ms < 0 || l->timestamp_ms < p->result.oldest_ms))
        p->result.oldest_ms = l->timestamp_ms;
}

/* A record reached the query topic, or never will in this pass. */
static void settled(void *arg, size_t partition, int64_t offset, const char *database,
                    enum flight_end end) {
    struct pass *p = arg;
    if (end == FLIGHT_FAILED) {
        p->settings.failed(p->settings.arg);
        return;
    }
    if (end == FLIGHT_GIVEN_UP) {
        p->given_up++;
        return;
    }
    p->settings.moved(p->settings.arg, database);
    if (end == FLIGHT_LATE)
        return; /* of a pass that is over: somebody else's partition by now */
    p->result.moved++;
    offsets_finish(&p->partitions[partition].offsets, offset);
    p->partitions[partition].news = true;
}

/* Takes the letter's message. */
static void move(struct pass *p, struct letter *l, size_t i) {
    p->chosen++;
    bucket_take(&p->pace);
    if (p->settings.chosen != NULL && !p->settings.chosen(p->settings.arg, l))
        p->stopping = true;
    if (p->settings.producer == NULL) {
        p->result.moved++;
        rd_kafka_message_destroy(l->message);
        return;
    }
    if (p->settings.databases)
        letter_parse(l);
    flights_send(p->flights, l, i, p->settings.databases ? l->query.database : NULL, now(p));
}

static enum decision judge(struct pass *p, struct letter *l) {
    if (decide_by_identity(&p->settings.rules))
        letter_parse(l);
    struct decide_record record = {l->identity.user_id, l->identity.query_id, l->timestamp_ms};
    return decide(&p->settings.rules, &record, loop_wall(), p->chosen);
}

/* Takes the message. */
static void take(struct pass *p, rd_kafka_message_t *message, size_t i) {
    struct letter letter;
    letter_read(&letter, message);
    enum decision decision = judge(p, &letter);
    /* All that stays is tracked, whatever the reason: what is not would count as moved. */
    enum offsets_news news = offsets_receive(&p->partitions[i].offsets, message->offset);
    bool ours = news == OFFSETS_NEW || news == OFFSETS_RESTARTED;
    if (ours && decision == DECIDE_MOVE) {
        move(p, &letter, i);
        letter_free(&letter);
        return;
    }
    if (ours) {
        stays(p, &letter);
        if (decision == DECIDE_OVER_LIMIT)
            p->result.left++;
        else
            p->result.skipped++;
    } else {
        p->partitions[i].news = true;
    }
    letter_free(&letter);
    rd_kafka_message_destroy(message);
}

static size_t find(const struct pass *p, int32_t partition) {
    for (size_t i = 0; i < p->count; i++)
        if (p->places[i].partition == partition)
            return i;
    return p->count;
}

/* Takes the message: a record, or the news of an end. */
static void serve(struct pass *p, rd_kafka_message_t *message) {
    size_t i = find(p, message->partition);
    bool end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (i == p->count || p->partitions[i].done) {
        rd_kafka_message_destroy(message);
        return;
    }
    int64_t offset = message->offset, next = end ? offset : offset + 1;
    if (next > p->partitions[i].next)
        p->partitions[i].next = next;
    if (next >= p->places[i].end)
        mark_done(p, i);
    if (end || offset >= p->places[i].end)
        rd_kafka_message_destroy(message);
    else
        take(p, message, i);
}

/* --- committing ------------------------------------------------------------------------------- */

static void on_committed(void *arg, rd_kafka_resp_err_t err) {
    struct pass *p = arg;
    p->committing = false;
    if (p->commit_generation != p->generation)
        return;
    p->commit_failed = err != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (p->commit_failed)
        log_warn("commit: %s", rd_kafka_err2str(err));
    for (size_t i = 0; i < p->count; i++)
        if (p->commit_failed)
            p->partitions[i].news = true;
}

static bool has_news(const struct pass *p) {
    for (size_t i = 0; i < p->count; i++)
        if (p->partitions[i].news)
            return true;
    return false;
}

static void commit(struct pass *p) {
    struct member_offset *offsets = mem_zero((p->count + 1) * sizeof *offsets);
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++) {
        int64_t position = offsets_position(&p->partitions[i].offsets);
        if (!p->partitions[i].news || position < 0) {
            p->partitions[i].news = false;
            continue;
        }
        char *metadata = mem_alloc(OFFSETS_METADATA_MAX);
        offsets_metadata(&p->partitions[i].offsets, metadata, OFFSETS_METADATA_MAX);
        offsets[count++] = (struct member_offset){p->places[i].partition, position, metadata};
    }
    if (count > 0 && member_commit(p->settings.member, offsets, count, on_committed, p)) {
        p->committing = true;
        p->commit_generation = p->generation;
        for (size_t i = 0; i < p->count; i++)
            p->partitions[i].news = false;
    } else if (count > 0) {
        p->commit_failed = true;
        p->again_ms = now(p) + COMMIT_AGAIN_MS;
    }
    for (size_t i = 0; i < count; i++)
        free(offsets[i].metadata);
    free(offsets);
}

/* Returns how long until the next one may be due, -1: something else will wake us. */
static int64_t commit_some(struct pass *p) {
    if (!commits(p) || p->committing || !has_news(p))
        return -1;
    if (now(p) < p->again_ms)
        return p->again_ms - now(p);
    p->again_ms = now(p) + (p->commit_failed ? COMMIT_AGAIN_MS : COMMIT_EVERY_MS);
    commit(p);
    return p->committing || !has_news(p) ? -1 : COMMIT_AGAIN_MS;
}

/* --- ending ----------------------------------------------------------------------------------- */

static void over(struct pass *p) {
    p->result.whole = p->done_count == p->count && p->state != STATE_LEARNING;
    p->result.left += pass_waiting(p) + p->given_up + (int64_t)flights_drop(p->flights);
    reader_stop(p->settings.reader);
    for (size_t i = 0; i < p->count; i++)
        offsets_free(&p->partitions[i].offsets);
    free(p->partitions);
    reader_places_free(p->places, p->count);
    p->partitions = NULL;
    p->places = NULL;
    p->count = 0;
    p->generation++;
    p->state = STATE_IDLE;
    p->trouble[0] = '\0';
    p->settings.done(p->settings.arg);
}

static bool expired(const struct pass *p) {
    return p->deadline_ms >= 0 && now(p) >= p->deadline_ms;
}

static int64_t until_deadline(const struct pass *p) {
    return p->deadline_ms < 0 ? -1 : p->deadline_ms - now(p);
}

static int64_t finish(struct pass *p) {
    if (commits(p) && !expired(p) && (p->committing || has_news(p))) {
        p->state = STATE_COMMITTING;
        if (!p->committing && !p->commit_failed)
            p->again_ms = now(p); /* the last one does not wait */
        int64_t wait = commit_some(p);
        int64_t until = until_deadline(p);
        return wait < 0 || (until >= 0 && until < wait) ? until : wait;
    }
    over(p);
    return 0;
}

static int64_t settle(struct pass *p) {
    p->given_up += (int64_t)flights_forget_waiting(p->flights);
    if (flights_count(p->flights) == 0 || expired(p) || p->lost)
        return finish(p);
    return until_deadline(p);
}

static int64_t read_and_send(struct pass *p, int64_t wait) {
    for (int n = 0; n < RECORDS_A_TURN && p->done_count < p->count && !p->stopping; n++) {
        if (!flights_ready(p->flights))
            return wait;
        int64_t pace_ms = p->settings.rate_per_s > 0 ? bucket_wait_ms(&p->pace, now(p)) : 0;
        if (pace_ms > 0)
            return wait < 0 || pace_ms < wait ? pace_ms : wait;
        if (!p->settings.count_all && p->settings.rules.limit >= 0 &&
            p->chosen >= p->settings.rules.limit) {
            p->stopping = true;
            break;
        }
        rd_kafka_message_t *message = reader_next(p->settings.reader);
        if (message == NULL)
            return wait;
        serve(p, message);
    }
    return 0;
}

static int64_t move_on(struct pass *p) {
    int64_t wait = commit_some(p);
    int64_t again = flights_retry(p->flights, now(p));
    if (again >= 0 && (wait < 0 || again < wait))
        wait = again;
    if (p->stopping) {
        p->state = STATE_SETTLING;
        return 0;
    }
    if (p->done_count < p->count)
        return read_and_send(p, wait);
    return flights_count(p->flights) == 0 ? finish(p) : wait;
}

static int64_t turn(void *arg) {
    struct pass *p = arg;
    switch (p->state) {
    case STATE_LEARNING:
        if (p->stopping)
            return finish(p);
        return learn(p);
    case STATE_MOVING:
        return move_on(p);
    case STATE_SETTLING:
        return settle(p);
    case STATE_COMMITTING:
        return finish(p);
    case STATE_IDLE:
        break;
    }
    return -1;
}

void pass_stop(struct pass *p, int64_t timeout_ms, bool lost) {
    if (p->state == STATE_IDLE)
        return;
    p->stopping = true;
    p->lost = p->lost || lost;
    int64_t deadline_ms = now(p) + timeout_ms;
    if (p->deadline_ms < 0 || deadline_ms < p->deadline_ms)
        p->deadline_ms = deadline_ms;
}

/* --- from outside ----------------------------------------------------------------------------- */

struct pass *pass_open(const struct pass_settings *settings) {
    struct pass *p = mem_zero(sizeof *p);
    p->settings = *settings;
    p->result.oldest_ms = -1;
    p->flights = flights_open(settings->producer, settings->to, settled, p);
    loop_each_turn(settings->loop, turn, p);
    return p;
}

void pass_close(struct pass *p) {
    if (p == NULL)
        return;
    loop_not_each_turn(p->settings.loop, turn, p);
    flights_close(p->flights);
    for (size_t i = 0; i < p->count; i++)
        offsets_free(&p->partitions[i].offsets);
    free(p->partitions);
    reader_places_free(p->places, p->count);
    free(p);
}

bool pass_busy(const struct pass *p) {
    return p->state != STATE_IDLE;
}

const struct pass_result *pass_result(const struct pass *p) {
    return &p->result;
}

int64_t pass_waiting(const struct pass *p) {
    int64_t waiting = 0;
    for (size_t i = 0; i < p->count; i++)
        if (!p->partitions[i].done && p->places[i].end > p->partitions[i].next)
            waiting += p->places[i].end - p->partitions[i].next;
    return waiting;
}

const char *pass_trouble(const struct pass *p) {
    return p->trouble;
}
