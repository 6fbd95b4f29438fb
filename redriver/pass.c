#include "redriver/pass.h"

#include <stdlib.h>

#include "common/base/bucket.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "redriver/flight.h"
#include "redriver/locate.h"

enum {
    RECORDS_AN_ITERATION = 1000 /* the loop serves others in between */
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
    bool done;                    /* read to its end, or left to the next pass */
};

struct pass {
    struct pass_settings settings;
    enum pass_state state;
    struct locate *locate;
    const struct place *places;        /* of locate; NULL before they are known */
    struct pass_partition *partitions; /* owned, beside the places */
    size_t count, done_count;
    struct flights *flights;
    struct bucket pace;
    int64_t chosen; /* moved, or about to be */
    struct pass_result result;
    int64_t hungry_ms; /* since when no record has come; -1: one has, or none was asked for */
    int64_t commit_until_ms;
    int64_t deadline_ms; /* of a stop, -1: none */
    bool stopping, lost;
};

static int64_t pass_now(const struct pass *p) {
    return loop_now(p->settings.loop);
}

static int64_t pass_sooner(int64_t a_ms, int64_t b_ms) {
    return a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
}

/* --- beginning -------------------------------------------------------------------------------- */

void pass_begin(struct pass *p, const int32_t *partitions, size_t count, int64_t chosen) {
    p->state = PASS_LOCATING;
    locate_begin(p->locate, partitions, count);
    p->places = NULL;
    p->partitions = mem_zero((count + 1) * sizeof *p->partitions);
    p->count = count;
    p->done_count = 0;
    p->chosen = chosen;
    p->result = (struct pass_result){.oldest_ms = -1};
    p->hungry_ms = p->deadline_ms = -1;
    p->stopping = p->lost = false;
    /* A tenth of a second's worth at once, so that no pass begins with a burst. */
    double per_s = (double)p->settings.rate_per_s;
    bucket_init(&p->pace, per_s, per_s / 10, pass_now(p));
}

static void pass_mark_done(struct pass *p, size_t i) {
    p->done_count += !p->partitions[i].done;
    p->partitions[i].done = true;
}

static void pass_log_place(struct pass *p, const struct place *place) {
    if (place->error[0] != '\0')
        log_warn("a partition is left to the next pass: partition=%d %s", (int)place->partition,
                 place->error);
    if (place->news == PLACE_BEYOND_END)
        log_error("the committed offset is beyond the end of the topic, which was made anew or "
                  "restored: all that is there is moved topic=%s partition=%d committed=%lld "
                  "end=%lld",
                  p->settings.from, (int)place->partition, (long long)place->answered,
                  (long long)place->end);
    if (place->news == PLACE_RETENTION)
        log_error("retention took records that were not moved topic=%s partition=%d "
                  "offsets=%lld..%lld",
                  p->settings.from, (int)place->partition, (long long)place->answered,
                  (long long)place->from);
}

static void pass_track(struct pass *p, size_t i) {
    const struct place *place = &p->places[i];
    struct pass_partition *partition = &p->partitions[i];
    pass_log_place(p, place);
    partition->next = place->from;
    partition->tracker.partition = place->partition;
    offsets_init(&partition->tracker.offsets, place->committed, place->metadata);
    if (p->settings.commits != NULL)
        kafka_commits_track(p->settings.commits, &partition->tracker);
    if (p->settings.commits != NULL && place->commits_first)
        kafka_commits_moved(p->settings.commits, &partition->tracker);
    p->result.unreached += place->error[0] != '\0';
    p->result.lost += place->lost;
    p->result.beyond_end += place->news == PLACE_BEYOND_END;
    if (place->error[0] != '\0' || place->from >= place->end)
        pass_mark_done(p, i);
}

static int64_t pass_start(struct pass *p) {
    int64_t wait = locate_work(p->locate);
    if (!locate_done(p->locate))
        return wait;
    p->places = locate_places(p->locate);
    p->result.located = true;
    for (size_t i = 0; i < p->count; i++)
        pass_track(p, i);
    reader_start(p->settings.reader, p->places, p->count);
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

/* What cannot be moved does not count towards the limit: others move in its place. */
static void pass_leave(struct pass *p, enum flight_end end) {
    p->chosen--;
    if (end == FLIGHT_GIVEN_UP) {
        p->result.hopeless++;
        return;
    }
    p->result.refused++;
    if (flights_stuck(p->flights))
        p->stopping = true;
}

/* A copy was acknowledged in the query topic, or was not. */
static void pass_on_copied(void *arg, size_t partition, int64_t offset, const char *database,
                           enum flight_end end) {
    struct pass *p = arg;
    if (end == FLIGHT_FAILED || end == FLIGHT_LEFT)
        p->settings.failed(p->settings.arg);
    if (end == FLIGHT_LEFT || end == FLIGHT_GIVEN_UP)
        pass_leave(p, end);
    if (end != FLIGHT_ACKNOWLEDGED && end != FLIGHT_LATE)
        return;
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
    p->hungry_ms = -1;
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
    for (size_t i = 0; i < p->count && p->places != NULL; i++) {
        if (p->settings.commits != NULL)
            kafka_commits_untrack(p->settings.commits, &p->partitions[i].tracker);
        offsets_free(&p->partitions[i].tracker.offsets);
    }
    free(p->partitions);
    p->partitions = NULL;
    p->places = NULL;
    p->count = 0;
}

static void pass_end(struct pass *p) {
    struct pass_result *r = &p->result;
    r->whole = r->located && p->done_count == p->count && r->unreached == 0 && r->stalled == 0;
    r->left += pass_waiting(p) + r->hopeless + r->refused + (int64_t)flights_drop(p->flights);
    reader_stop(p->settings.reader);
    pass_free_partitions(p);
    locate_end(p->locate);
    p->state = PASS_IDLE;
    p->settings.done(p->settings.arg);
}

static bool pass_expired(const struct pass *p) {
    return p->deadline_ms >= 0 && pass_now(p) >= p->deadline_ms;
}

static int64_t pass_until_deadline(const struct pass *p) {
    return p->deadline_ms < 0 ? -1 : p->deadline_ms - pass_now(p);
}

/* A commit that fails for ever must not keep the pass from ending. */
static void pass_end_uncommitted(struct pass *p) {
    log_error("what this pass has moved is not committed yet; the next one goes on behind it");
    p->result.uncommitted = true;
    for (size_t i = 0; i < p->count; i++)
        locate_keep(p->locate, i, &p->partitions[i].tracker.offsets);
    pass_end(p);
}

/* The last commit does not wait for its interval. */
static int64_t pass_finish(struct pass *p) {
    struct kafka_commits *commits = p->places != NULL && !p->lost ? p->settings.commits : NULL;
    if (p->state != PASS_COMMITTING) {
        p->state = PASS_COMMITTING;
        p->commit_until_ms = pass_now(p) + p->settings.patience_ms;
        if (commits != NULL)
            kafka_commits_flush(commits);
    }
    if (commits == NULL || pass_expired(p) || kafka_commits_done(commits)) {
        pass_end(p);
        return 0;
    }
    if (pass_now(p) >= p->commit_until_ms) {
        pass_end_uncommitted(p);
        return 0;
    }
    return pass_sooner(pass_until_deadline(p), p->commit_until_ms - pass_now(p));
}

static int64_t pass_settle(struct pass *p) {
    p->result.left += (int64_t)flights_forget_waiting(p->flights);
    if (flights_count(p->flights) == 0 || pass_expired(p) || p->lost)
        return pass_finish(p);
    return pass_until_deadline(p);
}

/* Partitions that bring nothing, neither a record nor their end, are left to the next pass. */
static void pass_leave_unread(struct pass *p) {
    for (size_t i = 0; i < p->count; i++) {
        struct pass_partition *partition = &p->partitions[i];
        if (partition->done)
            continue;
        log_warn("a partition is left to the next pass: partition=%d nothing is read of it "
                 "offsets=%lld..%lld",
                 (int)p->places[i].partition, (long long)partition->next,
                 (long long)p->places[i].end);
        p->result.stalled++;
        p->result.left += p->places[i].end - partition->next;
        pass_mark_done(p, i);
    }
}

/* No record is there. Returns how long the pass waits for one, at most `wait`. */
static int64_t pass_wait_for_records(struct pass *p, int64_t wait) {
    if (p->hungry_ms < 0)
        p->hungry_ms = pass_now(p);
    int64_t patience_ms = p->hungry_ms + p->settings.patience_ms - pass_now(p);
    if (patience_ms > 0)
        return pass_sooner(wait, patience_ms);
    pass_leave_unread(p);
    return 0;
}

/* While copies are under way: they may turn out not to count. */
static bool pass_limit_is_reached(const struct pass *p) {
    return p->settings.rules.limit >= 0 && p->chosen >= p->settings.rules.limit;
}

static int64_t pass_read_and_send(struct pass *p, int64_t wait) {
    for (int n = 0; n < RECORDS_AN_ITERATION && p->done_count < p->count && !p->stopping; n++) {
        int64_t pace_ms = p->settings.rate_per_s > 0 ? bucket_wait_ms(&p->pace, pass_now(p)) : 0;
        bool full = !flights_ready(p->flights);
        bool at_limit = pass_limit_is_reached(p);
        if (full || pace_ms > 0 || (at_limit && flights_count(p->flights) > 0)) {
            p->hungry_ms = -1;
            return pace_ms > 0 ? pass_sooner(wait, pace_ms) : wait;
        }
        if (at_limit && !p->settings.count_all) {
            p->stopping = true;
            break;
        }
        rd_kafka_message_t *message = reader_next(p->settings.reader);
        if (message == NULL)
            return pass_wait_for_records(p, wait);
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
        return pass_start(p);
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
    p->locate = locate_open(settings->loop, settings->reader, settings->from_committed);
    loop_prepare_add(settings->loop, pass_iterate, p);
    return p;
}

void pass_close(struct pass *p) {
    if (p == NULL)
        return;
    loop_prepare_remove(p->settings.loop, pass_iterate, p);
    flights_close(p->flights);
    pass_free_partitions(p);
    locate_close(p->locate);
    free(p);
}

void pass_forget(struct pass *p) {
    locate_forget(p->locate);
}

bool pass_busy(const struct pass *p) {
    return p->state != PASS_IDLE;
}

const struct pass_result *pass_result(const struct pass *p) {
    return &p->result;
}

int64_t pass_waiting(const struct pass *p) {
    int64_t waiting = 0;
    for (size_t i = 0; i < p->count && p->places != NULL; i++)
        if (!p->partitions[i].done && p->places[i].end > p->partitions[i].next)
            waiting += p->places[i].end - p->partitions[i].next;
    return waiting;
}

const char *pass_trouble(const struct pass *p) {
    return locate_trouble(p->locate);
}
