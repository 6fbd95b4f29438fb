#include "common/model/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hex.h"

/* Computed with another program: the text, and a NUL and the bytes of each parameter behind it. */
static void test_sha256(void **state) {
    (void)state;
    static const struct {
        const char *text, *parameters[2];
        size_t count;
        const char *hex;
    } cases[] = {
        {"SELECT 1", {NULL}, 0, "e004ebd5b5532a4b85984a62f8ad48a81aa3460c1ca07701f386135d72cdecf5"},
        {"SELECT ?", {"1"}, 1, "ee9dd360aaa45d1319ffcf4c4807902c07997207da5a0df5dd2e6c5cc1206050"},
        {"SELECT ?", {"2"}, 1, "9f6fd59b894356a0e430e590783065d0ba78a66a5f7303aa01e955e3dfb64a1b"},
        {"SELECT ?",
         {"1", "2"},
         2,
         "4b11f4b98470071d30d463de6a7dc82d0cec929e92acb2a25da7fd0e1d57d3b3"},
        {"SELECT ?", {"12"}, 1, "676488710c8a42f7d709382280b2330133f07466d1f3abdd851d6ae492e565cd"},
        {"SELECT ?",
         {"2", "1"},
         2,
         "af2a40b04dcde7703d20a88416314dbc7726a2b831796c085a76805b855b1614"},
        {"SELECT ?",
         {"\xc3\xa9"},
         1,
         "f2476ed91e6aa658b9013434d73dfa3a6bec7338d3bea2183fe1e0704438eec6"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct query q = {.text = (char *)cases[i].text,
                          .text_len = strlen(cases[i].text),
                          .parameters = (char **)cases[i].parameters,
                          .parameter_count = cases[i].count};
        uint8_t digest[32];
        char hex[65];
        query_sha256(&q, digest);
        hex_write(digest, sizeof digest, hex);
        assert_string_equal(hex, cases[i].hex);
    }
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
