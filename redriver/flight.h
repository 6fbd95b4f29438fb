/*
 * Copies on their way to the query topic: bounded, each tried again until it is acknowledged.
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
    FLIGHTS_MAX = 10000,
    FLIGHTS_BYTES_MAX = 64 << 20
};

enum flight_end {
    FLIGHT_ACKNOWLEDGED,
    FLIGHT_LATE,     /* the same, but flights_drop() had been called */
    FLIGHT_FAILED,   /* not yet; it will be sent again, unless it was late */
    FLIGHT_GIVEN_UP, /* the query topic can never take it as it is: too large */
};

/* `partition` and `offset` are where it came from; `database` as given, valid during the call. */
typedef void flight_fn(void *arg, size_t partition, int64_t offset, const char *database,
                       enum flight_end end);

struct flights;

/* `producer` NULL: none will be sent. */
struct flights *flights_open(struct producer *producer, const char *topic, flight_fn *fn,
                             void *arg);
/* After the producer's end. */
void flights_close(struct flights *f);

/* Whether another one may be sent: not while too many are in flight, or some wait. */
bool flights_ready(const struct flights *f);
/*
 * Sends a copy: bytes, key and headers. Takes `letter->message`, the letter stays the caller's.
 * `partition` is a number of the caller's, handed to `fn`; `database` is copied, NULL: none.
 */
void flights_send(struct flights *f, struct letter *letter, size_t partition, const char *database,
                  int64_t now_ms);
/* Sends again what is due. Returns in how many ms the next is, -1: none, or
 * not before something in flight has come to its end. */
int64_t flights_retry(struct flights *f, int64_t now_ms);
size_t flights_count(const struct flights *f); /* in flight and waiting */

/* Those that wait are not sent again; returns how many. */
size_t flights_forget_waiting(struct flights *f);
/* All are none of ours any more, their ends are late ones. Returns how many. */
size_t flights_drop(struct flights *f);

#endif
