#include "common/aws/credentials/sts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/attempts.h"
#include "common/aws/credentials/sts_answer.h"
#include "common/aws/error.h"
#include "common/aws/region.h"
#include "common/aws/sigv4.h"
#include "common/base/buffer.h"
#include "common/base/memory.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    TIMEOUT_MS = 10000,
    ATTEMPTS = 3,
    ANSWER_BYTES_MAX = 256 * 1024,
    TEXT_MAX = 512
};

static const char content_type[] = "application/x-www-form-urlencoded; charset=utf-8";

struct sts_call {
    struct fetch_context ctx;
    struct attempts attempts;
    char *form;
    bool is_signed;
    struct credentials keys; /* owned, zeroed where unsigned */
    char fault[256];         /* why nothing could be sent */
    sts_done_fn *fn;
    void *arg;
};

void sts_cancel(struct sts_call *call) {
    if (call == NULL)
        return;
    attempts_cancel(&call->attempts);
    mem_wipe_string(call->form); /* a web identity's token is in it */
    credentials_wipe(&call->keys);
    free(call);
}

/* --- sending ---------------------------------------------------------------------------------- */

static bool sts_sign(const struct sts_call *call, const struct aws_endpoint *endpoint,
                     const char *region, struct sigv4_signed *out) {
    const struct sigv4_header headers[] = {{"host", endpoint->host},
                                           {"content-type", content_type}};
    const struct sigv4_request request = {
        .method = "POST",
        .path = endpoint->path,
        .headers = headers,
        .header_count = sizeof headers / sizeof *headers,
        .body = call->form,
        .body_len = strlen(call->form),
        .region = region,
        .service = "sts",
        .time = aws_clock_now(call->ctx.clock),
    };
    const struct sigv4_keys keys = {call->keys.access_key_id, call->keys.secret_access_key,
                                    call->keys.session_token};
    return sigv4_sign_headers(&request, &keys, out);
}

static struct http_call *sts_send_to(struct sts_call *call, struct attempts *a,
                                     const struct aws_endpoint *endpoint, const char *region) {
    struct sigv4_signed signature = {0};
    if (call->is_signed && !sts_sign(call, endpoint, region, &signature))
        return NULL;
    struct http_header headers[5] = {{"Host", endpoint->host}, {"Content-Type", content_type}};
    size_t count = 2;
    if (call->is_signed) {
        headers[count++] = (struct http_header){"X-Amz-Date", signature.date};
        headers[count++] = (struct http_header){"Authorization", signature.authorization};
    }
    if (call->keys.session_token != NULL)
        headers[count++] = (struct http_header){"X-Amz-Security-Token", call->keys.session_token};
    const struct http_request request = {
        .method = "POST",
        .url = endpoint->url,
        .headers = headers,
        .header_count = count,
        .body = call->form,
        .body_len = strlen(call->form),
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .answer_max = ANSWER_BYTES_MAX,
        .is_secret = true,
    };
    struct http_call *sent = http_start(call->ctx.http, &request, attempts_on_answer, a);
    sigv4_signed_free(&signature);
    return sent;
}

static struct http_call *sts_send(void *arg, struct attempts *a) {
    struct sts_call *call = arg;
    struct aws_endpoint endpoint;
    const char *region;
    if (!aws_region_sts_endpoint(call->ctx.region, &endpoint, &region, call->fault,
                                 sizeof call->fault))
        return NULL;
    struct http_call *sent = sts_send_to(call, a, &endpoint, region);
    aws_endpoint_free(&endpoint);
    return sent;
}

/* --- the answer ------------------------------------------------------------------------------- */

/* STS could not reach the identity provider. */
static const char no_provider[] = "IDPCommunicationError";

static bool sts_is_worth_retry(void *arg, const struct http_answer *answer) {
    struct sts_call *call = arg;
    char code[TEXT_MAX], message[TEXT_MAX];
    if (answer->status == 200)
        return false;
    sts_answer_error(answer->body, answer->body_len, code, message, TEXT_MAX);
    return aws_error_is_passing(code) || strcmp(code, no_provider) == 0 ||
           (call->is_signed && aws_clock_is_suspect(code) &&
            aws_clock_learn(call->ctx.clock, answer->date));
}

static void sts_on_answer(void *arg, const struct http_answer *answer) {
    struct sts_call *call = arg;
    char code[TEXT_MAX] = "", message[TEXT_MAX] = "", explanation[2 * TEXT_MAX + 64] = "";
    struct sts_result result = {.ok = answer->result == HTTP_ANSWERED && answer->status == 200,
                                .xml = answer->body,
                                .xml_len = answer->body_len,
                                .date = answer->date,
                                .code = code,
                                .explanation = explanation};
    if (answer->result != HTTP_ANSWERED) {
        snprintf(explanation, sizeof explanation, "STS: %s",
                 call->fault[0] != '\0' ? call->fault : answer->error);
    } else if (!result.ok) {
        sts_answer_error(answer->body, answer->body_len, code, message, TEXT_MAX);
        snprintf(explanation, sizeof explanation, "STS refused with status %d%s%s%s%s",
                 answer->status, code[0] != '\0' ? ", " : "", code, message[0] != '\0' ? ": " : "",
                 message);
    }
    call->fn(call->arg, &result);
    sts_cancel(call);
}

static const struct attempts_ops sts_attempts = {sts_send, sts_is_worth_retry, sts_on_answer,
                                                 ATTEMPTS};

struct sts_call *sts_start(const struct fetch_context *ctx, const char *form,
                           const struct credentials *sign_with, sts_done_fn *fn, void *arg) {
    struct sts_call *call = mem_zero(sizeof *call);
    call->ctx = *ctx;
    call->form = mem_string(form);
    call->fn = fn;
    call->arg = arg;
    call->is_signed = sign_with != NULL;
    if (sign_with != NULL)
        credentials_copy(sign_with, &call->keys);
    attempts_start(&call->attempts, ctx->loop, &sts_attempts, call);
    return call;
}
