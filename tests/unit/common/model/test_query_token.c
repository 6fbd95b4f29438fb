#include "common/model/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_sha256(void **state) {
    (void)state;
    static const uint8_t wanted[] = {0xe0, 0x04, 0xeb, 0xd5, 0xb5, 0x53, 0x2a, 0x4b};
    struct query q = {.text = "SELECT 1", .text_len = 8};
    uint8_t digest[32];
    query_sha256(&q, digest);
    assert_memory_equal(digest, wanted, sizeof wanted);
}

/*
 * Computed with another program. They must never change: an executor of the next version with other
 * tokens would start every query that is under way a second time.
 */
static void test_token(void **state) {
    (void)state;
    static const struct {
        const char *stage, *user_id, *query_id, *token;
    } cases[] = {
        {"", "", "q1", "9d122ac47b4af04820a71704b606e85681b3e59ee211eea05fe898613d6d4bf0"},
        {NULL, NULL, "q1", "9d122ac47b4af04820a71704b606e85681b3e59ee211eea05fe898613d6d4bf0"},
        {"", "u1", "q1", "c2603eb8301b2b775f3b63f9d3339b35cc582eada6e5d4b1597e276e0fcef82d"},
        {"dev", "u1", "q1", "7205e0f4c87c8df0b9f3434b1a792e7c2a0464c7f4205e9f1fca9296715ada5e"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char token[65];
        query_token(cases[i].stage, cases[i].user_id, cases[i].query_id, token);
        assert_string_equal(token, cases[i].token);
    }
}

static void test_tokens_differ(void **state) {
    (void)state;
    static const char *const names[][3] = {
        {"", "a", "b"}, {"", "ab", ""}, {"", "", "ab"},  {"a", "", "b"},  {"a", "b", ""},
        {"ab", "", ""}, {"", "b", "a"}, {"", "a/", "b"}, {"", "a", "/b"}, {"", "A", "b"},
    };
    enum {
        COUNT = sizeof names / sizeof *names
    };
    char tokens[COUNT][65];
    for (size_t i = 0; i < COUNT; i++) {
        query_token(names[i][0], names[i][1], names[i][2], tokens[i]);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(tokens[i], tokens[j]);
    }
}

static void test_id_derive(void **state) {
    (void)state;
    char id[37], other[37];
    query_id_derive("athena-query", 3, 42, 1700000000123, id);
    assert_string_equal(id, "5b536ea6-0cc1-862b-a4a2-4de13c2c1df3"); /* made with another program */
    query_id_derive("athena-query", 0, 0, -1, other);
    assert_string_equal(other, "e7c7442b-47c1-84be-a041-d4b6c327f941");
    query_id_derive("athena-query-dev", 3, 42, 1700000000123, other);
    assert_string_not_equal(id, other);
    query_id_derive("athena-query", 42, 3, 1700000000123, other);
    assert_string_not_equal(id, other);
    query_id_derive("athena-query", 3, 43, 1700000000123, other);
    assert_string_not_equal(id, other);
    query_id_derive("athena-query", 3, 42, 1700000000124, other);
    assert_string_not_equal(id, other);
    assert_true(query_id_valid(id, strlen(id)));
}

static void test_id_valid(void **state) {
    (void)state;
    char longest[129];
    memset(longest, 'x', sizeof longest);
    assert_true(query_id_valid(longest, 128));
    assert_false(query_id_valid(longest, 129));
    assert_true(query_id_valid("q", 1));
    assert_true(query_id_valid("a/\n\xC3\xA9", 5));
    assert_false(query_id_valid("", 0));
    assert_false(query_id_valid(NULL, 0));
    assert_false(query_id_valid("\0", 1));
    assert_false(query_id_valid("a\0b", 3));
    assert_false(query_id_valid("a\xC3", 2));
    char *cut = malloc(2); /* of that size, for the sanitizers */
    assert_non_null(cut);
    memcpy(cut, "a\xC3", 2);
    assert_false(query_id_valid(cut, 2));
    free(cut);
    assert_false(query_id_valid("\xED\xA0\x80", 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),        cmocka_unit_test(test_token),
        cmocka_unit_test(test_tokens_differ), cmocka_unit_test(test_id_derive),
        cmocka_unit_test(test_id_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
