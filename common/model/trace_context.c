#include "common/model/trace_context.h"

#include <stddef.h>
#include <string.h>

enum {
    TRACEPARENT_LEN = 55,
    TRACESTATE_MAX = 512
};

/* Whether there are `n` lower-case hex digits; `*zero`: all of them are 0. */
static bool is_hex(const char *s, size_t n, bool *zero) {
    *zero = true;
    for (size_t i = 0; i < n; i++) {
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return false;
        *zero = *zero && s[i] == '0';
    }
    return true;
}

bool traceparent_valid(const char *s) {
    bool no_version, no_trace, no_parent, no_flags;
    size_t n = strlen(s);
    if (n < TRACEPARENT_LEN || n > TRACESTATE_MAX || s[2] != '-' || s[35] != '-' || s[52] != '-')
        return false;
    if (!is_hex(s, 2, &no_version) || !is_hex(s + 3, 32, &no_trace) ||
        !is_hex(s + 36, 16, &no_parent) || !is_hex(s + 53, 2, &no_flags))
        return false;
    if (no_trace || no_parent || memcmp(s, "ff", 2) == 0)
        return false;
    return n == TRACEPARENT_LEN || (!no_version && s[TRACEPARENT_LEN] == '-');
}

bool tracestate_valid(const char *s) {
    size_t n = strlen(s);
    bool member = false; /* the member that is being read has a character before its = */
    bool any = false, equals = false;
    if (n == 0 || n > TRACESTATE_MAX)
        return false;
    for (size_t i = 0; i <= n; i++) {
        if (s[i] == ',' || s[i] == '\0') {
            if (member && !equals)
                return false;
            any = any || member;
            member = equals = false;
        } else if (s[i] < 0x20 || s[i] > 0x7e || (s[i] == '=' && !member)) {
            return false;
        } else if (s[i] == '=') {
            equals = true;
        } else if (s[i] != ' ') {
            member = true;
        }
    }
    return any;
}
