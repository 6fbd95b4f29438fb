#include "common/kafka/held_record.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/memory.h"

/* A header is serialised as its name, a NUL, a length and the value; this length: no value. */
#define NO_VALUE SIZE_MAX

static size_t header_size(const char *name, const void *value, size_t n) {
    return strlen(name) + 1 + sizeof n + (value != NULL ? n : 0);
}

size_t held_headers_size(const rd_kafka_headers_t *headers) {
    const char *name;
    const void *value;
    size_t n, total = 0;
    for (size_t i = 0;
         headers != NULL && rd_kafka_header_get_all(headers, i, &name, &value, &n) == 0; i++)
        total += header_size(name, value, n);
    return total;
}

/* Each of these writes at `to` and returns the address behind what it wrote. */
static char *put_bytes(char *to, const void *bytes, size_t n) {
    if (n > 0)
        memcpy(to, bytes, n);
    return to + n;
}

static char *put_header(char *to, const char *name, const void *value, size_t n) {
    size_t length = value != NULL ? n : NO_VALUE;
    to = put_bytes(to, name, strlen(name) + 1);
    to = put_bytes(to, &length, sizeof length);
    return put_bytes(to, value, value != NULL ? n : 0);
}

static char *put_headers(char *to, const rd_kafka_headers_t *headers) {
    const char *name;
    const void *value;
    size_t n;
    for (size_t i = 0;
         headers != NULL && rd_kafka_header_get_all(headers, i, &name, &value, &n) == 0; i++)
        to = put_header(to, name, value, n);
    return to;
}

struct held_record *held_record_new(const rd_kafka_message_t *message) {
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        headers = NULL;
    size_t key_len = message->key != NULL ? message->key_len : 0;
    size_t len = message->payload != NULL ? message->len : 0;
    size_t headers_len = held_headers_size(headers);
    size_t size = sizeof(struct held_record) + key_len + len + headers_len;
    struct held_record *r = mem_alloc(size);
    char *key = (char *)(r + 1);
    char *payload = put_bytes(key, message->key, key_len);
    char *at = put_bytes(payload, message->payload, len);
    put_headers(at, headers);
    *r = (struct held_record){
        .partition = message->partition,
        .key = message->key != NULL ? key : NULL,
        .key_len = key_len,
        .payload = message->payload != NULL ? payload : NULL,
        .len = len,
        .headers_len = headers_len,
        .headers = at,
        .size = size,
    };
    return r;
}

rd_kafka_headers_t *held_record_headers(const struct held_record *r) {
    if (r->headers_len == 0)
        return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    const char *end = r->headers + r->headers_len;
    for (const char *at = r->headers; at < end;) {
        const char *name = at;
        size_t n;
        at += strlen(name) + 1;
        memcpy(&n, at, sizeof n);
        at += sizeof n;
        bool has_value = n != NO_VALUE;
        rd_kafka_header_add(headers, name, -1, has_value ? at : NULL, has_value ? (ssize_t)n : 0);
        at += has_value ? n : 0;
    }
    return headers;
}
