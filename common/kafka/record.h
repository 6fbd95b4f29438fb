/*
 * Records of the query, dead-letter and rejected topics: headers and identity.
 */
#ifndef COMMON_KAFKA_RECORD_H
#define COMMON_KAFKA_RECORD_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/query.h"

/* Headers of this project. All others are foreign. */
#define HEADER_QUERY_ID    "athena-query-id"
#define HEADER_ATTEMPT     "athena-attempt"
#define HEADER_FIRST_SEEN  "athena-first-seen-ms"
#define HEADER_ORIGIN      "athena-origin"
#define HEADER_ERROR       "athena-error"
#define HEADER_TRACEPARENT "traceparent"
#define HEADER_TRACESTATE  "tracestate"

#define RECORD_ATTEMPT_MAX (INT64_C(1) << 31)

/*
 * The values of a record's headers. Any client may write any bytes into a header: a value that is
 * not valid counts as absent.
 */
struct record_headers {
    char query_id[QUERY_ID_MAX + 1]; /* "": absent, or not query_id_valid() */
    int64_t attempt;                 /* 0 to RECORD_ATTEMPT_MAX; 0: never throttled */
    int64_t first_seen_ms;           /* UTC since the epoch; -1: absent */
    char origin[320];                /* topic/partition/offset; "": absent */
    char error[128];                 /* printable ASCII; "": absent */
};

/* Of a repeated header the last one counts. `headers` may be NULL. */
void record_headers_read(const rd_kafka_headers_t *headers, struct record_headers *out);

/* One of this project's headers, to be written. */
struct record_header {
    const char *name;
    const char *value; /* NULL: the header is removed */
};

/*
 * A copy of `from` (may be NULL) in its order: foreign headers byte for byte and as often as they
 * are there; this project's once, at their first place, with their last value or the one in `set`.
 * Headers that are only in `set`, where each name is once, are appended. The caller frees the copy
 * with rd_kafka_headers_destroy() or gives it to producer_send().
 */
rd_kafka_headers_t *record_headers_copy(const rd_kafka_headers_t *from,
                                        const struct record_header *set, size_t set_count);

/*
 * The pair that names a query: userId from the body ("" where absent); queryId from the body, else
 * from the header, else derived from the record's own topic, partition, offset and timestamp. The
 * origin header is not looked at: whoever copies a record writes its queryId header.
 */
struct record_identity {
    char user_id[QUERY_ID_MAX + 1];
    char query_id[QUERY_ID_MAX + 1];
    bool in_body; /* the body carries queryId: no header is needed */
};

void record_identity(const rd_kafka_message_t *message, const struct query *query,
                     const struct record_headers *headers, struct record_identity *out);

/* Where a record stands, for record_identity_at(): the same without a message (pure). */
struct record_place {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* -1: none */
};

void record_identity_at(const struct record_place *place, const struct query *query,
                        const struct record_headers *headers, struct record_identity *out);

#endif
