/*
 * The time to sign with: this machine's clock and an offset. The offset is learned from the Date of
 * an answer once AWS has refused a request for its time, and is logged then.
 */
#ifndef COMMON_AWS_CLOCK_H
#define COMMON_AWS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed = no offset. */
struct aws_clock {
    int64_t offset_s; /* AWS's time less that of this machine */
};

int64_t aws_clock_now(const struct aws_clock *c); /* seconds since the epoch */

/*
 * Learns from a refusal that may have been for the time: where `date`, its Date (seconds since the
 * epoch, -1: none), is more than 4 minutes off, it becomes the time, as in the SDKs. True when the
 * offset has changed: the refused request is worth another attempt.
 */
bool aws_clock_learn(struct aws_clock *c, int64_t date);

/* Whether a wrong clock may be the cause of an error with this code. */
bool aws_clock_is_suspect(const char *code);

#endif
