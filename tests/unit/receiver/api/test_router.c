#include "receiver/api/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct route_case {
    const char *method, *target, *stage;
    enum route_kind kind;
    const char *query_id, *user_id;
    bool staged;
};

static void test_routes(void **state) {
    (void)state;
    static const struct route_case cases[] = {
        {"POST", "/athena/query", "", ROUTE_POST_QUERY, "", "", false},
        {"POST", "/athena/query?x=1", "", ROUTE_POST_QUERY, "", "", false},
        {"POST", "/athena/query", "dev", ROUTE_POST_QUERY, "", "", false},
        {"POST", "/dev/athena/query", "dev", ROUTE_POST_QUERY, "", "", true},
        {"POST", "http://h:1/dev/athena/query", "dev", ROUTE_POST_QUERY, "", "", true},
        {"POST", "HTTPS://h/athena/query", "", ROUTE_POST_QUERY, "", "", false},
        {"POST", "/dev/athena/query", "", ROUTE_NOT_FOUND, "", "", false},
        {"POST", "/devathena/query", "dev", ROUTE_NOT_FOUND, "", "", false},
        {"POST", "/dev", "dev", ROUTE_NOT_FOUND, "", "", false},
        {"POST", "/dev/dev/athena/query", "dev", ROUTE_NOT_FOUND, "", "", true},
        {"POST", "/de/athena/query", "dev", ROUTE_NOT_FOUND, "", "", false},
        {"POST", "", "", ROUTE_NOT_FOUND, "", "", false},
        {"POST", "*", "", ROUTE_NOT_FOUND, "", "", false},
        {"POST", "http://h", "", ROUTE_NOT_FOUND, "", "", false},
        {"POST", "/athena/query/", "", ROUTE_NOT_FOUND, "", "", false},
        {"POST", "//athena/query", "", ROUTE_NOT_FOUND, "", "", false},
        {"post", "/athena/query", "", ROUTE_WRONG_METHOD, "", "", false},
        {"GET", "/athena/query", "", ROUTE_WRONG_METHOD, "", "", false},
        {"GET", "/openapi.json", "", ROUTE_OPENAPI, "", "", false},
        {"HEAD", "/dev/openapi.json?a", "dev", ROUTE_OPENAPI, "", "", true},
        {"POST", "/openapi.json", "", ROUTE_WRONG_METHOD, "", "", false},
        {"GET", "/athena/query/a", "", ROUTE_LOOK_UP, "a", "", false},
        {"HEAD", "/athena/query/a?userId=", "", ROUTE_LOOK_UP, "a", "", false},
        {"GET", "/athena/query/a%2Fb%3f%25?userId=u%20%c3%a9&x=%zz", "", ROUTE_LOOK_UP, "a/b?%",
         "u \xC3\xA9", false},
        {"GET", "/athena/query/a?x&userId=u+v&", "", ROUTE_LOOK_UP, "a", "u+v", false},
        {"GET", "/athena/query/a?UserId=u&userIdx=v&userId", "", ROUTE_LOOK_UP, "a", "", false},
        {"PATCH", "/athena/query/a", "", ROUTE_WRONG_METHOD, "", "", false},
        {"GET", "/athena/query/a/b", "", ROUTE_NOT_FOUND, "", "", false},
        {"GET", "/athena/query/%", "", ROUTE_MALFORMED, "", "", false},
        {"GET", "/athena/query/%4", "", ROUTE_MALFORMED, "", "", false},
        {"GET", "/athena/query/%4g", "", ROUTE_MALFORMED, "", "", false},
        {"GET", "/athena/query/%00", "", ROUTE_MALFORMED, "", "", false},
        {"GET", "/athena/query/%c3", "", ROUTE_MALFORMED, "", "", false},
        {"GET", "/athena/query/%ed%a0%80", "", ROUTE_MALFORMED, "", "", false},
        {"GET", "/athena/query/a b", "", ROUTE_MALFORMED, "", "", false},
        {"GET", "/athena/query/\xC3\xA9", "", ROUTE_MALFORMED, "", "", false},
        {"GET", "/athena/query/a?userId=u&userId=u", "", ROUTE_MALFORMED, "", "", false},
        {"GET", "/athena/query/a?userId=%", "", ROUTE_MALFORMED, "", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct route_case *c = &cases[i];
        struct route r;
        memset(&r, 0xAA, sizeof r);
        route_find(c->method, c->target, c->stage, &r);
        bool same = r.kind == c->kind && r.staged == c->staged;
        if (same && r.kind == ROUTE_LOOK_UP)
            same = strcmp(r.query_id, c->query_id) == 0 && strcmp(r.user_id, c->user_id) == 0;
        if (!same)
            fail_msg("%s %s is %d, \"%s\", \"%s\"", c->method, c->target, (int)r.kind, r.query_id,
                     r.user_id);
        assert_true((r.kind == ROUTE_WRONG_METHOD) == (r.allow != NULL));
        assert_true((r.kind == ROUTE_MALFORMED) == (r.detail != NULL));
    }
}

static void test_ids_have_128_bytes_at_most(void **state) {
    (void)state;
    for (size_t n = 127; n <= 129; n++) {
        char id[130] = {0}, target[600];
        struct route r;
        memset(id, 'x', n);
        snprintf(target, sizeof target, "/athena/query/%s?userId=%s", id, id);
        route_find("GET", target, "", &r);
        assert_int_equal(r.kind, n <= 128 ? ROUTE_LOOK_UP : ROUTE_MALFORMED);
        snprintf(target, sizeof target, "/athena/query/a?userId=%s", id);
        route_find("GET", target, "", &r);
        assert_int_equal(r.kind, n <= 128 ? ROUTE_LOOK_UP : ROUTE_MALFORMED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_ids_have_128_bytes_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
