#include "common/base/http/response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_problem(void **state) {
    (void)state;
    struct http_response r = {0};
    http_response_problem(&r, 404, "Say \"what\".");
    assert_int_equal(r.status, 404);
    assert_string_equal(r.content_type, "application/problem+json");
    assert_string_equal(buffer_text(&r.body),
                        "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
                        "\"detail\":\"Say \\\"what\\\".\"}\n");
    http_response_free(&r);
    assert_int_equal(r.status, 0);
    http_response_problem_with(&r, 503, "d", "member", "a\nb");
    assert_string_equal(
        buffer_text(&r.body),
        "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
        "\"detail\":\"d\",\"member\":\"a\\nb\"}\n");
    http_response_free(&r);
}

static void test_reasons(void **state) {
    (void)state;
    assert_string_equal(http_response_reason(202), "Accepted");
    assert_string_equal(http_response_reason(413), "Content Too Large");
    assert_string_equal(http_response_reason(599), "Error");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problem),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
