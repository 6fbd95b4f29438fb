#include "common/kafka/record.h"

#include <stdio.h>
#include <string.h>

static const char *const ours[] = {HEADER_QUERY_ID,  HEADER_ATTEMPT, HEADER_FIRST_SEEN,
                                   HEADER_ORIGIN,    HEADER_ERROR,   HEADER_TRACEPARENT,
                                   HEADER_TRACESTATE};

enum {
    OURS = sizeof ours / sizeof *ours
};

/* The end of the year 9999, so that a moment always fits RFC 3339 and sums of it never overflow. */
#define MOMENT_MAX INT64_C(253402300799999)

/* --- reading ---------------------------------------------------------------------------------- */

/* Digits only; -1 where it is no number from 0 to `max`, which is far below INT64_MAX / 10. */
static int64_t read_number(const char *s, size_t n, int64_t max) {
    int64_t value = n > 0 ? 0 : -1;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        value = value * 10 + (s[i] - '0');
        if (value > max)
            return -1;
    }
    return value;
}

static bool is_printable(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] < 0x20 || s[i] > 0x7e)
            return false;
    return n > 0;
}

static bool is_digits(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return n > 0;
}

/* topic/partition/offset. A topic's name has no slash. */
static bool is_origin(const char *s, size_t n) {
    const char *end = s + n, *slash = memchr(s, '/', n);
    if (slash == NULL || slash == s || !is_printable(s, n))
        return false;
    const char *partition = slash + 1;
    slash = memchr(partition, '/', (size_t)(end - partition));
    return slash != NULL && is_digits(partition, (size_t)(slash - partition)) &&
           is_digits(slash + 1, (size_t)(end - slash - 1));
}

static void keep_text(bool sound, const char *s, size_t n, char *out, size_t size) {
    if (!sound || n >= size)
        n = 0;
    memcpy(out, s, n);
    out[n] = '\0';
}

/* The last value; "" with n = 0 where there is none. */
static const char *find_last(const rd_kafka_headers_t *headers, const char *name, size_t *n) {
    const void *value;
    if (headers == NULL || rd_kafka_header_get_last(headers, name, &value, n) != 0 ||
        value == NULL) {
        *n = 0;
        return "";
    }
    return value;
}

void record_headers_read(const rd_kafka_headers_t *headers, struct record_headers *out) {
    size_t n;
    const char *s = find_last(headers, HEADER_QUERY_ID, &n);
    keep_text(query_id_valid(s, n), s, n, out->query_id, sizeof out->query_id);
    s = find_last(headers, HEADER_ATTEMPT, &n);
    out->attempt = read_number(s, n, RECORD_ATTEMPT_MAX);
    if (out->attempt < 0)
        out->attempt = 0;
    s = find_last(headers, HEADER_FIRST_SEEN, &n);
    out->first_seen_ms = read_number(s, n, MOMENT_MAX);
    s = find_last(headers, HEADER_ORIGIN, &n);
    keep_text(is_origin(s, n), s, n, out->origin, sizeof out->origin);
    s = find_last(headers, HEADER_ERROR, &n);
    keep_text(is_printable(s, n), s, n, out->error, sizeof out->error);
}

/* --- copying ---------------------------------------------------------------------------------- */

static const struct record_header *find_set(const struct record_header *set, size_t count,
                                            const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(set[i].name, name) == 0)
            return &set[i];
    return NULL;
}

static size_t find_ours(const char *name) {
    size_t i = 0;
    while (i < OURS && strcmp(ours[i], name) != 0)
        i++;
    return i; /* OURS: foreign */
}

static void add(rd_kafka_headers_t *to, const char *name, const void *value, size_t n) {
    /* Fails in no way that can be met: librdkafka ends the process where memory has run out. */
    rd_kafka_header_add(to, name, -1, value, (ssize_t)n);
}

static void add_set(rd_kafka_headers_t *to, const struct record_header *header) {
    if (header->value != NULL)
        add(to, header->name, header->value, strlen(header->value));
}

rd_kafka_headers_t *record_headers_copy(const rd_kafka_headers_t *from,
                                        const struct record_header *set, size_t set_count) {
    size_t count = from != NULL ? rd_kafka_header_cnt(from) : 0;
    rd_kafka_headers_t *to = rd_kafka_headers_new(count + set_count);
    bool written[OURS + 1] = {false};
    const char *name;
    const void *value;
    size_t n;
    for (size_t i = 0; i < count && rd_kafka_header_get_all(from, i, &name, &value, &n) == 0; i++) {
        size_t which = find_ours(name);
        if (which == OURS) {
            add(to, name, value, n);
            continue;
        }
        if (written[which])
            continue;
        written[which] = true;
        const struct record_header *header = find_set(set, set_count, name);
        if (header != NULL)
            add_set(to, header);
        else if (rd_kafka_header_get_last(from, name, &value, &n) == 0)
            add(to, name, value, n);
    }
    for (size_t i = 0; i < set_count; i++)
        if (!written[find_ours(set[i].name)])
            add_set(to, &set[i]);
    return to;
}

/* --- identity --------------------------------------------------------------------------------- */

void record_identity_at(const struct record_place *place, const struct query *query,
                        const struct record_headers *headers, struct record_identity *out) {
    const char *user_id = query->user_id != NULL ? query->user_id : "";
    snprintf(out->user_id, sizeof out->user_id, "%s", user_id);
    out->in_body = query->query_id != NULL;
    if (out->in_body)
        snprintf(out->query_id, sizeof out->query_id, "%s", query->query_id);
    else if (headers->query_id[0] != '\0')
        memcpy(out->query_id, headers->query_id, sizeof out->query_id);
    else
        query_id_derive(place->topic, place->partition, place->offset, place->timestamp_ms,
                        out->query_id);
}

void record_identity(const rd_kafka_message_t *message, const struct query *query,
                     const struct record_headers *headers, struct record_identity *out) {
    rd_kafka_timestamp_type_t type;
    struct record_place place = {
        .topic = rd_kafka_topic_name(message->rkt),
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
    };
    record_identity_at(&place, query, headers, out);
}
