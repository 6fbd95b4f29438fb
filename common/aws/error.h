/*
 * What AWS's JSON services say when they refuse (pure).
 */
#ifndef COMMON_AWS_ERROR_H
#define COMMON_AWS_ERROR_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The body of an error: its `__type` as a code, `message` or else `Message`, and `Reason`. Each
 * goes into `size` bytes (1 or more), cut between characters where it is longer, "" where the body
 * has none or is not strict JSON: go by the HTTP status then. Of a wrong signature's message only
 * the first sentence stays: the rest holds the session token, and messages are logged.
 */
void aws_error_read(const char *body, size_t n, char *code, char *message, char *reason,
                    size_t size);

/*
 * A `__type`, or the header x-amzn-errortype, as the SDKs read it: what stands before the first
 * ':', and of that what follows the last '#'.
 */
void aws_error_code(const char *type, char *code, size_t size);

/*
 * Whether the same call may well be taken a little later: the codes of throttling and of passing
 * trouble in the SDKs' standard mode. An HTTP status of 429 or 5xx says so without a code.
 */
bool aws_error_is_passing(const char *code);

#endif
