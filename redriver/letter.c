#include "redriver/letter.h"

#include <stddef.h>
#include <string.h>

void letter_read(struct letter *l, rd_kafka_message_t *message) {
    *l = (struct letter){.message = message};
    rd_kafka_headers_t *raw = NULL;
    if (rd_kafka_message_headers(message, &raw) == RD_KAFKA_RESP_ERR_NO_ERROR)
        l->raw = raw;
    record_headers_read(l->raw, &l->headers);
    rd_kafka_timestamp_type_t type;
    l->timestamp_ms = rd_kafka_message_timestamp(message, &type);
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
        l->timestamp_ms = -1;
}

void letter_parse(struct letter *l) {
    if (l->parsed)
        return;
    char detail[256];
    const rd_kafka_message_t *m = l->message;
    l->sound =
        query_read(m->payload != NULL ? m->payload : "", m->len, &l->query, detail, sizeof detail);
    record_identity(m, &l->query, &l->headers, &l->identity);
    l->parsed = true;
}

enum {
    NEEDED_LEAVES_OUT = 2 /* the first of `dispensable` */
};

static const struct record_header dispensable[] = {
    {HEADER_ERROR, NULL},       {HEADER_ORIGIN, NULL},     {HEADER_ATTEMPT, NULL},
    {HEADER_TRACEPARENT, NULL}, {HEADER_TRACESTATE, NULL}, {HEADER_FIRST_SEEN, NULL},
};

enum {
    DISPENSABLE = sizeof dispensable / sizeof *dispensable
};

static const size_t left_out[LETTER_KEPT] = {
    [LETTER_NEEDED] = NEEDED_LEAVES_OUT,
    [LETTER_IDENTITY] = DISPENSABLE,
};

rd_kafka_headers_t *letter_headers(struct letter *l, enum letter_kept kept) {
    struct record_header set[DISPENSABLE + 1];
    size_t count = left_out[kept];
    memcpy(set, dispensable, count * sizeof *set);
    if (l->headers.query_id[0] == '\0') {
        letter_parse(l);
        if (l->sound && !l->identity.in_body)
            set[count++] = (struct record_header){HEADER_QUERY_ID, l->identity.query_id};
    }
    return record_headers_copy(l->raw, set, count);
}

int64_t letter_copy_timestamp_ms(const struct letter *l, enum letter_kept kept) {
    return kept == LETTER_IDENTITY && l->headers.first_seen_ms > 0 ? l->headers.first_seen_ms : 0;
}

void letter_free(struct letter *l) {
    if (l->parsed)
        query_free(&l->query);
}
