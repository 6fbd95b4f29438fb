#include "redriver/by_hand.h"

#include <string.h>

static void text_or_null(const char *s, struct buffer *out) {
    if (*s != '\0')
        buffer_json_string(out, s, strlen(s));
    else
        buffer_puts(out, "null");
}

void by_hand_letter(struct letter *l, int64_t now_ms, struct buffer *out) {
    letter_parse(l);
    buffer_printf(out, "{\"partition\":%d,\"offset\":%lld,\"userId\":", (int)l->message->partition,
                  (long long)l->message->offset);
    text_or_null(l->identity.user_id, out);
    buffer_puts(out, ",\"queryId\":");
    text_or_null(l->identity.query_id, out);
    buffer_printf(out, ",\"attempt\":%lld,\"ageMs\":", (long long)l->headers.attempt);
    if (l->timestamp_ms < 0)
        buffer_puts(out, "null");
    else /* clocks differ: nothing was dead-lettered in the future */
        buffer_printf(out, "%lld",
                      now_ms > l->timestamp_ms ? (long long)(now_ms - l->timestamp_ms) : 0LL);
    buffer_puts(out, ",\"error\":");
    text_or_null(l->headers.error, out);
    buffer_puts(out, "}\n");
}

void by_hand_summary(const struct pass_result *result, int64_t elsewhere, struct buffer *out) {
    buffer_printf(out, "{\"moved\":%lld,\"skipped\":%lld,\"left\":%lld", (long long)result->moved,
                  (long long)result->skipped, (long long)result->left);
    if (elsewhere >= 0)
        buffer_printf(out, ",\"elsewhere\":%lld", (long long)elsewhere);
    buffer_puts(out, "}\n");
}
