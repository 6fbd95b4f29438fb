#include "common/aws/credentials/container.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/aws/attempts.h"
#include "common/aws/credentials/document.h"
#include "common/aws/options.h"
#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/memory.h"

enum {
    TIMEOUT_MS = 2000,
    ATTEMPTS = 3,
    ANSWER_BYTES_MAX = 64 * 1024,
    TOKEN_BYTES_MAX = 64 * 1024,
    URL_BYTES_MAX = 8192
};

static const char ecs_host[] = "http://169.254.170.2";

struct container {
    struct fetch fetch;
    struct attempts attempts;
    char *url;
    char *authorization; /* NULL: none */
};

/* --- which endpoints are allowed -------------------------------------------------------------- */

static bool is_allowed_host(const char *host) {
    struct in_addr v4;
    struct in6_addr v6, eks;
    char bare[64];
    size_t n = strlen(host);
    if (host[0] == '[' && n >= 2 && n - 2 < sizeof bare) {
        snprintf(bare, sizeof bare, "%.*s", (int)(n - 2), host + 1);
        return inet_pton(AF_INET6, bare, &v6) == 1 &&
               inet_pton(AF_INET6, "fd00:ec2::23", &eks) == 1 &&
               (IN6_IS_ADDR_LOOPBACK(&v6) || memcmp(&v6, &eks, sizeof v6) == 0);
    }
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127 || strcmp(host, "169.254.170.2") == 0 ||
               strcmp(host, "169.254.170.23") == 0;
    return strcasecmp(host, "localhost") == 0;
}

/* NULL, or why it is not allowed. `*scheme` and `*host` are for curl_free(). */
static const char *container_uri_fault(CURLU *u, const char *uri, char **scheme, char **host) {
    if (u == NULL || curl_url_set(u, CURLUPART_URL, uri, CURLU_PATH_AS_IS) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, host, 0) != CURLUE_OK)
        return "is not a URL";
    if (strcmp(*scheme, "https") == 0)
        return NULL;
    if (strcmp(*scheme, "http") != 0)
        return "must be http or https";
    return is_allowed_host(*host) ? NULL
                                  : "must be https, or http to a loopback address or to that of "
                                    "ECS or EKS";
}

bool container_uri_is_allowed(const char *uri, char *detail, size_t detail_size) {
    char *scheme = NULL, *host = NULL;
    CURLU *u = curl_url();
    const char *fault = container_uri_fault(u, uri, &scheme, &host);
    if (fault != NULL)
        snprintf(detail, detail_size, "%s", fault);
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(u);
    return fault == NULL;
}

/* --- one fetch -------------------------------------------------------------------------------- */

static void container_release(struct fetch *f) {
    struct container *c = (struct container *)f;
    attempts_cancel(&c->attempts);
    free(c->url);
    mem_wipe_string(c->authorization);
}

static struct http_call *container_send(void *arg, struct attempts *a) {
    struct container *c = arg;
    const struct http_header headers[] = {{"Accept", "application/json"},
                                          {"Authorization", c->authorization}};
    const struct http_request request = {
        .method = "GET",
        .url = c->url,
        .headers = headers,
        .header_count = c->authorization != NULL ? 2 : 1,
        .connect_timeout_ms = TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .answer_max = ANSWER_BYTES_MAX,
        .is_private = true,
    };
    return http_start(c->fetch.ctx.http, &request, attempts_on_answer, a);
}

static void container_on_answer(void *arg, const struct http_answer *answer) {
    struct container *c = arg;
    struct credentials found;
    char detail[256];
    if (answer->result != HTTP_ANSWERED)
        fetch_fail(&c->fetch, "%s", answer->error);
    else if (answer->status != 200)
        fetch_fail(&c->fetch, "it answered with status %d", answer->status);
    else if (!credentials_document_read(DOCUMENT_METADATA, answer->body, answer->body_len, &found,
                                        detail, sizeof detail))
        fetch_fail(&c->fetch, "the answer cannot be used: %s", detail);
    else
        fetch_found(&c->fetch, &found, answer->date, "the container's endpoint");
}

static const struct attempts_ops container_attempts = {container_send, NULL, container_on_answer,
                                                       ATTEMPTS};

/* `*out` is NULL where none is configured. False: it is configured and cannot be used. */
static bool container_read_authorization(const struct aws_credential_options *o, char **out,
                                         char *detail, size_t detail_size) {
    static const char file_variable[] = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                      variable[] = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    char why[256];
    size_t n = 0;
    *out = NULL;
    if (o->container_token_file != NULL) {
        char *text = file_read(o->container_token_file, TOKEN_BYTES_MAX, &n, why, sizeof why);
        if (text == NULL) {
            snprintf(detail, detail_size, "%s: %s", file_variable, why);
            return false;
        }
        *out = mem_string(text);
        mem_wipe_free(text, n);
    } else {
        *out = mem_string(o->container_token);
    }
    /* In a header, the end of a line would begin another header. */
    if (*out == NULL || (**out != '\0' && strpbrk(*out, "\r\n") == NULL))
        return true;
    snprintf(detail, detail_size, "%s %s",
             o->container_token_file != NULL ? file_variable : variable,
             **out == '\0' ? "is empty" : "holds the end of a line");
    mem_wipe_string(*out);
    *out = NULL;
    return false;
}

static char *container_url(const struct aws_credential_options *o, char *detail,
                           size_t detail_size) {
    struct buffer url;
    if (o->container_relative_uri == NULL) {
        char why[160];
        if (container_uri_is_allowed(o->container_full_uri, why, sizeof why))
            return mem_string(o->container_full_uri);
        snprintf(detail, detail_size, "AWS_CONTAINER_CREDENTIALS_FULL_URI %s", why);
        return NULL;
    }
    buffer_init(&url, URL_BYTES_MAX);
    buffer_printf(&url, "%s%s", ecs_host, o->container_relative_uri);
    if (o->container_relative_uri[0] == '/' && !url.failed)
        return buffer_take(&url);
    snprintf(detail, detail_size, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with a slash");
    buffer_free(&url);
    return NULL;
}

struct fetch *container_start(const struct fetch_context *ctx, struct fetch_result *now,
                              fetch_done_fn *fn, void *arg) {
    const struct aws_credential_options *o = &ctx->options->credentials;
    char detail[400], *authorization;
    if (o->container_relative_uri == NULL && o->container_full_uri == NULL) {
        *now = (struct fetch_result){.found = CREDENTIALS_NOT_CONFIGURED};
        return NULL;
    }
    char *url = container_url(o, detail, sizeof detail);
    if (url == NULL)
        return fetch_broken(now, "%s", detail);
    if (!container_read_authorization(o, &authorization, detail, sizeof detail)) {
        free(url);
        return fetch_broken(now, "%s", detail);
    }
    struct container *c = fetch_new(sizeof *c, container_release, ctx, fn, arg);
    c->url = url;
    c->authorization = authorization;
    attempts_start(&c->attempts, ctx->loop, &container_attempts, c);
    return &c->fetch;
}
