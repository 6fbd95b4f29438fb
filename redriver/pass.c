#include "redriver/pass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bucket.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "redriver/flight.h"

enum {
    RECORDS_AN_ITERATION = 1000, /* the loop serves others in between */
    LOCATE_AGAIN_MS = 500
};

enum pass_state {
    PASS_IDLE,
    PASS_LOCATING,   /* asks where the partitions begin and end */
    PASS_MOVING,     /* reads and sends */
    PASS_SETTLING,   /* takes no more; waits for what is in flight */
    PASS_COMMITTING, /* waits for the last commit */
};

struct pass_partition {
    struct kafka_tracker tracker; /* tracked while the pass has located its partitions */
    int64_t next;                 /* to be read */
    bool done;                    /* read to its end */
};

struct pass {
    struct pass_settings settings;
    enum pass_state state;
    struct reader_place *places; /* owned, and the partitions beside them */
    struct pass_partition *partitions;
    size_t count, done_count;
    struct flights *flights;
    struct bucket pace;
    int64_t chosen; /* moved, or about to be */
    int64_t given_up;
    struct pass_result result;
    int64_t locate_ms;   /* not before */
    int64_t deadline_ms; /* of a stop, -1: none */
    bool located;        /* where the partitions begin and end is known */
    bool stopping, lost;
    char trouble[256];
};

static int64_t pass_now(const struct pass *p) {
    return loop_now(p->settings.loop);
}

/* --- beginning -------------------------------------------------------------------------------- */

void pass_begin(struct pass *p, const int32_t *partitions, size_t count, int64_t chosen) {
    p->state = PASS_LOCATING;
    p->places = reader_places(partitions, count);
    p->partitions = mem_zero((count + 1) * sizeof *p->partitions);
    p->count = count;
    p->done_count = 0;
    p->chosen = chosen;
    p->given_up = 0;
    p->result = (struct pass_result){.oldest_ms = -1};
    p->locate_ms = 0;
    p->deadline_ms = -1;
    p->located = p->stopping = p->lost = false;
    p->trouble[0] = '\0';
    /* A tenth of a second's worth at once, so that no pass begins with a burst. */
    double per_s = (double)p->settings.rate_per_s;
    bucket_init(&p->pace, per_s, per_s / 10, pass_now(p));
}

static void pass_mark_done(struct pass *p, size_t i) {
    p->done_count += !p->partitions[i].done;
    p->partitions[i].done = true;
}

static void pass_track(struct pass *p, size_t i) {
    const struct reader_place *place = &p->places[i];
    struct pass_partition *partition = &p->partitions[i];
    partition->next = place->from;
    partition->tracker.partition = place->partition;
    offsets_init(&partition->tracker.offsets, place->committed, place->metadata);
    if (p->settings.commits != NULL)
        kafka_commits_track(p->settings.commits, &partition->tracker);
    if (place->from >= place->end)
        pass_mark_done(p, i);
}

static int64_t pass_locate(struct pass *p) {
    if (pass_now(p) < p->locate_ms)
        return p->locate_ms - pass_now(p);
    char error[sizeof p->trouble];
    if (!reader_locate(p->settings.reader, p->settings.from, p->places, p->count,
                       p->settings.from_committed, error, sizeof error)) {
        if (p->trouble[0] == '\0')
            log_warn("the pass waits for the broker: %s", error);
        memcpy(p->trouble, error, sizeof error);
        p->locate_ms = pass_now(p) + LOCATE_AGAIN_MS;
        return LOCATE_AGAIN_MS;
    }
    p->trouble[0] = '\0';
    for (size_t i = 0; i < p->count; i++)
        pass_track(p, i);
    reader_start(p->settings.reader, p->settings.from, p->places, p->count);
    p->located = true;
    p->state = PASS_MOVING;
    return 0;
}

/* --- one record ------------------------------------------------------------------------------- */

static void pass_note_oldest(struct pass *p, const struct letter *l) {
    if (l->timestamp_ms >= 0 && (p->result.oldest_ms < 0 || l->timestamp_ms < p->result.oldest_ms))
        p->result.oldest_ms = l->timestamp_ms;
}

static void pass_finish_offset(struct pass *p, struct pass_partition *partition, int64_t offset) {
    if (p->settings.commits != NULL)
        kafka_commits_finish(p->settings.commits, &partition->tracker, offset);
    else
        offsets_finish(&partition->tracker.offsets, offset);
}

/* A copy was acknowledged in the query topic, or was not. */
static void pass_on_copied(void *arg, size_t partition, int64_t offset, const char *database,
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
        return; /* of a pass that is over: its partition may be another member's by now */
    p->result.moved++;
    pass_finish_offset(p, &p->partitions[partition], offset);
}

/* Takes the letter's message. */
static void pass_move(struct pass *p, struct letter *l, size_t i) {
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
    flights_send(p->flights, l, i, p->settings.databases ? l->query.database : NULL, pass_now(p));
}

static enum decision pass_decide(struct pass *p, struct letter *l) {
    if (decide_by_identity(&p->settings.rules))
        letter_parse(l);
    struct decide_record record = {l->identity.user_id, l->identity.query_id, l->timestamp_ms};
    return decide(&p->settings.rules, &record, loop_wall(), p->chosen);
}

/* Takes the message. */
static void pass_take_record(struct pass *p, rd_kafka_message_t *message, size_t i) {
    struct letter letter;
    letter_read(&letter, message);
    enum decision decision = pass_decide(p, &letter);
    /* All that stays is tracked, whatever the reason: what is not would count as moved. */
    enum offsets_news news = offsets_receive(&p->partitions[i].tracker.offsets, message->offset);
    bool ours = news == OFFSETS_NEW || news == OFFSETS_RESTARTED;
    if (ours && decision == DECIDE_MOVE) {
        pass_move(p, &letter, i);
        letter_free(&letter);
        return;
    }
    if (ours) {
        pass_note_oldest(p, &letter);
        if (decision == DECIDE_OVER_LIMIT)
            p->result.left++;
        else
            p->result.skipped++;
    } else if (p->settings.commits != NULL) {
        kafka_commits_moved(p->settings.commits, &p->partitions[i].tracker);
    }
    letter_free(&letter);
    rd_kafka_message_destroy(message);
}

static size_t pass_find(const struct pass *p, int32_t partition) {
    for (size_t i = 0; i < p->count; i++)
        if (p->places[i].partition == partition)
            return i;
    return p->count;
}

/* Takes the message: a record, or the report of a partition's end. */
static void pass_take_message(struct pass *p, rd_kafka_message_t *message) {
    size_t i = pass_find(p, message->partition);
    bool end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (i == p->count || p->partitions[i].done) {
        rd_kafka_message_destroy(message);
        return;
    }
    int64_t offset = message->offset, next = end ? offset : offset + 1;
    if (next > p->partitions[i].next)
        p->partitions[i].next = next;
    if (next >= p->places[i].end)
        pass_mark_done(p, i);
    if (end || offset >= p->places[i].end)
        rd_kafka_message_destroy(message);
    else
        pass_take_record(p, message, i);
}

/* --- ending ----------------------------------------------------------------------------------- */

static void pass_free_partitions(struct pass *p) {
    for (size_t i = 0; i < p->count; i++) {
        if (p->located && p->settings.commits != NULL)
            kafka_commits_untrack(p->settings.commits, &p->partitions[i].tracker);
        offsets_free(&p->partitions[i].tracker.offsets);
    }
    free(p->partitions);
    reader_places_free(p->places, p->count);
    p->partitions = NULL;
    p->places = NULL;
    p->count = 0;
}

static void pass_end(struct pass *p) {
    p->result.whole = p->done_count == p->count && p->located;
    p->result.left += pass_waiting(p) + p->given_up + (int64_t)flights_drop(p->flights);
    reader_stop(p->settings.reader);
    pass_free_partitions(p);
    p->state = PASS_IDLE;
    p->trouble[0] = '\0';
    p->settings.done(p->settings.arg);
}

static bool pass_expired(const struct pass *p) {
    return p->deadline_ms >= 0 && pass_now(p) >= p->deadline_ms;
}

static int64_t pass_until_deadline(const struct pass *p) {
    return p->deadline_ms < 0 ? -1 : p->deadline_ms - pass_now(p);
}

/* The last commit does not wait for its interval. */
static int64_t pass_finish(struct pass *p) {
    struct kafka_commits *commits = p->located && !p->lost ? p->settings.commits : NULL;
    if (commits != NULL && p->state != PASS_COMMITTING)
        kafka_commits_flush(commits);
    p->state = PASS_COMMITTING;
    if (commits != NULL && !pass_expired(p) && !kafka_commits_done(commits))
        return pass_until_deadline(p);
    pass_end(p);
    return 0;
}

static int64_t pass_settle(struct pass *p) {
    p->given_up += (int64_t)flights_forget_waiting(p->flights);
    if (flights_count(p->flights) == 0 || pass_expired(p) || p->lost)
        return pass_finish(p);
    return pass_until_deadline(p);
}

static int64_t pass_read_and_send(struct pass *p, int64_t wait) {
    for (int n = 0; n < RECORDS_AN_ITERATION && p->done_count < p->count && !p->stopping; n++) {
        if (!flights_ready(p->flights))
            return wait;
        int64_t pace_ms = p->settings.rate_per_s > 0 ? bucket_wait_ms(&p->pace, pass_now(p)) : 0;
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
        pass_take_message(p, message);
    }
    return 0;
}

static int64_t pass_move_on(struct pass *p) {
    int64_t wait = flights_retry(p->flights, pass_now(p));
    if (p->stopping) {
        p->state = PASS_SETTLING;
        return 0;
    }
    if (p->done_count < p->count)
        return pass_read_and_send(p, wait);
    return flights_count(p->flights) == 0 ? pass_finish(p) : wait;
}

static int64_t pass_iterate(void *arg) {
    struct pass *p = arg;
    switch (p->state) {
    case PASS_LOCATING:
        if (p->stopping)
            return pass_finish(p);
        return pass_locate(p);
    case PASS_MOVING:
        return pass_move_on(p);
    case PASS_SETTLING:
        return pass_settle(p);
    case PASS_COMMITTING:
        return pass_finish(p);
    case PASS_IDLE:
        break;
    }
    return -1;
}

void pass_stop(struct pass *p, int64_t timeout_ms, bool lost) {
    if (p->state == PASS_IDLE)
        return;
    p->stopping = true;
    p->lost = p->lost || lost;
    int64_t deadline_ms = pass_now(p) + timeout_ms;
    if (timeout_ms != PASS_NO_TIMEOUT && (p->deadline_ms < 0 || deadline_ms < p->deadline_ms))
        p->deadline_ms = deadline_ms;
}

/* --- from outside ----------------------------------------------------------------------------- */

struct pass *pass_open(const struct pass_settings *settings) {
    struct pass *p = mem_zero(sizeof *p);
    p->settings = *settings;
    p->result.oldest_ms = -1;
    p->flights = flights_open(settings->producer, settings->to, pass_on_copied, p);
    loop_prepare_add(settings->loop, pass_iterate, p);
    return p;
}

void pass_close(struct pass *p) {
    if (p == NULL)
        return;
    loop_prepare_remove(p->settings.loop, pass_iterate, p);
    flights_close(p->flights);
    pass_free_partitions(p);
    free(p);
}

bool pass_busy(const struct pass *p) {
    return p->state != PASS_IDLE;
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
