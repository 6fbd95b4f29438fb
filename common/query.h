/*
 * The request: bytes as they were POSTed or injected → a query (pure).
 *
 * Strict where cJSON is not, because a query service that misreads its input runs another query
 * than the one that was asked for: RFC 8259 and nothing beside it (no BOM, no trailing bytes, no
 * lone surrogate), UTF-8, no NUL raw or escaped, no key twice at any depth, nested to 64 at most
 * (the outer object counted). Limits come from Athena's API: QueryString 1 to 262,144 bytes,
 * WorkGroup [a-zA-Z0-9._-]{1,128}, Database 1 to 255 characters, Catalog 1 to 256,
 * ExecutionParameters each 1 to 1024 characters, at least one.
 */
#ifndef COMMON_QUERY_H
#define COMMON_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QUERY_TEXT_MAX = 262144,
    QUERY_ID_MAX = 128,
    QUERY_DEPTH_MAX = 64
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
};

/*
 * Reads one request. On failure `detail` (of `detail_size` bytes) says what to mend, in one
 * sentence that never quotes SQL, and `out` holds those of user_id and query_id that were sound,
 * so that a poisoned record can still be reported under its name. Free `out` in both cases.
 */
bool query_read(const void *bytes, size_t n, struct query *out, char *detail, size_t detail_size);
void query_free(struct query *q);

/* True where the request chose its own workgroup, location, catalog or database. */
bool query_chose_resources(const struct query *q);

/* SHA-256 of the text: what tells two queries of one name apart. */
void query_sha256(const struct query *q, uint8_t out[32]);

/*
 * The ClientRequestToken: lower-case hex of a SHA-256 over stage, userId and queryId, each with
 * its length before it. 64 characters, within Athena's 32 to 128. From nothing else: a query
 * that is posted, injected, redriven or redelivered again has the same token.
 */
void query_token(const char *stage, const char *user_id, const char *query_id, char out[65]);

/* A queryId of at most 128 bytes of UTF-8 without NUL, not empty. */
bool query_id_valid(const char *s, size_t n);

/* The queryId of a record injected without one: the same at every redelivery of this record. */
void query_id_derive(const char *topic, int32_t partition, int64_t offset, int64_t timestamp_ms,
                     char out[37]);

#endif
