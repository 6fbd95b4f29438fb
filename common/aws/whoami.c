#include "common/aws/whoami.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/aws/client.h"
#include "common/aws/credentials/chain.h"
#include "common/aws/credentials/sts.h"
#include "common/aws/credentials/sts_answer.h"
#include "common/aws/region.h"
#include "common/base/log.h"
#include "common/base/loop.h"

enum {
    PATIENCE_MS = 60000 /* enough for a role of a role of a process, each with its retries */
};

struct whoami {
    const struct aws_options *options;
    struct loop *loop;
    struct credentials_provider *provider;
    struct http_client *http;
    struct sts_call *call;
    bool over, ok, late;
};

/* --- what is printed -------------------------------------------------------------------------- */

static void print_endpoint(struct whoami *w, const char *own, const char *id, const char *prefix) {
    struct aws_endpoint e;
    const char *name;
    char detail[512];
    struct aws_region *region = credentials_region(w->provider);
    bool found = strcmp(id, "sts") == 0
                     ? aws_region_sts_endpoint(region, &e, &name, detail, sizeof detail)
                     : aws_region_service_endpoint(region, own, id, prefix, &e, &name, detail,
                                                   sizeof detail);
    printf("endpoint of %s: %s\n", id, found ? e.url : detail);
    if (found)
        aws_endpoint_free(&e);
}

static void print_region(struct whoami *w) {
    const char *why, *region = aws_region_name(credentials_region(w->provider), &why);
    printf("region: %s\n", region != NULL ? region : why);
    print_endpoint(w, w->options->endpoint_athena, aws_athena.id, aws_athena.host_prefix);
    print_endpoint(w, w->options->endpoint_cloudwatch, aws_cloudwatch.id,
                   aws_cloudwatch.host_prefix);
    print_endpoint(w, NULL, "sts", "sts");
}

static void print_credentials(struct whoami *w, const struct credentials *c, int64_t now) {
    printf("credentials: %s", credentials_from(w->provider));
    if (c->expires != 0)
        printf(", for another %lld s", (long long)(c->expires - now));
    printf("\n");
}

static void whoami_on_result(void *arg, const struct sts_result *result) {
    struct whoami *w = arg;
    struct sts_element e[] = {
        {"GetCallerIdentityResponse/GetCallerIdentityResult/Account", NULL},
        {"GetCallerIdentityResponse/GetCallerIdentityResult/Arn", NULL},
    };
    w->call = NULL;
    w->over = true;
    if (!result->ok) {
        log_error("%s", result->explanation);
    } else if (!sts_answer_read(result->xml, result->xml_len, e, 2) || e[0].text == NULL ||
               e[1].text == NULL) {
        log_error("the answer of STS says nothing of who this is");
    } else {
        printf("account: %s\narn: %s\n", e[0].text, e[1].text);
        w->ok = true;
    }
    sts_answer_free(e, 2);
}

/* --- finding out ------------------------------------------------------------------------------ */

static void whoami_ask_sts(struct whoami *w, const struct credentials *c) {
    const struct fetch_context ctx = {w->loop, w->http, w->options, credentials_clock(w->provider),
                                      credentials_region(w->provider)};
    w->call =
        sts_start(&ctx, "Action=GetCallerIdentity&Version=2011-06-15", c, whoami_on_result, w);
}

static void whoami_on_deadline(void *arg) {
    struct whoami *w = arg;
    w->late = true;
}

/* Waits for what is pending, then asks STS, which needs no region. Called in each iteration. */
static void whoami_advance(struct whoami *w) {
    const char *why = "", *no_region;
    int64_t now = loop_wall() / 1000;
    const struct credentials *c = credentials_held(w->provider, now, &why);
    (void)aws_region_name(credentials_region(w->provider),
                          &no_region); /* begins to ask the instance */
    bool waits = credentials_are_coming(w->provider) ||
                 aws_region_is_pending(credentials_region(w->provider));
    if (waits && !w->late)
        return;
    if (c == NULL) {
        log_error("%s", why);
        w->over = true;
    } else if (w->call == NULL) {
        print_credentials(w, c, now);
        print_region(w);
        whoami_ask_sts(w, c);
    } else if (w->late) {
        log_error("STS does not answer");
        w->over = true;
    }
}

static bool whoami_open(struct whoami *w) {
    const struct http_client_settings settings = {1, w->options->ca_bundle};
    w->loop = loop_open();
    if (w->loop == NULL) {
        log_error("no event loop: %s", strerror(errno));
        return false;
    }
    w->http = http_client_open(w->loop, &settings);
    w->provider = w->http != NULL ? credentials_open_chain(w->loop, w->options) : NULL;
    if (w->provider == NULL)
        log_error("libcurl cannot be set up");
    return w->provider != NULL;
}

bool whoami_print(const struct aws_options *options) {
    struct whoami w = {.options = options};
    struct loop_timer deadline = {0};
    if (whoami_open(&w)) {
        loop_timer_set(w.loop, &deadline, PATIENCE_MS, whoami_on_deadline, &w);
        while (!w.over && loop_run_once(w.loop))
            if (!w.over)
                whoami_advance(&w);
        loop_timer_cancel(w.loop, &deadline);
    }
    sts_cancel(w.call);
    credentials_close(w.provider);
    http_client_close(w.http);
    loop_close(w.loop);
    return w.ok;
}
