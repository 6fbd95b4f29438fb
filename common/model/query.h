/*
 * The request: bytes as they were POSTed or injected → a query (pure).
 *
 * Strict where cJSON is not, because a query service that misreads its input runs another query
 * than the one that was asked for: common/base/json.h says what is refused. Nested to 64 at most,
 * the outer object counted.
 *
 * Limits come from the API reference of Athena and S3: QueryString 1 to 262,144 bytes; Database 1
 * to 255 characters; Catalog 1 to 256, of which none is below U+0020 but the tab, or U+FFFE, or
 * U+FFFF; WorkGroup [a-zA-Z0-9._-]{1,128}; ExecutionParameters at least one, each of 1 to 1024
 * characters; MaxAgeInMinutes 0 to 10080. A character is a code point. OutputLocation is
 * s3://bucket or s3://bucket/prefix of 1024 bytes at most without control characters; the bucket's
 * name has 3 to 255 of [a-zA-Z0-9._-], the first and the last a letter or digit (wider than S3's
 * rules of today: older buckets in us-east-1 still have such names). All else is Athena's to judge.
 */
#ifndef COMMON_MODEL_QUERY_H
#define COMMON_MODEL_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
 * Reads one request into `out`, whatever that held. On failure `detail` (of `detail_size` bytes)
 * says what to mend, in one sentence that never quotes SQL or a value; of several faults it names
 * the first, those of JSON before all others.
 *
 * On failure `out` holds nothing but the ids that were sound, so that a poisoned record can still
 * be reported under its name: both are NULL where the JSON was not sound, and query_id is NULL
 * too where userId was not sound, as without it the queryId names somebody else's query. Free
 * `out` in both cases.
 */
bool query_read(const void *bytes, size_t n, struct query *out, char *detail, size_t detail_size);
/* Leaves `q` zeroed, and takes it so. */
void query_free(struct query *q);

/* True where the request chose its own workgroup, location, catalog or database. */
bool query_chose_resources(const struct query *q);

/*
 * The three below end the process with 111, as common/base/memory.h does, where OpenSSL has no
 * SHA-256: a wrong token would start a query twice.
 */

/* SHA-256 of the text: what tells two queries of one name apart. */
void query_sha256(const struct query *q, uint8_t out[32]);

/*
 * The ClientRequestToken: lower-case hex of a SHA-256 over stage, userId and queryId, each with
 * its length before it; NULL is as good as empty. 64 characters, within Athena's 32 to 128. From
 * nothing else: a query that is posted, injected, redriven or redelivered again has the same
 * token. How it is made must never change: a query under way would start again.
 */
void query_token(const char *stage, const char *user_id, const char *query_id, char out[65]);

/*
 * The queryId of a record injected without one, as a UUID of version 8 (RFC 9562): the same at
 * every redelivery of this record.
 */
void query_id_derive(const char *topic, int32_t partition, int64_t offset, int64_t timestamp_ms,
                     char out[37]);

/* A queryId of at most 128 bytes of UTF-8 without NUL, not empty. */
bool query_id_valid(const char *s, size_t n);

#endif
