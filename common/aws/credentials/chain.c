#include "common/aws/credentials/chain.h"

#include <stdlib.h>

#include "common/aws/credentials/background.h"
#include "common/aws/credentials/container.h"
#include "common/aws/credentials/environment.h"
#include "common/aws/credentials/from_profile.h"
#include "common/aws/credentials/imds.h"
#include "common/aws/credentials/web_identity.h"
#include "common/aws/region.h"
#include "common/base/log.h"
#include "common/base/memory.h"

enum {
    CONNECTIONS = 2
};

static struct fetch *imds_credentials_start(const struct fetch_context *ctx,
                                            struct fetch_result *now, fetch_done_fn *fn,
                                            void *arg) {
    return imds_start(ctx, IMDS_CREDENTIALS, now, fn, arg);
}

static const struct {
    const char *name;
    fetch_start_fn *start; /* NULL: the environment */
} rows[] = {
    {"the environment", NULL},
    {"the profile's role", profile_role_start},
    {"the web identity", web_identity_environment_start},
    {"the profile", profile_start},
    {"the container", container_start},
    {"the instance metadata", imds_credentials_start},
};

enum {
    ROWS = sizeof rows / sizeof *rows
};

struct chain {
    struct http_client *http;
    struct aws_clock clock;
    struct aws_region *region;
    struct background *backgrounds[ROWS]; /* NULL: the environment */
    struct credentials_provider *provider;
};

static void chain_on_ready(void *arg) {
    struct chain *c = arg;
    credentials_wake(c->provider);
}

static const char *chain_from(void *arg, size_t i) {
    const struct chain *c = arg;
    return c->backgrounds[i] != NULL ? background_from(c->backgrounds[i]) : "";
}

static void chain_close(void *arg) {
    struct chain *c = arg;
    for (size_t i = 0; i < ROWS; i++)
        background_close(c->backgrounds[i]);
    aws_region_close(c->region);
    http_client_close(c->http);
    free(c);
}

struct credentials_provider *credentials_open_chain(struct loop *loop,
                                                    const struct aws_options *options) {
    const struct http_client_settings settings = {CONNECTIONS, options->ca_bundle};
    struct http_client *http = http_client_open(loop, &settings);
    if (http == NULL) {
        log_error("libcurl cannot be set up: credentials are looked for in the environment alone");
        return credentials_open_environment();
    }
    struct chain *c = mem_zero(sizeof *c);
    struct credentials_source sources[ROWS];
    c->http = http;
    c->region = aws_region_open(loop, http, options);
    const struct fetch_context ctx = {loop, http, options, &c->clock, c->region};
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].start == NULL) {
            sources[i] = credentials_environment();
            continue;
        }
        c->backgrounds[i] = background_open(&ctx, rows[i].start, chain_on_ready, c);
        sources[i] = (struct credentials_source){rows[i].name, background_fetch, c->backgrounds[i]};
    }
    const struct credentials_background background = {.loop = loop,
                                                      .clock = &c->clock,
                                                      .region = c->region,
                                                      .from = chain_from,
                                                      .close = chain_close,
                                                      .arg = c};
    c->provider = credentials_open_background(sources, ROWS, &background);
    return c->provider;
}
