#include "receiver/api/responses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/json.h"
#include "receiver/api/openapi.h"

static void test_accepted(void **state) {
    (void)state;
    static const struct {
        struct accepted_query what;
        const char *location, *body;
    } cases[] = {
        {{"", "", "i", "t", 0, 0},
         "/athena/query/i",
         "{\"queryId\":\"i\",\"state\":\"QUEUED\",\"topic\":\"t\",\"partition\":0,\"offset\":0}\n"},
        {{"/dev", "u/1 \xC3\xA9", "a\"b?&", "t-dev", 5, 5000000000},
         "/dev/athena/query/a%22b%3F%26?userId=u%2F1%20%C3%A9",
         "{\"queryId\":\"a\\\"b?&\",\"state\":\"QUEUED\",\"topic\":\"t-dev\",\"partition\":5,"
         "\"offset\":5000000000}\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_response r = {0};
        response_accepted(&r, &cases[i].what);
        assert_int_equal(r.status, 202);
        assert_string_equal(r.content_type, "application/json");
        assert_string_equal(r.location, cases[i].location);
        assert_string_equal(buffer_text(&r.body), cases[i].body);
        http_response_free(&r);
    }
}

static void test_longest_ids_fit(void **state) {
    (void)state;
    char id[129];
    memset(id, 1, 128); /* six bytes each in JSON, three in the location */
    id[128] = '\0';
    struct accepted_query what = {"/dev", id, id, "t", 0, 0};
    struct http_response r = {0};
    response_accepted(&r, &what);
    assert_false(r.body.failed);
    assert_int_equal(strlen(r.location), strlen("/dev/athena/query/?userId=") + 2 * 3 * 128);
    http_response_free(&r);
    response_not_accepted(&r, id, "why", 1);
    assert_false(r.body.failed);
    http_response_free(&r);
}

static void test_not_accepted(void **state) {
    (void)state;
    struct http_response r = {0};
    response_not_accepted(&r, "i", "it is late", 7);
    assert_int_equal(r.status, 503);
    assert_int_equal(r.retry_after_s, 7);
    assert_string_equal(
        buffer_text(&r.body),
        "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
        "\"detail\":\"The query was not accepted: it is late. Post it again with the same "
        "queryId.\",\"queryId\":\"i\"}\n");
    http_response_free(&r);
}

static bool note_openapi(void *arg, const char *key, size_t key_len, struct json_value value) {
    if (key_len == 7 && memcmp(key, "openapi", 7) == 0 && value.n == 7 &&
        memcmp(value.at, "\"3.1.0\"", 7) == 0)
        *(bool *)arg = true;
    return true;
}

static void test_the_description_is_json(void **state) {
    (void)state;
    char detail[256] = "";
    bool seen = false;
    struct http_response r = {0};
    response_openapi(&r);
    if (!json_read_object(buffer_text(&r.body), r.body.len, 64, note_openapi, &seen, detail,
                          sizeof detail))
        fail_msg("%s", detail);
    assert_true(seen);
    http_response_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_longest_ids_fit),
        cmocka_unit_test(test_not_accepted),
        cmocka_unit_test(test_the_description_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
