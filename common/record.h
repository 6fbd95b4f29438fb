/*
 * Records of the query, dead-letter and rejected topics: headers and identity.
 */
#ifndef COMMON_RECORD_H
#define COMMON_RECORD_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/query.h"

#define HEADER_QUERY_ID    "athena-query-id"
#define HEADER_ATTEMPT     "athena-attempt"
#define HEADER_FIRST_SEEN  "athena-first-seen-ms"
#define HEADER_ORIGIN      "athena-origin"
#define HEADER_ERROR       "athena-error"
#define HEADER_TRACEPARENT "traceparent"
#define HEADER_TRACESTATE  "tracestate"

/* What the headers of a record say. A header that makes no sense is as good as absent. */
struct record_headers {
    char query_id[QUERY_ID_MAX + 1]; /* "": absent */
    int64_t attempt;                 /* 0: never throttled */
    int64_t first_seen_ms;           /* -1: absent */
    char origin[320];                /* topic/partition/offset; "": absent */
    char error[128];                 /* "": absent */
};

/* The last of a header that is repeated counts. `headers` may be NULL. */
void record_headers_read(const rd_kafka_headers_t *headers, struct record_headers *out);

/* One header to write; a NULL value takes it away. */
struct record_header {
    const char *name;
    const char *value;
};

/*
 * A copy of `from` (may be NULL) in its order, foreign headers byte for byte, ours never repeated,
 * those in `set` overwritten or added. The caller frees it with rd_kafka_headers_destroy() or
 * gives it to producer_send().
 */
rd_kafka_headers_t *record_headers_copy(const rd_kafka_headers_t *from,
                                        const struct record_header *set, size_t set_count);

/*
 * The pair that names a query: userId from the body ("" where absent); queryId from the body, else
 * from the header, else derived from where the record was first seen: its origin header's topic,
 * partition and offset are not used, the record's own are, for a copy always carries the header.
 */
struct record_identity {
    char user_id[QUERY_ID_MAX + 1];
    char query_id[QUERY_ID_MAX + 1];
    bool in_body; /* the body carries queryId: no header is needed */
};

void record_identity(const rd_kafka_message_t *message, const struct query *query,
                     const struct record_headers *headers, struct record_identity *out);

#endif
