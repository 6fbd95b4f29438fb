#include "common/aws/region.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/aws/credentials/imds.h"
#include "common/aws/shared_files.h"
#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/memory.h"

enum {
    READ_AGAIN_MS = 1000,
    IMDS_AGAIN_LEAST_MS = 1000,
    IMDS_AGAIN_MOST_MS = 30000
};

enum profile_service {
    SERVICE_ATHENA,
    SERVICE_CLOUDWATCH,
    SERVICE_STS,
    SERVICES
};

static const char *const service_ids[SERVICES] = {"athena", "cloudwatch", "sts"};

struct aws_place {
    const struct aws_options *options;
    struct loop *loop;
    struct http_client *http;
    struct aws_clock clock; /* for the fetch, which needs none */
    bool read;              /* the files, without a fault */
    int64_t read_at_ms;
    char *profile_region, *profile_endpoint, *service_endpoints[SERVICES]; /* owned */
    char imds_region[64];
    struct fetch *fetch;
    int64_t imds_not_before_ms, imds_delay_ms;
    char file_fault[512], imds_fault[512], why[1200];
};

static int64_t monotonic_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- the profile ------------------------------------------------------------------------------ */

static void forget_profile(struct aws_place *p) {
    free(p->profile_region);
    free(p->profile_endpoint);
    p->profile_region = p->profile_endpoint = NULL;
    for (int i = 0; i < SERVICES; i++) {
        free(p->service_endpoints[i]);
        p->service_endpoints[i] = NULL;
    }
}

void aws_place_learn(struct aws_place *p, const struct profiles *files) {
    const char *profile = shared_files_profile(p->options);
    forget_profile(p);
    const char *region = profiles_value(files, profile, "region");
    if (region != NULL && aws_options_is_region(region))
        p->profile_region = mem_string(region);
    p->profile_endpoint = mem_string(profiles_value(files, profile, "endpoint_url"));
    for (int i = 0; i < SERVICES; i++)
        p->service_endpoints[i] = profiles_service_endpoint(files, profile, service_ids[i]);
    p->read = true;
    p->file_fault[0] = '\0';
    if (region != NULL && p->profile_region == NULL)
        snprintf(p->file_fault, sizeof p->file_fault, "the region of profile %s is none", profile);
}

static void read_files(struct aws_place *p) {
    int64_t now_ms = monotonic_ms();
    if (p->read_at_ms != 0 && now_ms - p->read_at_ms < READ_AGAIN_MS)
        return;
    struct profiles files;
    p->read_at_ms = now_ms;
    if (shared_files_read(p->options, &files, p->file_fault, sizeof p->file_fault))
        aws_place_learn(p, &files);
    else
        p->read = false;
    profiles_free(&files);
}

/* --- the instance ----------------------------------------------------------------------------- */

static void on_region(void *arg, struct fetch_result *result) {
    struct aws_place *p = arg;
    p->fetch = NULL;
    if (result->found == CREDENTIALS_FOUND && aws_options_is_region(result->region)) {
        memcpy(p->imds_region, result->region, sizeof p->imds_region);
        log_info("the region is that of the instance region=%s", p->imds_region);
        return;
    }
    snprintf(p->imds_fault, sizeof p->imds_fault, "%s",
             result->found == CREDENTIALS_FOUND ? "it gave no region" : result->detail);
    p->imds_delay_ms = backoff_next_ms(p->imds_delay_ms, IMDS_AGAIN_LEAST_MS, IMDS_AGAIN_MOST_MS);
    p->imds_not_before_ms = monotonic_ms() + p->imds_delay_ms;
}

static void ask_imds(struct aws_place *p) {
    if (p->http == NULL || p->fetch != NULL || monotonic_ms() < p->imds_not_before_ms)
        return;
    const struct fetch_context ctx = {p->loop, p->http, p->options, &p->clock, p};
    struct fetch_result now;
    p->fetch = imds_start(&ctx, IMDS_REGION, &now, on_region, p);
    if (p->fetch == NULL)
        on_region(p, &now);
}

/* --- all together ----------------------------------------------------------------------------- */

static bool has_own_endpoint(const struct aws_place *p) {
    const struct aws_options *o = p->options;
    bool own = o->endpoint != NULL || o->endpoint_athena != NULL ||
               o->endpoint_cloudwatch != NULL || o->endpoint_sts != NULL ||
               p->profile_endpoint != NULL;
    for (int i = 0; i < SERVICES; i++)
        own = own || p->service_endpoints[i] != NULL;
    return own;
}

const char *aws_place_region(struct aws_place *p, const char **why) {
    const struct aws_options *o = p->options;
    if (o->region != NULL)
        return o->region;
    if (o->default_region != NULL)
        return o->default_region;
    if (p->profile_region == NULL)
        read_files(p);
    if (p->profile_region != NULL)
        return p->profile_region;
    if (p->imds_region[0] != '\0')
        return p->imds_region;
    if (has_own_endpoint(p))
        return "us-east-1";
    ask_imds(p);
    snprintf(
        p->why, sizeof p->why,
        "no region: neither AWS_REGION nor AWS_DEFAULT_REGION is set; profile %s has none%s%s; "
        "the instance metadata: %s",
        shared_files_profile(o), p->file_fault[0] != '\0' ? ": " : "", p->file_fault,
        p->imds_fault[0] != '\0' ? p->imds_fault : "is being asked");
    *why = p->why;
    return NULL;
}

bool aws_place_is_asking(const struct aws_place *p) {
    return p->fetch != NULL;
}

static const char *url_of(const struct aws_place *p, const char *own_url, const char *id) {
    if (own_url != NULL)
        return own_url;
    if (p->options->endpoint != NULL)
        return p->options->endpoint;
    for (int i = 0; i < SERVICES; i++)
        if (strcmp(service_ids[i], id) == 0 && p->service_endpoints[i] != NULL)
            return p->service_endpoints[i];
    return p->profile_endpoint;
}

bool aws_place_service(struct aws_place *p, const char *own_url, const char *id,
                       const char *host_prefix, struct aws_endpoint *endpoint, const char **region,
                       char *detail, size_t detail_size) {
    const char *why;
    char fault[128];
    if (!p->read)
        read_files(p);
    *region = aws_place_region(p, &why);
    const char *url = url_of(p, own_url, id);
    if (*region == NULL) {
        snprintf(detail, detail_size, "%s", why);
        return false;
    }
    if (url == NULL) {
        aws_endpoint_of_region(host_prefix, *region, aws_options_variant(p->options), endpoint);
        return true;
    }
    if (aws_endpoint_read(url, endpoint, fault, sizeof fault))
        return true;
    snprintf(detail, detail_size, "the endpoint of %s: %s", id, fault);
    return false;
}

bool aws_place_sts(struct aws_place *p, struct aws_endpoint *endpoint, const char **region,
                   char *detail, size_t detail_size) {
    const char *why;
    const char *own = p->options->endpoint_sts;
    if (aws_place_region(p, &why) != NULL || url_of(p, own, "sts") != NULL)
        return aws_place_service(p, own, "sts", "sts", endpoint, region, detail, detail_size);
    *region = "us-east-1";
    if (aws_options_variant(p->options) != 0) { /* of which there are none without a region */
        aws_endpoint_of_region("sts", *region, aws_options_variant(p->options), endpoint);
        return true;
    }
    return aws_endpoint_read("https://sts.amazonaws.com", endpoint, detail, detail_size);
}

struct aws_place *aws_place_open(struct loop *loop, struct http_client *http,
                                 const struct aws_options *options) {
    struct aws_place *p = mem_zero(sizeof *p);
    p->options = options;
    p->loop = loop;
    p->http = http;
    read_files(p);
    return p;
}

void aws_place_close(struct aws_place *p) {
    if (p == NULL)
        return;
    fetch_cancel(p->fetch);
    forget_profile(p);
    free(p);
}
