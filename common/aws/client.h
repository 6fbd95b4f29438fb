/*
 * Signed calls to AWS's JSON services (Athena: JSON 1.1, CloudWatch: JSON 1.0).
 *
 * A call is signed when it starts, with the credentials that the provider holds then and with the
 * time of common/aws/clock.h. All of this belongs to the thread of the loop.
 */
#ifndef COMMON_AWS_CLIENT_H
#define COMMON_AWS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/credentials/provider.h"
#include "common/aws/options.h"
#include "common/base/http/client.h"
#include "common/base/loop.h"

struct aws_service {
    const char *name;         /* in the signature: "athena", "monitoring" */
    const char *id;           /* in the SDKs' config file: "athena", "cloudwatch" */
    const char *host_prefix;  /* in AWS's own host names: "athena", "monitoring" */
    const char *target;       /* of X-Amz-Target, before the operation: "AmazonAthena." */
    const char *content_type; /* "application/x-amz-json-1.1" */
    size_t
        endpoint; /* offsetof(struct aws_options, endpoint_…): takes precedence over `endpoint` */
};

extern const struct aws_service aws_athena, aws_cloudwatch;

struct aws_client;

/*
 * `options` and `credentials` are borrowed and must outlive the client. `connections_max` as in
 * common/base/http/client.h, and NULL when that gives NULL.
 */
struct aws_client *aws_client_open(struct loop *loop, struct credentials_provider *credentials,
                                   const struct aws_options *options, int connections_max);
/* Cancels the calls under way, without calling back. Not from within an aws_done_fn. Takes NULL. */
void aws_client_close(struct aws_client *c);

/* What became of a call. Strings are valid during the callback and never NULL. */
struct aws_answer {
    struct http_answer http;
    const char *code;        /* of an error, see aws_error_code(); "": none */
    const char *message;     /* of an error; "": none */
    const char *reason;      /* `Reason` of an error; "": none */
    const char *athena_code; /* `AthenaErrorCode` of an error; "": none */
    bool no_credentials;     /* HTTP_UNSENT because there were none; http.error says why */
    /*
     * credentials_serial() of what the call was signed with. 0: it was not signed, or it was
     * refused for the clock alone, which has been set right since.
     */
    unsigned credentials;
};

typedef void aws_done_fn(void *arg, const struct aws_answer *answer);

/*
 * Starts a call; the body is copied. `fn` is called once, from the loop and never from within,
 * unless the call is cancelled; the call is gone when `fn` returns. Never NULL: a call that cannot
 * be sent ends as HTTP_UNSENT, with the reason in http.error.
 *
 * An answer that the credentials have expired or are unknown makes the provider fetch them again;
 * an answer that the time is wrong sets the clock. The call itself is not repeated.
 */
struct aws_call;
struct aws_call *aws_start(struct aws_client *c, const struct aws_service *service,
                           const char *operation, const char *body, size_t body_len,
                           int64_t timeout_ms, aws_done_fn *fn, void *arg);
void aws_cancel(struct aws_call *call); /* `fn` will not be called */

#endif
