/* The lines that are printed by hand, to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "redriver/by_hand.h"

static void prints_the_summary(void **state) {
    (void)state;
    struct pass_result result = {.moved = 3, .skipped = 2, .left = 1};
    struct buffer b;
    buffer_init(&b, 1000);
    by_hand_summary(&result, -1, &b);
    assert_string_equal(buffer_text(&b), "{\"moved\":3,\"skipped\":2,\"left\":1}\n");
    buffer_clear(&b);
    by_hand_summary(&result, 0, &b);
    assert_string_equal(buffer_text(&b),
                        "{\"moved\":3,\"skipped\":2,\"left\":1,\"elsewhere\":0}\n");
    buffer_free(&b);
}

static const struct {
    const char *user, *query_id, *error;
    int64_t attempt, timestamp_ms;
    const char *want;
} letters[] = {
    {"ann", "q-1", "TooManyRequestsException", 4, 400,
     "{\"partition\":5,\"offset\":6000000000,\"userId\":\"ann\",\"queryId\":\"q-1\",\"attempt\":4,"
     "\"ageMs\":600,\"error\":\"TooManyRequestsException\"}\n"},
    {"", "q-1", "", 0, 2000,
     "{\"partition\":5,\"offset\":6000000000,\"userId\":null,\"queryId\":\"q-1\",\"attempt\":0,"
     "\"ageMs\":0,\"error\":null}\n"},
    {"a\"\\\n", "é", "", 1, -1,
     "{\"partition\":5,\"offset\":6000000000,\"userId\":\"a\\\"\\\\\\n\",\"queryId\":\"é\","
     "\"attempt\":1,\"ageMs\":null,\"error\":null}\n"},
};

static void prints_a_letter(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        rd_kafka_message_t message = {.partition = 5, .offset = 6000000000};
        struct letter l = {
            .message = &message, .timestamp_ms = letters[i].timestamp_ms, .parsed = true};
        l.headers.attempt = letters[i].attempt;
        strcpy(l.headers.error, letters[i].error);
        strcpy(l.identity.user_id, letters[i].user);
        strcpy(l.identity.query_id, letters[i].query_id);
        struct buffer b;
        buffer_init(&b, 1000);
        by_hand_letter(&l, 1000, &b);
        assert_string_equal(buffer_text(&b), letters[i].want);
        buffer_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_the_summary),
        cmocka_unit_test(prints_a_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
