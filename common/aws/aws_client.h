/*
 * Signed calls to AWS's JSON services (Athena: JSON 1.1, CloudWatch: JSON 1.0).
 */
#ifndef COMMON_AWS_AWS_CLIENT_H
#define COMMON_AWS_AWS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/credentials.h"
#include "common/http_client.h"
#include "common/loop.h"
#include "common/options.h"

/* The options of all that call AWS; embedded in a program's configuration. */
struct aws_options {
    const char *region;
    const char *endpoint, *endpoint_athena, *endpoint_cloudwatch;
    const char *ca_bundle;
    const char *database, *catalog, *work_group, *output_location; /* ATHENA_… */
    bool cloudwatch;
    int64_t cloudwatch_interval_ms;
};

/* Rows whose fields lie at `offset` + offsetof(struct aws_options, …). */
#define AWS_OPTION_ROWS(config_type, member) /* defined in aws_options.h */

struct aws_service {
    const char *name;         /* for the signature: "athena" */
    const char *host_prefix;  /* "athena", "monitoring" */
    const char *target;       /* "AmazonAthena." */
    const char *content_type; /* "application/x-amz-json-1.1" */
};

extern const struct aws_service aws_athena, aws_cloudwatch;

struct aws_client;

struct aws_client *aws_client_open(struct loop *loop, struct credentials_provider *credentials,
                                   const struct aws_options *options, int connections_max);
void aws_client_close(struct aws_client *c);

/* An answer as all JSON services give it. Strings are valid during the callback. */
struct aws_answer {
    struct http_answer http;
    const char *code;    /* __type cut at ':' and behind '#'; "" where there is none */
    const char *message; /* message or Message; "" */
    const char *reason;  /* Reason; "" */
    bool no_credentials; /* nothing was sent: there were none; message says why */
};

typedef void aws_done_fn(void *arg, const struct aws_answer *answer);

/* Never calls `fn` from within; always calls it once unless cancelled. */
struct aws_call;
struct aws_call *aws_start(struct aws_client *c, const struct aws_service *service,
                           const char *operation, const char *body, size_t body_len,
                           int64_t timeout_ms, aws_done_fn *fn, void *arg);
void aws_cancel(struct aws_call *call);

/* Pure: an error body → code, message, reason (each of `size` bytes or more is cut). */
void aws_error_read(const char *body, size_t n, char *code, char *message, char *reason,
                    size_t size);

#endif
