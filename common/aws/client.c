#include "common/aws/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/aws/clock.h"
#include "common/aws/endpoint.h"
#include "common/aws/error.h"
#include "common/aws/region.h"
#include "common/aws/sigv4.h"
#include "common/base/memory.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    UNSENT_MAX = 1024 /* bytes of the reason why a call could not be sent */
};

/*
 * BatchGetQueryExecution returns the texts and parameters of the queries that it is asked for, of
 * which escapes make six times as many bytes at the most; executor/query/tracker.c asks for 2 MiB
 * and one query more, and for less where the answer is longer than this.
 */
#define ANSWER_MAX ((size_t)32 << 20)

const struct aws_service aws_athena = {
    "athena",
    "athena",
    "athena",
    "AmazonAthena.",
    "application/x-amz-json-1.1",
    offsetof(struct aws_options, endpoint_athena),
};
const struct aws_service aws_cloudwatch = {
    "monitoring",
    "cloudwatch",
    "monitoring",
    "GraniteServiceVersion20100801.",
    "application/x-amz-json-1.0",
    offsetof(struct aws_options, endpoint_cloudwatch),
};

struct aws_client {
    struct loop *loop;
    struct credentials_provider *credentials;
    const struct aws_options *options;
    struct http_client *http;
    struct aws_call *calls;
};

struct aws_call {
    struct aws_client *client;
    struct http_call *http; /* NULL: nothing was sent, `timer` will say so */
    struct loop_timer timer;
    aws_done_fn *fn;
    void *arg;
    bool no_credentials;
    unsigned credentials; /* the serial of what it was signed with */
    bool done;            /* fn is being called */
    char unsent[UNSENT_MAX];
    struct aws_call *prev, *next;
};

/* --- the answer ------------------------------------------------------------------------------- */

static void aws_call_finish(struct aws_call *call, const struct http_answer *http,
                            const struct aws_error *error) {
    const struct aws_answer answer = {
        .http = *http,
        .code = error->code,
        .message = error->message,
        .reason = error->reason,
        .athena_code = error->athena_code,
        .no_credentials = call->no_credentials,
        .credentials = call->credentials,
    };
    DL_DELETE(call->client->calls, call);
    call->done = true;
    call->fn(call->arg, &answer);
    free(call);
}

static void aws_call_report_unsent(void *arg) {
    struct aws_call *call = arg;
    static const struct aws_error none;
    const struct http_answer http = {
        .result = HTTP_UNSENT, .body = "", .date = -1, .error = call->unsent};
    aws_call_finish(call, &http, &none);
}

/* Without AccessDeniedException, which may be about what was asked for. */
static bool is_credentials_refusal(const char *code) {
    static const char *const refusals[] = {"ExpiredToken", "ExpiredTokenException",
                                           "InvalidClientTokenId", "UnrecognizedClientException"};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (strcmp(code, refusals[i]) == 0)
            return true;
    return false;
}

/* Some proxies and stand-ins refuse with a body without a code: then a 403 is suspect, too. */
static bool learn_time(const struct aws_call *call, const struct http_answer *http,
                       const char *code) {
    struct aws_clock *clock = credentials_clock(call->client->credentials);
    bool suspect = aws_clock_is_suspect(code) || (code[0] == '\0' && http->status == 403);
    return clock != NULL && suspect && aws_clock_learn(clock, http->date);
}

static void aws_call_on_answer(void *arg, const struct http_answer *http) {
    struct aws_call *call = arg;
    struct aws_error error = {0};
    if (http->result == HTTP_ANSWERED && http->status / 100 != 2) {
        aws_error_read(http->body, http->body_len, &error);
        const char *type = http_answer_header(http, "x-amzn-errortype");
        if (error.code[0] == '\0' && type != NULL)
            aws_error_code(type, error.code, sizeof error.code);
        if (learn_time(call, http, error.code))
            call->credentials = 0;
        else if (is_credentials_refusal(error.code))
            credentials_refused_serial(call->client->credentials, call->credentials);
    }
    aws_call_finish(call, http, &error);
}

/* --- the request ------------------------------------------------------------------------------ */

static bool find_endpoint(const struct aws_client *c, const struct aws_service *service,
                          struct aws_endpoint *out, const char **region_name, char *detail,
                          size_t detail_size) {
    const struct aws_options *o = c->options;
    struct aws_region *region = credentials_region(c->credentials);
    const char *own = *(const char *const *)(const void *)((const char *)o + service->endpoint);
    if (region != NULL)
        return aws_region_service_endpoint(region, own, service->id, service->host_prefix, out,
                                           region_name, detail, detail_size);
    const char *url = own != NULL ? own : o->endpoint;
    *region_name = aws_options_region(o);
    if (url != NULL)
        return aws_endpoint_read(url, out, detail, detail_size);
    if (*region_name == NULL) {
        snprintf(detail, detail_size, "no region");
        return false;
    }
    aws_endpoint_of_region(service->host_prefix, *region_name, aws_options_variant(o), out);
    return true;
}

struct aws_request {
    const struct aws_service *service;
    const struct aws_endpoint *endpoint;
    const char *region, *target, *body;
    size_t body_len;
    int64_t timeout_ms;
};

static int64_t signing_time(const struct aws_client *c) {
    const struct aws_clock *clock = credentials_clock(c->credentials);
    return clock != NULL ? aws_clock_now(clock) : loop_wall() / 1000;
}

static bool aws_call_sign(const struct aws_call *call, const struct aws_request *r,
                          const struct credentials *credentials, struct sigv4_signed *out) {
    const struct sigv4_header headers[] = {
        {"host", r->endpoint->host},
        {"content-type", r->service->content_type},
        {"x-amz-target", r->target},
    };
    const struct sigv4_request request = {
        .method = "POST",
        .path = r->endpoint->path,
        .headers = headers,
        .header_count = sizeof headers / sizeof *headers,
        .body = r->body,
        .body_len = r->body_len,
        .region = r->region,
        .service = r->service->name,
        .time = signing_time(call->client),
    };
    const struct sigv4_keys keys = {
        credentials->access_key_id,
        credentials->secret_access_key,
        credentials->session_token,
    };
    return sigv4_sign_headers(&request, &keys, out);
}

/* Host is given, so that libcurl sends the one that was signed and none of its own. */
static struct http_call *aws_call_send(struct aws_call *call, const struct aws_request *r,
                                       const struct credentials *credentials,
                                       const struct sigv4_signed *s) {
    struct http_header headers[6] = {
        {"Host", r->endpoint->host},         {"Content-Type", r->service->content_type},
        {"X-Amz-Target", r->target},         {"X-Amz-Date", s->date},
        {"Authorization", s->authorization},
    };
    size_t count = 5;
    if (credentials->session_token != NULL)
        headers[count++] = (struct http_header){"X-Amz-Security-Token", credentials->session_token};
    const struct http_request request = {
        .method = "POST",
        .url = r->endpoint->url,
        .headers = headers,
        .header_count = count,
        .body = r->body,
        .body_len = r->body_len,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = r->timeout_ms,
        .answer_max = ANSWER_MAX,
    };
    return http_start(call->client->http, &request, aws_call_on_answer, call);
}

/* Sets call->http, or else call->unsent to the reason. */
static void aws_call_sign_and_send(struct aws_call *call, const struct aws_request *r,
                                   const struct credentials *credentials) {
    call->credentials = credentials_serial(call->client->credentials);
    struct sigv4_signed signature;
    if (!aws_call_sign(call, r, credentials, &signature)) {
        snprintf(call->unsent, sizeof call->unsent, "the request cannot be signed");
        return;
    }
    call->http = aws_call_send(call, r, credentials, &signature);
    sigv4_signed_free(&signature);
    if (call->http == NULL)
        snprintf(call->unsent, sizeof call->unsent, "the request cannot be made");
}

struct aws_call *aws_start(struct aws_client *c, const struct aws_service *service,
                           const char *operation, const char *body, size_t body_len,
                           int64_t timeout_ms, aws_done_fn *fn, void *arg) {
    struct aws_call *call = mem_zero(sizeof *call);
    call->client = c;
    call->fn = fn;
    call->arg = arg;
    DL_APPEND(c->calls, call);
    char target[128];
    snprintf(target, sizeof target, "%s%s", service->target, operation);
    struct aws_endpoint endpoint = {0};
    struct aws_request request = {.service = service,
                                  .endpoint = &endpoint,
                                  .target = target,
                                  .body = body,
                                  .body_len = body_len,
                                  .timeout_ms = timeout_ms};
    char fault[512];
    const char *why;
    const struct credentials *credentials =
        credentials_get(c->credentials, loop_wall() / 1000, &why);
    call->no_credentials = credentials == NULL;
    if (credentials == NULL)
        snprintf(call->unsent, sizeof call->unsent, "%s", why);
    else if (find_endpoint(c, service, &endpoint, &request.region, fault, sizeof fault))
        aws_call_sign_and_send(call, &request, credentials);
    else
        snprintf(call->unsent, sizeof call->unsent, "the endpoint of %s: %s", service->name, fault);
    aws_endpoint_free(&endpoint);
    if (call->http == NULL)
        loop_timer_set(c->loop, &call->timer, 0, aws_call_report_unsent, call);
    return call;
}

void aws_cancel(struct aws_call *call) {
    if (call->done)
        return; /* called from within its own fn: aws_call_finish() frees it */
    if (call->http != NULL)
        http_cancel(call->http);
    else
        loop_timer_cancel(call->client->loop, &call->timer);
    DL_DELETE(call->client->calls, call);
    free(call);
}

/* --- the client ------------------------------------------------------------------------------- */

struct aws_client *aws_client_open(struct loop *loop, struct credentials_provider *credentials,
                                   const struct aws_options *options, int connections_max) {
    struct http_client_settings settings = {connections_max, options->ca_bundle};
    struct http_client *http = http_client_open(loop, &settings);
    if (http == NULL)
        return NULL;
    struct aws_client *c = mem_zero(sizeof *c);
    c->loop = loop;
    c->credentials = credentials;
    c->options = options;
    c->http = http;
    return c;
}

void aws_client_close(struct aws_client *c) {
    if (c == NULL)
        return;
    while (c->calls != NULL)
        aws_cancel(c->calls);
    http_client_close(c->http);
    free(c);
}
