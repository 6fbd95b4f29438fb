#include "redriver/letter.h"

#include <stddef.h>

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

rd_kafka_headers_t *letter_headers(struct letter *l) {
    if (l->headers.query_id[0] == '\0') {
        letter_parse(l);
        struct record_header name = {HEADER_QUERY_ID, l->identity.query_id};
        if (l->sound && !l->identity.in_body)
            return record_headers_copy(l->raw, &name, 1);
    }
    return record_headers_copy(l->raw, NULL, 0);
}

void letter_free(struct letter *l) {
    if (l->parsed)
        query_free(&l->query);
}
