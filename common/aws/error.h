/*
 * The errors of AWS's JSON services (pure). None of these keeps anything, so any thread may call.
 */
#ifndef COMMON_AWS_ERROR_H
#define COMMON_AWS_ERROR_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reads the body of an error: `__type` as a code, `message` or else `Message`, and `Reason`. Each
 * goes into `size` bytes (1 or more), cut between two characters where it is longer; "" where the
 * body has none or is not strict JSON, and then only the HTTP status is left to go by. Of the
 * message about a wrong signature only the first sentence is kept: the rest quotes what was signed,
 * the session token included, and messages are logged.
 */
void aws_error_read(const char *body, size_t n, char *code, char *message, char *reason,
                    size_t size);

/*
 * The code in a `__type` or in the header x-amzn-errortype, as the SDKs read it: the part before
 * the first ':', and of that the part behind the last '#'.
 */
void aws_error_code(const char *type, char *code, size_t size);

/*
 * Whether the same call may succeed a little later: the throttling and transient codes of the SDKs'
 * standard mode. An HTTP status of 429 or 5xx says the same without a code.
 */
bool aws_error_is_passing(const char *code);

#endif
