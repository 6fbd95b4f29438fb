#include "receiver/queue/intake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/model/trace_context.h"

static const uint8_t random_bytes[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0xff, 0x77,
                                         0xff, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

static bool read_text(const char *json, struct intake *in, char detail[256]) {
    memset(in, 0xAA, sizeof *in);
    return intake_read(json, strlen(json), random_bytes, in, detail, 256);
}

static void test_names(void **state) {
    (void)state;
    static const char given[] = "00112233-4455-4f77-bf99-aabbccddeeff";
    static const struct {
        const char *json, *user_id, *query_id;
        bool given;
    } cases[] = {
        {"{\"query\":\"q\"}", "", given, true},
        {"{\"query\":\"q\",\"queryId\":\"\",\"userId\":null}", "", given, true},
        {"{\"query\":\"q\",\"queryId\":null,\"userId\":\"u\"}", "u", given, true},
        {"{\"query\":\"q\",\"queryId\":\"i\",\"userId\":\"\"}", "", "i", false},
        {"{\"query\":\"q\",\"queryId\":\"\\u00e9\",\"userId\":\"u\"}", "u", "\xC3\xA9", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct intake in;
        char detail[256];
        assert_true(read_text(cases[i].json, &in, detail));
        assert_string_equal(in.user_id, cases[i].user_id);
        assert_string_equal(in.query_id, cases[i].query_id);
        assert_int_equal(in.given, cases[i].given);
        /* printf q | sha256sum */
        assert_int_equal(in.sha256[0], 0x8e);
        assert_int_equal(in.sha256[31], 0xcf);
    }
}

static void test_faults_say_what_to_mend(void **state) {
    (void)state;
    struct intake in;
    char detail[256] = "";
    assert_false(read_text("{\"queryId\":\"i\"}", &in, detail));
    assert_non_null(strstr(detail, "query"));
    assert_false(read_text("", &in, detail));
    assert_true(detail[0] != '\0');
}

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static void test_traceparent(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool sound;
    } cases[] = {
        {"00-" TRACE "-" PARENT "-01", true},
        {"00-" TRACE "-" PARENT "-ff", true},
        {"cc-" TRACE "-" PARENT "-01", true},
        {"cc-" TRACE "-" PARENT "-01-what-comes", true},
        {"cc-" TRACE "-" PARENT "-01.", false},
        {"00-" TRACE "-" PARENT "-01-more", false},
        {"ff-" TRACE "-" PARENT "-01", false},
        {"00-" TRACE "-" PARENT "-0", false},
        {"00-" TRACE "-" PARENT "-0G", false},
        {"00-00000000000000000000000000000000-" PARENT "-01", false},
        {"00-" TRACE "-0000000000000000-01", false},
        {"00-0AF7651916cd43dd8448eb211c80319c-" PARENT "-01", false},
        {"00_" TRACE "-" PARENT "-01", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (traceparent_valid(cases[i].text) != cases[i].sound)
            fail_msg("%s", cases[i].text);
}

static void test_tracestate(void **state) {
    (void)state;
    char longest[514];
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "a=", 2);
    longest[512] = '\0';
    assert_true(tracestate_valid(longest));
    longest[512] = 'x';
    longest[513] = '\0';
    assert_false(tracestate_valid(longest));
    static const struct {
        const char *text;
        bool sound;
    } cases[] = {
        {"a=1", true},         {"a=1,b@c=2 , d=e=f", true},
        {"a=1,,b=2", true},    {"", false},
        {",", false},          {"a", false},
        {"a=1,b", false},      {"=1", false},
        {"a=\xC3\xA9", false}, {"a=1\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (tracestate_valid(cases[i].text) != cases[i].sound)
            fail_msg("%s", cases[i].text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_faults_say_what_to_mend),
        cmocka_unit_test(test_traceparent),
        cmocka_unit_test(test_tracestate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
