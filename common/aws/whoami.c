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
    PATIENCE_MS = 60000 /* of a role of a role of a process, each with its repetitions */
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
    const char *region;
    char detail[512];
    struct aws_place *place = credentials_place(w->provider);
    bool found = strcmp(id, "sts") == 0 ? aws_place_sts(place, &e, &region, detail, sizeof detail)
                                        : aws_place_service(place, own, id, prefix, &e, &region,
                                                            detail, sizeof detail);
    printf("endpoint of %s: %s\n", id, found ? e.url : detail);
    if (found)
        aws_endpoint_free(&e);
}

static void print_place(struct whoami *w) {
    const char *why, *region = aws_place_region(credentials_place(w->provider), &why);
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

static void on_reply(void *arg, const struct sts_reply *reply) {
    struct whoami *w = arg;
    struct sts_element e[] = {
        {"GetCallerIdentityResponse/GetCallerIdentityResult/Account", NULL},
        {"GetCallerIdentityResponse/GetCallerIdentityResult/Arn", NULL},
    };
    w->call = NULL;
    w->over = true;
    if (!reply->ok) {
        log_error("%s", reply->explanation);
    } else if (!sts_answer_read(reply->xml, reply->xml_len, e, 2) || e[0].text == NULL ||
               e[1].text == NULL) {
        log_error("the answer of STS says nothing of who this is");
    } else {
        printf("account: %s\narn: %s\n", e[0].text, e[1].text);
        w->ok = true;
    }
    sts_answer_free(e, 2);
}

/* --- the way there ---------------------------------------------------------------------------- */

static void ask_sts(struct whoami *w, const struct credentials *c) {
    const struct fetch_context ctx = {w->loop, w->http, w->options, credentials_clock(w->provider),
                                      credentials_place(w->provider)};
    w->call = sts_start(&ctx, "Action=GetCallerIdentity&Version=2011-06-15", c, on_reply, w);
}

static void on_deadline(void *arg) {
    struct whoami *w = arg;
    w->late = true;
}

/* The region may come from the instance; STS can do without. */
static void look(struct whoami *w) {
    const char *why = "", *no_region;
    int64_t now = loop_wall() / 1000;
    const struct credentials *c = credentials_held(w->provider, now, &why);
    (void)aws_place_region(credentials_place(w->provider), &no_region); /* begins to ask */
    bool waits =
        credentials_are_coming(w->provider) || aws_place_is_asking(credentials_place(w->provider));
    if (waits && !w->late)
        return;
    if (c == NULL) {
        log_error("%s", why);
        w->over = true;
    } else if (w->call == NULL) {
        print_credentials(w, c, now);
        print_place(w);
        ask_sts(w, c);
    } else if (w->late) {
        log_error("STS does not answer");
        w->over = true;
    }
}

static bool open_all(struct whoami *w) {
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
    if (open_all(&w)) {
        loop_timer_set(w.loop, &deadline, PATIENCE_MS, on_deadline, &w);
        while (!w.over && loop_run_once(w.loop))
            if (!w.over)
                look(&w);
        loop_timer_cancel(w.loop, &deadline);
    }
    sts_cancel(w.call);
    credentials_close(w.provider);
    http_client_close(w.http);
    loop_close(w.loop);
    return w.ok;
}
