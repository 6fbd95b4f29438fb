/*
 * One record of the dead-letter or the rejected topic, as the redriver sees it.
 */
#ifndef REDRIVER_LETTER_H
#define REDRIVER_LETTER_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/kafka/record.h"
#include "common/model/query.h"

struct letter {
    rd_kafka_message_t *message;   /* borrowed */
    const rd_kafka_headers_t *raw; /* borrowed from the message, NULL: none */
    struct record_headers headers; /* what they say */
    int64_t timestamp_ms;          /* -1: not known */
    bool parsed;                   /* those below are filled in */
    struct query query;            /* owned; the ids at most where the value is no request */
    bool sound;                    /* the value is a request */
    struct record_identity identity;
};

/* The message must outlive the letter. */
void letter_read(struct letter *l, rd_kafka_message_t *message);
/* Reads the value, once: only who needs the identity or the database pays for it. */
void letter_parse(struct letter *l);
/*
 * Headers for the copy; the caller frees or gives them away. All as they came, ours never
 * repeated. A request that carries its queryId neither in the body nor in a header gets the
 * header: its name would be derived from where a copy lies, and two copies would be two queries.
 */
rd_kafka_headers_t *letter_headers(struct letter *l);
void letter_free(struct letter *l);

#endif
