/* Which headers the copy of a letter has. The message is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "redriver/letter.h"

static rd_kafka_headers_t *headers;

rd_kafka_resp_err_t rd_kafka_message_headers(const rd_kafka_message_t *message,
                                             rd_kafka_headers_t **out) {
    (void)message;
    *out = headers;
    return headers != NULL ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__NOENT;
}

int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *message,
                                   rd_kafka_timestamp_type_t *type) {
    (void)message;
    *type = RD_KAFKA_TIMESTAMP_CREATE_TIME;
    return 5000;
}

const char *rd_kafka_topic_name(const rd_kafka_topic_t *topic) {
    (void)topic;
    return "letters";
}

/* "name=value …" of the copy. */
static const char *copied(struct letter *l, enum letter_kept kept) {
    static char text[1024];
    rd_kafka_headers_t *copy = letter_headers(l, kept);
    const char *name;
    const void *value;
    size_t n;
    text[0] = '\0';
    for (size_t i = 0; rd_kafka_header_get_all(copy, i, &name, &value, &n) == 0; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%s=%.*s", len > 0 ? " " : "", name, (int)n,
                 (const char *)value);
    }
    rd_kafka_headers_destroy(copy);
    return text;
}

static void add(const char *name, const char *value) {
    rd_kafka_header_add(headers, name, -1, value, -1);
}

static void test_what_can_be_done_without_is_left_out_in_two_steps(void **state) {
    (void)state;
    char body[] = "{\"query\":\"SELECT 1\",\"queryId\":\"q\"}";
    rd_kafka_message_t message = {.payload = body, .len = sizeof body - 1};
    struct letter l;
    headers = rd_kafka_headers_new(8);
    add("foreign", "f");
    add(HEADER_ATTEMPT, "3");
    add(HEADER_FIRST_SEEN, "1234");
    add(HEADER_ORIGIN, "t/0/1");
    add(HEADER_ERROR, "E");
    add(HEADER_TRACEPARENT, "p");
    letter_read(&l, &message);
    assert_string_equal(copied(&l, LETTER_ALL),
                        "foreign=f athena-attempt=3 athena-first-seen-ms=1234 "
                        "athena-origin=t/0/1 athena-error=E traceparent=p");
    assert_int_equal(letter_copy_timestamp_ms(&l, LETTER_ALL), 0);
    assert_string_equal(copied(&l, LETTER_NEEDED),
                        "foreign=f athena-attempt=3 athena-first-seen-ms=1234 traceparent=p");
    assert_int_equal(letter_copy_timestamp_ms(&l, LETTER_NEEDED), 0);
    assert_string_equal(copied(&l, LETTER_IDENTITY), "foreign=f");
    assert_int_equal(letter_copy_timestamp_ms(&l, LETTER_IDENTITY), 1234);
    letter_free(&l);
    rd_kafka_headers_destroy(headers);
    headers = NULL;
}

/* A query without a name of its own keeps the one that it has, else a copy would be another query.
 */
static void test_the_name_of_a_query_is_always_kept(void **state) {
    (void)state;
    char body[] = "{\"query\":\"SELECT 1\"}";
    rd_kafka_message_t message = {.payload = body, .len = sizeof body - 1};
    struct letter l;
    headers = rd_kafka_headers_new(2);
    add(HEADER_QUERY_ID, "named");
    add(HEADER_ERROR, "E");
    letter_read(&l, &message);
    assert_string_equal(copied(&l, LETTER_IDENTITY), "athena-query-id=named");
    letter_free(&l);
    rd_kafka_headers_destroy(headers);
    headers = NULL;
    letter_read(&l, &message);
    const char *text = copied(&l, LETTER_IDENTITY);
    assert_memory_equal(text, "athena-query-id=", strlen("athena-query-id="));
    assert_true(strlen(text) > strlen("athena-query-id="));
    letter_free(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_can_be_done_without_is_left_out_in_two_steps),
        cmocka_unit_test(test_the_name_of_a_query_is_always_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
