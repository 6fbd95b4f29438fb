/*
 * Signed calls to AWS's JSON services (Athena: JSON 1.1, CloudWatch: JSON 1.0).
 *
 * A call is signed when it starts, with what the credentials' provider has then. The clock is the
 * system's, until AWS refuses a call for its time: then the offset is learned from that answer.
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
    const char *name;         /* for the signature: "athena" */
    const char *id;           /* in the SDKs' config file: "athena", "cloudwatch" */
    const char *host_prefix;  /* "athena", "monitoring" */
    const char *target;       /* "AmazonAthena." */
    const char *content_type; /* "application/x-amz-json-1.1" */
    size_t endpoint; /* offsetof(struct aws_options, endpoint_…): goes before `endpoint` */
};

extern const struct aws_service aws_athena, aws_cloudwatch;

struct aws_client;

/*
 * `options` and `credentials` are borrowed and must outlive the client. `connections_max` as in
 * common/base/http/client.h, and NULL when that gives NULL.
 */
struct aws_client *aws_client_open(struct loop *loop, struct credentials_provider *credentials,
                                   const struct aws_options *options, int connections_max);
/* Cancels what is under way. Never from within an aws_done_fn. NULL is fine. */
void aws_client_close(struct aws_client *c);

/* An answer as all JSON services give it. Strings are valid during the callback, never NULL. */
struct aws_answer {
    struct http_answer http;
    const char *code;    /* of an error, see aws_error_code(); "" where there is none */
    const char *message; /* "" */
    const char *reason;  /* "" */
    bool no_credentials; /* HTTP_UNSENT because there were none; http.error says why */
    /* credentials_serial() of what it was signed with; 0: none, or they are not what is wrong. */
    unsigned credentials;
};

typedef void aws_done_fn(void *arg, const struct aws_answer *answer);

/*
 * Never calls `fn` from within, and once from the loop unless cancelled; the call is gone when `fn`
 * returns. The body is copied. Never NULL: what cannot be sent is HTTP_UNSENT with its reason.
 *
 * An answer that says that the credentials have expired or are unknown makes the provider fetch
 * them again, one that the time is wrong makes it learn the time; the call is not repeated.
 */
struct aws_call;
struct aws_call *aws_start(struct aws_client *c, const struct aws_service *service,
                           const char *operation, const char *body, size_t body_len,
                           int64_t timeout_ms, aws_done_fn *fn, void *arg);
void aws_cancel(struct aws_call *call); /* `fn` will not be called */

#endif
