/*
 * Copies on their way to the query topic: bounded in number and bytes, each tried FLIGHT_TRIES
 * times, so that letters for a partition without a leader do not keep a pass from ending.
 */
#ifndef REDRIVER_FLIGHT_H
#define REDRIVER_FLIGHT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/kafka/producer.h"
#include "redriver/letter.h"

enum {
    FLIGHTS_MAX = 50000, /* as many as a broker acknowledges in some tenths of a second */
    FLIGHTS_BYTES_MAX = 64 << 20,
    FLIGHT_TRIES = 2 /* each as long as the producer's time-out */
};

enum flight_end {
    FLIGHT_ACKNOWLEDGED,
    FLIGHT_LATE,     /* acknowledged, but flights_drop() was called before */
    FLIGHT_FAILED,   /* not acknowledged; it is sent again by itself */
    FLIGHT_LEFT,     /* not acknowledged FLIGHT_TRIES times; it is not sent again */
    FLIGHT_GIVEN_UP, /* the query topic never takes it: it is too large, or not a valid record */
};

/*
 * `partition` is the number given to flights_send(), `offset` that of the record it copies;
 * `database` as given, valid during the call.
 */
typedef void flight_fn(void *arg, size_t partition, int64_t offset, const char *database,
                       enum flight_end end);

struct flights;

/* `producer` NULL: a dry run, flights_send() is never called. Both are borrowed. */
struct flights *flights_open(struct producer *producer, const char *topic, flight_fn *fn,
                             void *arg);
/* After the producer is closed, which reports what was in flight. NULL is fine. */
void flights_close(struct flights *f);

/* Whether another one may be sent: not while FLIGHTS_… are in flight, or some wait to be sent
 * again. */
bool flights_ready(const struct flights *f);
/*
 * Sends a copy of the value, the key and the headers. Takes `letter->message`; the letter stays the
 * caller's.
 * `partition` is a number of the caller's, handed to `fn`; `database` is copied, NULL: none.
 */
void flights_send(struct flights *f, struct letter *letter, size_t partition, const char *database,
                  int64_t now_ms);
/*
 * Sends again what is due. Returns in how many ms the next one is due; -1: none waits, or none may
 * be sent before something in flight was reported.
 */
int64_t flights_retry(struct flights *f, int64_t now_ms);
size_t flights_count(const struct flights *f); /* in flight and waiting */

/* Nothing was acknowledged since the last failure: the query topic takes nothing at all. */
bool flights_stuck(const struct flights *f);

/* Those that wait are not sent again; returns how many. */
size_t flights_forget_waiting(struct flights *f);
/*
 * The pass is over: those that wait are dropped, and those in flight will be reported as late.
 * Returns how many they are together.
 */
size_t flights_drop(struct flights *f);

#endif
