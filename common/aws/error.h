/*
 * The errors of AWS's JSON services (pure). None of these keeps anything, so any thread may call.
 */
#ifndef COMMON_AWS_ERROR_H
#define COMMON_AWS_ERROR_H

#include <stdbool.h>
#include <stddef.h>

enum {
    AWS_ERROR_TEXT_MAX = 1024
};

/* Each text is cut between two characters where it is longer, and "" where the error has none. */
struct aws_error {
    char code[AWS_ERROR_TEXT_MAX];        /* `__type`, by aws_error_code() */
    char message[AWS_ERROR_TEXT_MAX];     /* `message`, else `Message` */
    char reason[AWS_ERROR_TEXT_MAX];      /* `Reason`, of TooManyRequestsException */
    char athena_code[AWS_ERROR_TEXT_MAX]; /* `AthenaErrorCode`, of InvalidRequestException */
};

/*
 * Reads the body of an error. All is "" where the body is no strict JSON, and then only the HTTP
 * status is left to go by; but where it is an empty element of XML, <UnknownOperationException/>,
 * its name is the code: so the JSON services answer a Content-Type that is not theirs. Of the
 * message about a wrong signature only the first sentence is kept: the rest quotes what was signed,
 * the session token included, and messages are logged.
 */
void aws_error_read(const char *body, size_t n, struct aws_error *out);

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
