/*
 * The time as AWS has it: this machine's clock and an offset, learned from the Date of an answer
 * when the clock turns out to be wrong, and said once.
 */
#ifndef COMMON_AWS_CLOCK_H
#define COMMON_AWS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed = the clock of this machine is right. */
struct aws_clock {
    int64_t offset_s; /* of AWS, to be added to ours */
};

int64_t aws_clock_now(const struct aws_clock *c); /* seconds since the epoch */

/*
 * Of an answer that may have been refused for its time: takes its Date (seconds since the epoch,
 * -1: none) for the time where it is more than 4 minutes off, as the SDKs do. True when something
 * was learned: what was refused is worth another try.
 */
bool aws_clock_learn(struct aws_clock *c, int64_t date);

/* Whether an error of this code may come from a wrong clock. */
bool aws_clock_is_suspect(const char *code);

#endif
