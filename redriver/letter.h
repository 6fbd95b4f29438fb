/*
 * A letter: one record of the dead-letter or of the rejected topic.
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
    struct record_headers headers; /* their values */
    int64_t timestamp_ms;          /* -1: not known */
    bool parsed;                   /* the fields below are filled in */
    struct query query;            /* owned; only ids where the value is no request */
    bool sound;                    /* the value is a request */
    struct record_identity identity;
};

/* The message must outlive the letter. */
void letter_read(struct letter *l, rd_kafka_message_t *message);
/* Reads the value, once; only needed for the identity and for the database. */
void letter_parse(struct letter *l);
/*
 * Which headers the copy of a letter has. A record that just fits into the query topic may have
 * become too large as a dead letter, by the headers that the executor has added: what can be done
 * without is left out then, and foreign headers never are.
 */
enum letter_kept {
    LETTER_ALL,
    LETTER_NEEDED,   /* without the last error and the origin, which are for people to read */
    LETTER_IDENTITY, /* of ours only the queryId; the copy's timestamp says when it was first seen,
                        attempts are counted anew, and the trace ends */
    LETTER_KEPT
};

/*
 * Headers for the copy; the caller frees them or hands them to producer_send(). All as they came,
 * but for those that `kept` leaves out, this project's never repeated. A request that carries its
 * queryId neither in the body nor in a header gets the header: otherwise its queryId would be
 * derived from the copy's own offset, and two copies would be two queries.
 */
rd_kafka_headers_t *letter_headers(struct letter *l, enum letter_kept kept);
/* The copy's timestamp, UTC since the epoch; 0: that of its sending. */
int64_t letter_copy_timestamp_ms(const struct letter *l, enum letter_kept kept);
void letter_free(struct letter *l);

#endif
