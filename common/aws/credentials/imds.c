#include "common/aws/credentials/imds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/attempts.h"
#include "common/aws/credentials/document.h"
#include "common/aws/endpoint.h"
#include "common/aws/options.h"
#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/memory.h"

enum {
    TIMEOUT_MS = 1000,
    ATTEMPTS = 2,
    ANSWER_BYTES_MAX = 64 * 1024,
    FIRMWARE_BYTES_MAX = 4096,
    WORD_MAX = 512, /* of a token, a role, a region */
    URL_BYTES_MAX = 8192
};

enum step {
    STEP_TOKEN,
    STEP_ROLE,
    STEP_CREDENTIALS,
    STEP_REGION
};

static const char default_endpoint[] = "http://169.254.169.254/";
static const char *const paths[] = {
    [STEP_TOKEN] = "latest/api/token",
    [STEP_ROLE] = "latest/meta-data/iam/security-credentials/",
    [STEP_CREDENTIALS] = "latest/meta-data/iam/security-credentials/",
    [STEP_REGION] = "latest/meta-data/placement/region",
};

struct imds {
    struct fetch fetch;
    struct attempts attempts;
    enum imds_wanted wanted;
    enum step step;
    struct aws_endpoint endpoint;
    char token[WORD_MAX], role[WORD_MAX];
};

bool imds_is_likely(const struct aws_options *o) {
    static const char *const files[] = {"/sys/class/dmi/id/sys_vendor",    /* Nitro: Amazon EC2 */
                                        "/sys/class/dmi/id/bios_version"}; /* Xen: 4.11.amazon */
    if (o->credentials.imds_disabled || o->credentials.imds_endpoint != NULL)
        return !o->credentials.imds_disabled;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char detail[256];
        size_t n;
        char *text = file_read(files[i], FIRMWARE_BYTES_MAX, &n, detail, sizeof detail);
        bool amazon = text != NULL && strcasestr(text, "amazon") != NULL;
        free(text);
        if (amazon)
            return true;
    }
    return false;
}

static void imds_release(struct fetch *f) {
    struct imds *m = (struct imds *)f;
    attempts_cancel(&m->attempts);
    aws_endpoint_free(&m->endpoint);
    explicit_bzero(m->token, sizeof m->token);
}

static struct http_call *imds_send(void *arg, struct attempts *a) {
    struct imds *m = arg;
    struct buffer url;
    buffer_init(&url, URL_BYTES_MAX);
    buffer_printf(&url, "%s%s", m->endpoint.url, paths[m->step]);
    if (m->step == STEP_CREDENTIALS)
        buffer_percent_encode(&url, m->role, strlen(m->role));
    const struct http_header ttl = {"x-aws-ec2-metadata-token-ttl-seconds", "21600"},
                             token = {"x-aws-ec2-metadata-token", m->token};
    const struct http_request request = {
        .method = m->step == STEP_TOKEN ? "PUT" : "GET",
        .url = buffer_text(&url),
        .headers = m->step == STEP_TOKEN ? &ttl : &token,
        .header_count = 1,
        .connect_timeout_ms = TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .answer_max = ANSWER_BYTES_MAX,
        .is_private = true,
    };
    struct http_call *call =
        url.failed ? NULL : http_start(m->fetch.ctx.http, &request, attempts_on_answer, a);
    buffer_free(&url);
    return call;
}

/* The first line of the answer, which must be one word. */
static bool imds_read_word(const struct http_answer *answer, char *out) {
    size_t n = strcspn(answer->body, "\r\n");
    if (n == 0 || n >= WORD_MAX)
        return false;
    memcpy(out, answer->body, n);
    out[n] = '\0';
    return credentials_text_is_sound(out);
}

static void imds_finish_none(struct imds *m, const char *why) {
    struct fetch_result result = {.found = CREDENTIALS_NOT_CONFIGURED};
    snprintf(result.detail, sizeof result.detail, "%s", why);
    fetch_finish(&m->fetch, &result);
}

static void imds_fail(struct imds *m, const struct http_answer *answer) {
    bool own = m->fetch.ctx.options->credentials.imds_endpoint != NULL;
    if (answer->result == HTTP_ANSWERED && answer->status == 404 && m->step == STEP_ROLE)
        imds_finish_none(m, "the instance has no role");
    else if (answer->result == HTTP_ANSWERED && m->step == STEP_TOKEN && answer->status < 500)
        fetch_fail(&m->fetch, "IMDSv2 gave no token: status %d", answer->status);
    else if (answer->result == HTTP_ANSWERED)
        fetch_fail(&m->fetch, "/%s answered with status %d", paths[m->step], answer->status);
    else if (m->step == STEP_TOKEN && !own) /* this is no instance */
        imds_finish_none(m, answer->error);
    else
        fetch_fail(&m->fetch, "/%s: %s", paths[m->step], answer->error);
}

static void imds_on_answer(void *arg, const struct http_answer *answer);
static const struct attempts_ops imds_attempts = {imds_send, NULL, imds_on_answer, ATTEMPTS};

static void imds_next(struct imds *m, enum step step) {
    m->step = step;
    attempts_start(&m->attempts, m->fetch.ctx.loop, &imds_attempts, m);
}

static void imds_finish_credentials(struct imds *m, const struct http_answer *answer) {
    struct credentials found;
    char detail[256];
    if (!credentials_document_read(DOCUMENT_METADATA, answer->body, answer->body_len, &found,
                                   detail, sizeof detail)) {
        fetch_fail(&m->fetch, "the answer for the role %s cannot be used: %s", m->role, detail);
        return;
    }
    fetch_found(&m->fetch, &found, answer->date, "the instance metadata, role %s", m->role);
}

static void imds_finish_region(struct imds *m, const struct http_answer *answer) {
    struct fetch_result result = {.found = CREDENTIALS_FOUND};
    char region[WORD_MAX];
    if (!imds_read_word(answer, region) || strlen(region) >= sizeof result.region) {
        fetch_fail(&m->fetch, "/%s gave no region", paths[STEP_REGION]);
        return;
    }
    memcpy(result.region, region, strlen(region) + 1);
    fetch_finish(&m->fetch, &result);
}

static void imds_on_answer(void *arg, const struct http_answer *answer) {
    struct imds *m = arg;
    if (answer->result != HTTP_ANSWERED || answer->status != 200) {
        imds_fail(m, answer);
        return;
    }
    switch (m->step) {
    case STEP_TOKEN:
        if (imds_read_word(answer, m->token))
            imds_next(m, m->wanted == IMDS_REGION ? STEP_REGION : STEP_ROLE);
        else
            fetch_fail(&m->fetch, "the token of IMDSv2 is no token");
        return;
    case STEP_ROLE:
        if (imds_read_word(answer, m->role))
            imds_next(m, STEP_CREDENTIALS);
        else
            imds_finish_none(m, "the instance has no role");
        return;
    case STEP_CREDENTIALS:
        imds_finish_credentials(m, answer);
        return;
    case STEP_REGION:
        imds_finish_region(m, answer);
        return;
    }
}

struct fetch *imds_start(const struct fetch_context *ctx, enum imds_wanted wanted,
                         struct fetch_result *now, fetch_done_fn *fn, void *arg) {
    const struct aws_credential_options *o = &ctx->options->credentials;
    struct aws_endpoint endpoint;
    char detail[128];
    if (o->imds_disabled) {
        *now = (struct fetch_result){.found = CREDENTIALS_NOT_CONFIGURED,
                                     .detail = "AWS_EC2_METADATA_DISABLED is true"};
        return NULL;
    }
    const char *url = o->imds_endpoint != NULL ? o->imds_endpoint : default_endpoint;
    if (!aws_endpoint_read(url, &endpoint, detail, sizeof detail))
        return fetch_broken(now, "AWS_EC2_METADATA_SERVICE_ENDPOINT %s", detail);
    struct imds *m = fetch_new(sizeof *m, imds_release, ctx, fn, arg);
    m->wanted = wanted;
    m->endpoint = endpoint;
    imds_next(m, STEP_TOKEN);
    return &m->fetch;
}
