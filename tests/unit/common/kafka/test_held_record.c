/*
 * A record is held with all that it has, and the bytes that it takes are counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/kafka/held_record.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static rd_kafka_headers_t *headers_of_message; /* NULL: it has none */

rd_kafka_resp_err_t rd_kafka_message_headers(const rd_kafka_message_t *message,
                                             rd_kafka_headers_t **headers) {
    (void)message;
    *headers = headers_of_message;
    return *headers != NULL ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__NOENT;
}

struct header {
    const char *name, *value; /* value NULL: none */
    size_t n;
};

struct row {
    const char *key, *value;
    size_t key_len, len;
    struct header headers[3];
};

static const struct row rows[] = {
    {NULL, NULL, 0, 0, {{NULL, NULL, 0}}},
    {"", "", 0, 0, {{NULL, NULL, 0}}},
    {"k", "{}", 1, 2, {{NULL, NULL, 0}}},
    {"k\0k", "\0\0\0", 3, 3, {{"a", "", 0}, {"b", NULL, 0}, {"a", "x\0y", 3}}},
    {NULL, "v", 0, 1, {{"", "nameless", 8}}},
};

static rd_kafka_headers_t *make_headers(const struct header *list) {
    if (list->name == NULL)
        return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(3);
    for (size_t i = 0; i < COUNT(rows[0].headers) && list[i].name != NULL; i++)
        rd_kafka_header_add(headers, list[i].name, -1, list[i].value, (ssize_t)list[i].n);
    return headers;
}

static void assert_same(const rd_kafka_headers_t *got, const struct header *want) {
    const char *name;
    const void *value;
    size_t n, i = 0;
    for (; i < COUNT(rows[0].headers) && want[i].name != NULL; i++) {
        assert_int_equal(rd_kafka_header_get_all(got, i, &name, &value, &n), 0);
        assert_string_equal(name, want[i].name);
        assert_int_equal(value != NULL, want[i].value != NULL);
        assert_int_equal(n, want[i].n);
        if (n > 0)
            assert_memory_equal(value, want[i].value, n);
    }
    assert_int_equal(rd_kafka_header_cnt(got), i);
}

static void check_row(const struct row *row) {
    headers_of_message = make_headers(row->headers);
    const rd_kafka_message_t message = {.partition = 7,
                                        .key = (void *)(uintptr_t)row->key,
                                        .key_len = row->key_len,
                                        .payload = (void *)(uintptr_t)row->value,
                                        .len = row->len};
    struct held_record *r = held_record_new(&message);
    if (headers_of_message != NULL)
        rd_kafka_headers_destroy(headers_of_message);
    assert_int_equal(r->partition, 7);
    assert_int_equal(r->key != NULL, row->key != NULL);
    assert_int_equal(r->key_len, row->key_len);
    assert_int_equal(r->payload != NULL, row->value != NULL);
    assert_int_equal(r->len, row->len);
    assert_int_equal(r->size, sizeof *r + row->key_len + row->len + r->headers_len);
    if (row->key_len > 0)
        assert_memory_equal(r->key, row->key, row->key_len);
    if (row->len > 0)
        assert_memory_equal(r->payload, row->value, row->len);
    rd_kafka_headers_t *headers = held_record_headers(r);
    assert_int_equal(headers != NULL, row->headers[0].name != NULL);
    if (headers != NULL) {
        assert_same(headers, row->headers);
        rd_kafka_headers_destroy(headers);
    }
    free(r);
}

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_row(&rows[i]);
}

/* Large headers count as much as a large value. */
static void test_headers_are_counted(void **state) {
    (void)state;
    static char large[100000];
    headers_of_message = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers_of_message, "h", -1, large, sizeof large);
    const rd_kafka_message_t message = {.partition = 0};
    struct held_record *r = held_record_new(&message);
    rd_kafka_headers_destroy(headers_of_message);
    assert_true(r->size > sizeof large);
    free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_headers_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
