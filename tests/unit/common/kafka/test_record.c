#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/kafka/record.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct raw {
    const char *name;
    const char *value;
    int n; /* -1: NULL, 0 with a value: its strlen */
};

static rd_kafka_headers_t *make_headers(const struct raw *rows, size_t count) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new(count);
    for (size_t i = 0; i < count && rows[i].name != NULL; i++) {
        size_t n = rows[i].n > 0 ? (size_t)rows[i].n : rows[i].n == 0 ? strlen(rows[i].value) : 0;
        assert_int_equal(rd_kafka_header_add(headers, rows[i].name, -1,
                                             rows[i].n < 0 ? NULL : rows[i].value, (ssize_t)n),
                         0);
    }
    return headers;
}

/* --- reading ---------------------------------------------------------------------------------- */

static char *repeat(char c, size_t n) {
    char *s = mem_alloc(n + 1);
    memset(s, c, n);
    s[n] = '\0';
    return s;
}

struct number_case {
    struct raw header;
    int64_t attempt, first_seen_ms;
};

static const struct number_case numbers[] = {
    {{HEADER_ATTEMPT, "0", 0}, 0, -1},
    {{HEADER_ATTEMPT, "1", 0}, 1, -1},
    {{HEADER_ATTEMPT, "007", 0}, 7, -1},
    {{HEADER_ATTEMPT, "2147483648", 0}, 2147483648, -1},
    {{HEADER_ATTEMPT, "2147483649", 0}, 0, -1},
    {{HEADER_ATTEMPT, "99999999999999999999999999", 0}, 0, -1},
    {{HEADER_ATTEMPT, "-1", 0}, 0, -1},
    {{HEADER_ATTEMPT, "+1", 0}, 0, -1},
    {{HEADER_ATTEMPT, " 1", 0}, 0, -1},
    {{HEADER_ATTEMPT, "1 ", 0}, 0, -1},
    {{HEADER_ATTEMPT, "1.0", 0}, 0, -1},
    {{HEADER_ATTEMPT, "0x1", 0}, 0, -1},
    {{HEADER_ATTEMPT, "1\0", 2}, 0, -1},
    {{HEADER_ATTEMPT, "\0\0\0\1", 4}, 0, -1},
    {{HEADER_ATTEMPT, "123", 2}, 12, -1},
    {{HEADER_ATTEMPT, "", 0}, 0, -1},
    {{HEADER_ATTEMPT, NULL, -1}, 0, -1},
    {{"Athena-Attempt", "5", 0}, 0, -1},
    {{HEADER_FIRST_SEEN, "0", 0}, 0, 0},
    {{HEADER_FIRST_SEEN, "1767225600000", 0}, 0, 1767225600000},
    {{HEADER_FIRST_SEEN, "253402300799999", 0}, 0, 253402300799999},
    {{HEADER_FIRST_SEEN, "253402300800000", 0}, 0, -1},
    {{HEADER_FIRST_SEEN, "18446744073709551617", 0}, 0, -1},
    {{HEADER_FIRST_SEEN, "-5", 0}, 0, -1},
    {{HEADER_FIRST_SEEN, "", 0}, 0, -1},
    {{HEADER_FIRST_SEEN, NULL, -1}, 0, -1},
};

static void test_numbers(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        rd_kafka_headers_t *headers = make_headers(&numbers[i].header, 1);
        struct record_headers read;
        record_headers_read(headers, &read);
        if (read.attempt != numbers[i].attempt || read.first_seen_ms != numbers[i].first_seen_ms)
            fail_msg("row %zu: attempt %" PRId64 ", first seen %" PRId64, i, read.attempt,
                     read.first_seen_ms);
        rd_kafka_headers_destroy(headers);
    }
}

struct text_case {
    struct raw header;
    const char *query_id, *origin, *error;
};

static const struct text_case texts[] = {
    {{HEADER_QUERY_ID, "q-1", 0}, "q-1", "", ""},
    {{HEADER_QUERY_ID, "\xc3\xa4/ %", 0}, "\xc3\xa4/ %", "", ""},
    {{HEADER_QUERY_ID, "abc", 2}, "ab", "", ""},
    {{HEADER_QUERY_ID, "", 0}, "", "", ""},
    {{HEADER_QUERY_ID, NULL, -1}, "", "", ""},
    {{HEADER_QUERY_ID, "a\0b", 3}, "", "", ""},
    {{HEADER_QUERY_ID, "\xff", 0}, "", "", ""},
    {{HEADER_QUERY_ID, "\xc3", 0}, "", "", ""},
    {{HEADER_ORIGIN, "athena-query/3/1234", 0}, "", "athena-query/3/1234", ""},
    {{HEADER_ORIGIN, "/3/1234", 0}, "", "", ""},
    {{HEADER_ORIGIN, "topic/3", 0}, "", "", ""},
    {{HEADER_ORIGIN, "topic/3/", 0}, "", "", ""},
    {{HEADER_ORIGIN, "topic//4", 0}, "", "", ""},
    {{HEADER_ORIGIN, "topic/3/4/5", 0}, "", "", ""},
    {{HEADER_ORIGIN, "topic/-3/4", 0}, "", "", ""},
    {{HEADER_ORIGIN, "topic/3/4\n", 0}, "", "", ""},
    {{HEADER_ORIGIN, "to\npic/3/4", 0}, "", "", ""},
    {{HEADER_ORIGIN, "", 0}, "", "", ""},
    {{HEADER_ORIGIN, NULL, -1}, "", "", ""},
    {{HEADER_ERROR, "TooManyRequestsException", 0}, "", "", "TooManyRequestsException"},
    {{HEADER_ERROR, "Bad\x01", 0}, "", "", ""},
    {{HEADER_ERROR,
      "B\xc3\xa4"
      "d",
      0},
     "",
     "",
     ""},
    {{HEADER_ERROR, "a\0b", 3}, "", "", ""},
    {{HEADER_ERROR, NULL, -1}, "", "", ""},
};

static void test_texts(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        rd_kafka_headers_t *headers = make_headers(&texts[i].header, 1);
        struct record_headers read;
        memset(&read, '#', sizeof read);
        record_headers_read(headers, &read);
        if (strcmp(read.query_id, texts[i].query_id) != 0 ||
            strcmp(read.origin, texts[i].origin) != 0 || strcmp(read.error, texts[i].error) != 0)
            fail_msg("row %zu: \"%s\", \"%s\", \"%s\"", i, read.query_id, read.origin, read.error);
        rd_kafka_headers_destroy(headers);
    }
}

static void test_lengths(void **state) {
    (void)state;
    const struct {
        const char *name;
        size_t longest;
        size_t at, size;
    } rows[] = {
        {HEADER_QUERY_ID, QUERY_ID_MAX, offsetof(struct record_headers, query_id), 129},
        {HEADER_ERROR, 127, offsetof(struct record_headers, error), 128},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t n = rows[i].longest; n <= rows[i].longest + 1; n++) {
            char *value = repeat('x', n);
            rd_kafka_headers_t *headers = make_headers(&(struct raw){rows[i].name, value, 0}, 1);
            struct record_headers read;
            record_headers_read(headers, &read);
            assert_string_equal((char *)&read + rows[i].at, n <= rows[i].longest ? value : "");
            rd_kafka_headers_destroy(headers);
            free(value);
        }
    /* The longest origin there can be: a topic of 249, and the largest numbers. */
    char origin[400], *topic = repeat('t', 249);
    snprintf(origin, sizeof origin, "%s/2147483647/9223372036854775807", topic);
    rd_kafka_headers_t *headers = make_headers(&(struct raw){HEADER_ORIGIN, origin, 0}, 1);
    struct record_headers read;
    record_headers_read(headers, &read);
    assert_string_equal(read.origin, origin);
    rd_kafka_headers_destroy(headers);
    free(topic);
}

static void test_last_counts(void **state) {
    (void)state;
    const struct raw rows[] = {{HEADER_ATTEMPT, "1", 0},  {HEADER_QUERY_ID, "first", 0},
                               {HEADER_ATTEMPT, "2", 0},  {HEADER_QUERY_ID, "last", 0},
                               {HEADER_ERROR, "Some", 0}, {HEADER_ERROR, NULL, -1}};
    rd_kafka_headers_t *headers = make_headers(rows, COUNT(rows));
    struct record_headers read;
    record_headers_read(headers, &read);
    assert_int_equal(read.attempt, 2);
    assert_string_equal(read.query_id, "last");
    assert_string_equal(read.error, "");
    rd_kafka_headers_destroy(headers);
    record_headers_read(NULL, &read);
    assert_int_equal(read.attempt, 0);
    assert_int_equal(read.first_seen_ms, -1);
    assert_string_equal(read.query_id, "");
}

/* --- copying ---------------------------------------------------------------------------------- */

struct copy_case {
    const char *name;
    struct raw from[8];
    struct record_header set[4];
    const char *wanted; /* name=value;…, bytes beyond ASCII and NUL as \xx, NULL as ~ */
};

static const struct copy_case copies[] = {
    {"nothing", {{0}}, {{0}}, ""},
    {"only set",
     {{0}},
     {{HEADER_ATTEMPT, "1"}, {HEADER_ERROR, NULL}, {HEADER_ORIGIN, "t/0/1"}},
     "athena-attempt=1;athena-origin=t/0/1;"},
    {"foreign ones as they came",
     {{"b", "2", 0},
      {"a",
       "\0\xff"
       "x",
       3},
      {"b", NULL, -1},
      {"b", "", 0},
      {"", "e", 0}},
     {{0}},
     "b=2;a=\\00\\ffx;b=~;b=;=e;"},
    {"overwritten in place",
     {{"a", "1", 0}, {HEADER_ATTEMPT, "1", 0}, {"b", "2", 0}},
     {{HEADER_ATTEMPT, "2"}},
     "a=1;athena-attempt=2;b=2;"},
    {"ours repeated: the last value, once, where it first came",
     {{HEADER_ATTEMPT, "1", 0},
      {"a", "1", 0},
      {HEADER_ATTEMPT, "7", 0},
      {HEADER_TRACEPARENT, "x", 0},
      {HEADER_TRACEPARENT, "y", 0}},
     {{0}},
     "athena-attempt=7;a=1;traceparent=y;"},
    {"ours repeated and overwritten",
     {{HEADER_ATTEMPT, "1", 0}, {HEADER_ATTEMPT, "7", 0}, {"a", "1", 0}},
     {{HEADER_ATTEMPT, "8"}, {HEADER_FIRST_SEEN, "5"}},
     "athena-attempt=8;a=1;athena-first-seen-ms=5;"},
    {"taken away, however often it came",
     {{HEADER_ERROR, "X", 0}, {"a", "1", 0}, {HEADER_ERROR, "Y", 0}},
     {{HEADER_ERROR, NULL}},
     "a=1;"},
    {"not ours in another case",
     {{"Traceparent", "x", 0}, {"Traceparent", "y", 0}, {"athena-queryid", "z", 0}},
     {{HEADER_TRACEPARENT, "w"}},
     "Traceparent=x;Traceparent=y;athena-queryid=z;traceparent=w;"},
    {"ours without sense is carried along",
     {{HEADER_ATTEMPT, "many", 0}, {HEADER_QUERY_ID, NULL, -1}},
     {{0}},
     "athena-attempt=many;athena-query-id=~;"},
};

static char *spell(const rd_kafka_headers_t *headers) {
    struct buffer b;
    buffer_init(&b, 65536);
    const char *name;
    const void *value;
    size_t n;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &n) == 0; i++) {
        buffer_printf(&b, "%s=", name);
        if (value == NULL)
            buffer_putc(&b, '~');
        for (size_t j = 0; value != NULL && j < n; j++) {
            unsigned char c = ((const unsigned char *)value)[j];
            if (c < 0x20 || c > 0x7e)
                buffer_printf(&b, "\\%02x", c);
            else
                buffer_putc(&b, (char)c);
        }
        buffer_putc(&b, ';');
    }
    return buffer_take(&b);
}

static void test_copies(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(copies); i++) {
        const struct copy_case *c = &copies[i];
        size_t set_count = 0;
        while (set_count < COUNT(c->set) && c->set[set_count].name != NULL)
            set_count++;
        rd_kafka_headers_t *from = make_headers(c->from, COUNT(c->from));
        char *before = spell(from);
        rd_kafka_headers_t *copy = record_headers_copy(from, c->set, set_count);
        char *got = spell(copy), *after = spell(from);
        if (strcmp(got, c->wanted) != 0)
            fail_msg("%s: \"%s\"", c->name, got);
        assert_string_equal(before, after);
        rd_kafka_headers_destroy(copy);
        rd_kafka_headers_destroy(from);
        free(before);
        free(got);
        free(after);
    }
    rd_kafka_headers_t *copy =
        record_headers_copy(NULL, &(struct record_header){HEADER_ATTEMPT, "1"}, 1);
    char *got = spell(copy);
    assert_string_equal(got, "athena-attempt=1;");
    rd_kafka_headers_destroy(copy);
    free(got);
}

/* --- identity --------------------------------------------------------------------------------- */

static const struct {
    char *body_user, *body_query;
    const char *header, *user, *query;
    bool in_body;
} identities[] = {
    {"u", "q", "h", "u", "q", true},   {NULL, "q", "", "", "q", true},
    {"u", NULL, "h", "u", "h", false}, {NULL, NULL, "h", "", "h", false},
    {"u", NULL, "", "u", NULL, false}, {NULL, NULL, "", "", NULL, false},
};

static void test_identity(void **state) {
    (void)state;
    const struct record_place place = {"athena-query", 3, 1234, 1767225600000};
    char derived[37];
    query_id_derive(place.topic, place.partition, place.offset, place.timestamp_ms, derived);
    for (size_t i = 0; i < COUNT(identities); i++) {
        struct query query = {.user_id = identities[i].body_user,
                              .query_id = identities[i].body_query};
        struct record_headers headers;
        record_headers_read(NULL, &headers);
        snprintf(headers.query_id, sizeof headers.query_id, "%s", identities[i].header);
        snprintf(headers.origin, sizeof headers.origin, "elsewhere/0/1");
        struct record_identity got;
        record_identity_at(&place, &query, &headers, &got);
        const char *wanted = identities[i].query != NULL ? identities[i].query : derived;
        assert_string_equal(got.user_id, identities[i].user);
        assert_string_equal(got.query_id, wanted);
        assert_int_equal(got.in_body, identities[i].in_body);
    }
}

static void test_identity_of_the_longest(void **state) {
    (void)state;
    char *longest = repeat('x', QUERY_ID_MAX);
    struct query query = {.user_id = longest, .query_id = longest};
    struct record_headers headers;
    record_headers_read(NULL, &headers);
    struct record_identity got;
    record_identity_at(&(struct record_place){"t", 0, 0, -1}, &query, &headers, &got);
    assert_string_equal(got.user_id, longest);
    assert_string_equal(got.query_id, longest);
    free(longest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_last_counts),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_identity_of_the_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
