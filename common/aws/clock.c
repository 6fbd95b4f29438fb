#include "common/aws/clock.h"

#include <stddef.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/loop.h"

enum {
    TOLERATED_S = 4 * 60 /* AWS tolerates five minutes */
};

int64_t aws_clock_now(const struct aws_clock *c) {
    return loop_wall() / 1000 + c->offset_s;
}

bool aws_clock_learn(struct aws_clock *c, int64_t date) {
    int64_t off_s = date - aws_clock_now(c);
    if (date < 0 || (off_s <= TOLERATED_S && off_s >= -TOLERATED_S))
        return false;
    c->offset_s += off_s;
    log_warn(
        "the clock of this machine is wrong: requests are signed with AWS's time offset_s=%lld",
        (long long)c->offset_s);
    return true;
}

bool aws_clock_is_suspect(const char *code) {
    static const char *const codes[] = {
        "RequestTimeTooSkewed",         "RequestExpired",        "RequestInTheFuture",
        "InvalidSignatureException",    "SignatureDoesNotMatch", "AuthFailure",
        "IncompleteSignatureException", "ExpiredToken",          "ExpiredTokenException",
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i], code) == 0)
            return true;
    return false;
}
