#include "redriver/flight.h"

#include <stdlib.h>
#include <utlist.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/held_record.h"

enum {
    FULL_WAIT_MS = 20,
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 5000,
    /* More than a topic takes plainly, unless it was given more room: such a letter came
       compressed, and goes back compressed where it has to. */
    COMPRESS_FROM_BYTES = 1 << 20,
};

struct flight {
    struct flights *of;
    struct flight *prev, *next;  /* in the list of those that wait */
    rd_kafka_message_t *message; /* owned: it may have to be sent again */
    char *database;
    size_t partition;
    size_t bytes; /* of the letter: key, value and headers */
    uint64_t generation;
    enum letter_kept kept; /* which headers the copy has */
    int tries;             /* that were not acknowledged */
    bool alone;            /* sent, or to be sent, with no other record in its batch */
};

struct flights {
    struct producer *producer;
    const char *topic;
    flight_fn *fn;
    void *arg;
    size_t in_flight, bytes, waiting_count;
    struct flight *waiting;
    int64_t due_ms;     /* when those that wait are sent again */
    int64_t backoff_ms; /* 0: the last one went well */
    bool just_failed;   /* since the last flights_retry() */
    bool one_alone;     /* a record that must have no other in its batch is in flight */
    uint64_t generation;
};

struct flights *flights_open(struct producer *producer, const char *topic, flight_fn *fn,
                             void *arg) {
    struct flights *f = mem_zero(sizeof *f);
    *f = (struct flights){.producer = producer, .topic = topic, .fn = fn, .arg = arg};
    return f;
}

void flights_close(struct flights *f) {
    if (f == NULL)
        return;
    flights_forget_waiting(f);
    free(f);
}

bool flights_ready(const struct flights *f) {
    return f->in_flight < FLIGHTS_MAX && f->bytes < FLIGHTS_BYTES_MAX && f->waiting == NULL &&
           !f->one_alone;
}

size_t flights_count(const struct flights *f) {
    return f->in_flight + f->waiting_count;
}

static size_t letter_bytes(const struct letter *letter) {
    return letter->message->len + letter->message->key_len + held_headers_size(letter->raw);
}

static void flight_free(struct flight *flight) {
    rd_kafka_message_destroy(flight->message);
    free(flight->database);
    free(flight);
}

static void flight_report(struct flight *flight, enum flight_end end) {
    flight->of->fn(flight->of->arg, flight->partition, flight->message->offset, flight->database,
                   end);
}

static void flights_wait(struct flights *f, struct flight *flight) {
    DL_APPEND2(f->waiting, flight, prev, next);
    f->waiting_count++;
}

static bool is_too_large(rd_kafka_resp_err_t err) {
    return err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
}

static bool is_invalid(rd_kafka_resp_err_t err) {
    return err == RD_KAFKA_RESP_ERR_INVALID_MSG || err == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE;
}

/* False: there are no headers left that can be done without. */
static bool flight_shrink(struct flight *flight) {
    if (flight->kept + 1 == LETTER_KEPT)
        return false;
    flight->kept++;
    return true;
}

static void flight_give_up(struct flight *flight, rd_kafka_resp_err_t err) {
    log_error("a dead letter stays where it is: %s partition=%d offset=%lld", rd_kafka_err2str(err),
              flight->message->partition, (long long)flight->message->offset);
    flight_report(flight, FLIGHT_GIVEN_UP);
    flight_free(flight);
}

/* The broker refuses a whole batch as invalid: each of its records is sent again, alone. */
static void flight_suspect(struct flights *f, struct flight *flight) {
    flight->alone = true;
    flight_report(flight, FLIGHT_FAILED);
    flights_wait(f, flight);
}

/* It may be in the query topic all the same: the request token absorbs a second copy. */
static void flight_failed(struct flights *f, struct flight *flight, rd_kafka_resp_err_t err) {
    if (f->backoff_ms == 0 && !f->just_failed)
        log_warn("%s does not take records, trying again: %s", f->topic, rd_kafka_err2str(err));
    f->just_failed = true;
    flight->tries++;
    if (flight->tries < FLIGHT_TRIES) {
        flight_report(flight, FLIGHT_FAILED);
        flights_wait(f, flight);
        return;
    }
    flight_report(flight, FLIGHT_LEFT);
    flight_free(flight);
}

static void flight_refused(struct flights *f, struct flight *flight, rd_kafka_resp_err_t err) {
    if (is_too_large(err) && flight_shrink(flight))
        flights_wait(f, flight);
    else if (is_invalid(err) && !flight->alone)
        flight_suspect(f, flight);
    else
        flight_give_up(flight, err);
}

static void flight_on_delivery(void *arg, rd_kafka_resp_err_t err, int32_t partition,
                               int64_t offset) {
    (void)partition;
    (void)offset;
    struct flight *flight = arg;
    struct flights *f = flight->of;
    bool late = flight->generation != f->generation;
    if (!late) {
        f->in_flight--;
        f->bytes -= flight->bytes;
        f->one_alone = false;
    }
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        f->backoff_ms = 0;
        flight_report(flight, late ? FLIGHT_LATE : FLIGHT_ACKNOWLEDGED);
        flight_free(flight);
    } else if (late) {
        flight_free(flight);
    } else if (is_too_large(err) || is_invalid(err)) {
        flight_refused(f, flight, err);
    } else {
        flight_failed(f, flight, err);
    }
}

static rd_kafka_resp_err_t flight_send(struct flights *f, struct flight *flight,
                                       struct letter *letter) {
    const rd_kafka_message_t *m = flight->message;
    struct producer_record record = {.topic = f->topic,
                                     .key = m->key,
                                     .key_len = m->key_len,
                                     .value = m->payload,
                                     .value_len = m->len,
                                     .timestamp_ms = letter_copy_timestamp_ms(letter, flight->kept),
                                     .headers = letter_headers(letter, flight->kept),
                                     .may_compress = m->len > COMPRESS_FROM_BYTES};
    rd_kafka_resp_err_t err = producer_send(f->producer, &record, flight_on_delivery, flight);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR && record.headers != NULL)
        rd_kafka_headers_destroy(record.headers);
    return err;
}

/* False: back-pressure, the flight is as it was. */
static bool flight_try_send(struct flights *f, struct flight *flight, struct letter *letter) {
    rd_kafka_resp_err_t err = flight_send(f, flight, letter);
    while (is_too_large(err) && flight_shrink(flight))
        err = flight_send(f, flight, letter);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        f->in_flight++;
        f->bytes += flight->bytes;
        f->one_alone = flight->alone;
        return true;
    }
    if (!is_too_large(err) && !is_invalid(err))
        return false;
    flight_give_up(flight, err);
    return true;
}

void flights_send(struct flights *f, struct letter *letter, size_t partition, const char *database,
                  int64_t now_ms) {
    struct flight *flight = mem_alloc(sizeof *flight);
    *flight = (struct flight){.of = f,
                              .message = letter->message,
                              .database = mem_string(database),
                              .partition = partition,
                              .bytes = letter_bytes(letter),
                              .generation = f->generation};
    if (!flight_try_send(f, flight, letter)) {
        flights_wait(f, flight);
        f->due_ms = now_ms + FULL_WAIT_MS;
    }
}

static void flights_back_off(struct flights *f, int64_t now_ms) {
    f->backoff_ms = backoff_next_ms(f->backoff_ms, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
    f->due_ms = now_ms + f->backoff_ms;
    f->just_failed = false;
}

int64_t flights_retry(struct flights *f, int64_t now_ms) {
    if (f->waiting == NULL)
        return -1;
    if (f->just_failed)
        flights_back_off(f, now_ms);
    while (f->waiting != NULL && now_ms >= f->due_ms) {
        struct flight *flight = f->waiting;
        struct letter letter;
        if (f->one_alone || (flight->alone && f->in_flight > 0))
            return -1;
        DL_DELETE2(f->waiting, flight, prev, next);
        f->waiting_count--;
        letter_read(&letter, flight->message);
        bool sent = flight_try_send(f, flight, &letter);
        letter_free(&letter);
        if (!sent) {
            flights_wait(f, flight);
            f->due_ms = now_ms + FULL_WAIT_MS;
        }
    }
    return f->waiting != NULL ? f->due_ms - now_ms : -1;
}

bool flights_stuck(const struct flights *f) {
    return f->backoff_ms > 0;
}

size_t flights_forget_waiting(struct flights *f) {
    size_t count = f->waiting_count;
    while (f->waiting != NULL) {
        struct flight *flight = f->waiting;
        DL_DELETE2(f->waiting, flight, prev, next);
        flight_free(flight);
    }
    f->waiting_count = 0;
    return count;
}

size_t flights_drop(struct flights *f) {
    size_t count = flights_forget_waiting(f) + f->in_flight;
    f->generation++;
    f->in_flight = f->bytes = 0;
    f->backoff_ms = 0;
    f->one_alone = false;
    return count;
}
