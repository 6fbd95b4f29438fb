/*
 * Calls to the Security Token Service: the Query protocol, Version 2011-06-15, which takes a form
 * and answers in XML. They belong to the thread of the loop.
 */
#ifndef COMMON_AWS_CREDENTIALS_STS_H
#define COMMON_AWS_CREDENTIALS_STS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/credentials/fetch.h"

/* What became of a call. Strings are valid during the call of `fn`. */
struct sts_result {
    bool ok; /* status 200: `xml` is the answer */
    const char *xml;
    size_t xml_len;
    int64_t date;            /* seconds since the epoch; -1: none */
    const char *code;        /* of an error; "": none */
    const char *explanation; /* what went wrong, in a sentence, without a secret; "" where ok */
};

typedef void sts_done_fn(void *arg, const struct sts_result *result);

/*
 * POSTs `form`, signed with `sign_with` (NULL: unsigned); both are copied. Makes up to three
 * attempts (common/aws/attempts.h), also after IDPCommunicationError and after a refusal that has
 * set the clock. `fn` is called once, from the loop and never from within, unless the call is
 * cancelled; the call is gone when `fn` returns.
 */
struct sts_call;
struct sts_call *sts_start(const struct fetch_context *ctx, const char *form,
                           const struct credentials *sign_with, sts_done_fn *fn, void *arg);
void sts_cancel(struct sts_call *call); /* `fn` will not be called; takes NULL */

#endif
