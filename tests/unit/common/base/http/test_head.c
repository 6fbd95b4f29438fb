#include "common/base/http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {"x-api-key", "traceparent"};

enum {
    NAMES = sizeof names / sizeof *names,
    LINES_MAX = 4
};

static const struct {
    const char *lines[LINES_MAX][2];
    const char *values[NAMES];
    bool expects, has_body;
} cases[] = {
    {{{"Host", "h"}}, {NULL, NULL}, false, false},
    {{{"X-API-Key", "k"}, {"TraceParent", "t"}}, {"k", "t"}, false, false},
    {{{"x-api-key", ""}}, {"", NULL}, false, false},
    {{{"x-api-key", "k"}, {"X-Api-Key", "k"}}, {NULL, NULL}, false, false},
    {{{"x-api-key", "a"}, {"x-api-key", "b"}, {"x-api-key", "c"}}, {NULL, NULL}, false, false},
    {{{"x-api-keys", "k"}, {"x-api-ke", "k"}}, {NULL, NULL}, false, false},
    {{{"Expect", "100-continue"}, {"Content-Length", "1"}}, {NULL, NULL}, true, true},
    {{{"Content-Length", "0"}}, {NULL, NULL}, false, false},
    {{{"Transfer-Encoding", "chunked"}}, {NULL, NULL}, false, true},
};

static void test_heads(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_head h;
        const char *values[NAMES] = {NULL};
        http_head_begin(&h, names, NAMES, strlen("GET / HTTP/1.1"));
        for (size_t j = 0; j < LINES_MAX && cases[i].lines[j][0] != NULL; j++) {
            const char *name = cases[i].lines[j][0], *value = cases[i].lines[j][1];
            http_head_header(&h, name, strlen(name), value, strlen(value), values);
        }
        for (size_t j = 0; j < NAMES; j++)
            if (cases[i].values[j] == NULL)
                assert_null(values[j]);
            else
                assert_string_equal(values[j], cases[i].values[j]);
        assert_true(h.expects == cases[i].expects);
        assert_true(framing_has_body(&h.framing) == cases[i].has_body);
    }
}

static void test_bytes(void **state) {
    (void)state;
    static const char head[] = "GET / HTTP/1.1\r\nHost: x\r\nx-api-key: secret\r\n\r\n";
    struct http_head h;
    const char *values[NAMES] = {NULL};
    http_head_begin(&h, names, NAMES, strlen("GET / HTTP/1.1"));
    http_head_header(&h, "Host", 4, "x", 1, values);
    http_head_header(&h, "x-api-key", 9, "secret", 6, values);
    assert_int_equal(h.bytes, strlen(head));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
