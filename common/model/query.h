/*
 * Reads a request, the bytes that were POSTed or injected, into a query (pure; any thread).
 *
 * The JSON is read strictly (common/base/json.h says what is refused), because a lenient reader
 * could run another query than the one that was asked for. It may be nested to 64 levels, the outer
 * object counted.
 *
 * Limits come from the API references of Athena and S3: QueryString 1 to 262,144 bytes; Database 1
 * to 255 characters; Catalog 1 to 256, of which none is below U+0020 but the tab, or U+FFFE, or
 * U+FFFF; WorkGroup [a-zA-Z0-9._-]{1,128}; ExecutionParameters at least one, each of 1 to 1024
 * characters; MaxAgeInMinutes 0 to 10080. A character is a code point. OutputLocation is
 * s3://bucket or s3://bucket/prefix of 1024 bytes at most without control characters; the bucket's
 * name has 3 to 255 of [a-zA-Z0-9._-], the first and the last a letter or digit (wider than S3's
 * present rules, because older buckets in us-east-1 still have such names). Everything else is for
 * Athena to judge.
 */
#ifndef COMMON_MODEL_QUERY_H
#define COMMON_MODEL_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/must_check.h"

enum {
    QUERY_TEXT_MAX = 262144,
    QUERY_ID_MAX = 128,
    QUERY_DEPTH_MAX = 64,
    QUERY_REUSE_MINUTES_MAX = 10080 /* a week */
};

/* Strings are UTF-8 without NUL inside, owned by the struct; NULL = absent, null or (ids) empty. */
struct query {
    char *text;
    size_t text_len;
    char *query_id;
    char *user_id;
    char *database;
    char *catalog;
    char *work_group;
    char *output_location;
    char **parameters; /* executionParameters */
    size_t parameter_count;
    bool reuses_result;        /* resultReuseMaxAgeMinutes is there; 0 is an age, too */
    int reuse_max_age_minutes; /* 0 to QUERY_REUSE_MINUTES_MAX */
};

/*
 * Reads one request into `out`, which is overwritten; free it in both cases. On failure `detail`
 * says what to mend, in one sentence that never quotes SQL or a value. Of several faults it names
 * the first; faults of JSON come before all others.
 *
 * On failure `out` holds only the ids that were sound, so that a record that is no request can
 * still be reported under its ids. Both are NULL where the JSON has a fault. query_id is NULL, too,
 * where userId has one, because with another userId the queryId would name somebody else's query.
 */
MUST_CHECK bool query_read(const void *bytes, size_t n, struct query *out, char *detail,
                           size_t detail_size);
/* Leaves `q` zeroed, and takes it so. */
void query_free(struct query *q);

/*
 * What distinguishes two queries under one pair of ids, of which Athena compares only the text:
 * SHA-256 of the text and, where there are executionParameters, of a NUL and the bytes of each
 * behind it. No NUL is in a text or a parameter, so no two queries are hashed as the same bytes.
 * The status topic holds it, so it must never change.
 */
void query_sha256(const struct query *q, uint8_t out[32]);

/*
 * The ClientRequestToken: the lower-case hex of a SHA-256 over stage, userId and queryId, each with
 * its length before it; NULL counts as empty. 64 characters; Athena requires 32 to 128. It depends
 * on nothing else, so a query that is posted, injected, redriven or redelivered again has the same
 * token. This function must never change: queries under way would be started again.
 */
void query_token(const char *stage, const char *user_id, const char *query_id, char out[65]);

/*
 * The queryId of a record that was injected without one: a UUID of version 8 (RFC 9562), the same
 * at every redelivery of this record.
 */
void query_id_derive(const char *topic, int32_t partition, int64_t offset, int64_t timestamp_ms,
                     char out[37]);

/* A queryId of at most 128 bytes of UTF-8 without NUL, not empty. */
bool query_id_valid(const char *s, size_t n);

#endif
