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
    FILES_AGAIN_MS = 1000,
    IMDS_AGAIN_MIN_MS = 1000,
    IMDS_AGAIN_MAX_MS = 30000
};

enum profile_service {
    SERVICE_ATHENA,
    SERVICE_CLOUDWATCH,
    SERVICE_STS,
    SERVICES
};

static const char *const service_ids[SERVICES] = {"athena", "cloudwatch", "sts"};

struct aws_region {
    const struct aws_options *options;
    struct loop *loop;
    struct http_client *http;
    struct aws_clock clock; /* a fetch_context has one; the fetch of a region does not use it */
    bool files_read;        /* without a fault */
    int64_t files_read_at_ms;
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

static void region_forget_profile(struct aws_region *r) {
    free(r->profile_region);
    free(r->profile_endpoint);
    r->profile_region = r->profile_endpoint = NULL;
    for (int i = 0; i < SERVICES; i++) {
        free(r->service_endpoints[i]);
        r->service_endpoints[i] = NULL;
    }
}

void aws_region_learn(struct aws_region *r, const struct profiles *files) {
    const char *profile = shared_files_profile(r->options);
    region_forget_profile(r);
    const char *region = profiles_value(files, profile, "region");
    if (region != NULL && aws_options_is_region(region))
        r->profile_region = mem_string(region);
    r->profile_endpoint = mem_string(profiles_value(files, profile, "endpoint_url"));
    for (int i = 0; i < SERVICES; i++)
        r->service_endpoints[i] = profiles_service_endpoint(files, profile, service_ids[i]);
    r->files_read = true;
    r->file_fault[0] = '\0';
    if (region != NULL && r->profile_region == NULL)
        snprintf(r->file_fault, sizeof r->file_fault, "the region of profile %s is none", profile);
}

static void region_read_files(struct aws_region *r) {
    int64_t now_ms = monotonic_ms();
    if (r->files_read_at_ms != 0 && now_ms - r->files_read_at_ms < FILES_AGAIN_MS)
        return;
    struct profiles files;
    r->files_read_at_ms = now_ms;
    if (shared_files_read(r->options, &files, r->file_fault, sizeof r->file_fault))
        aws_region_learn(r, &files);
    else
        r->files_read = false;
    profiles_free(&files);
}

/* --- the instance ----------------------------------------------------------------------------- */

static void region_on_fetched(void *arg, struct fetch_result *result) {
    struct aws_region *r = arg;
    r->fetch = NULL;
    if (result->found == CREDENTIALS_FOUND && aws_options_is_region(result->region)) {
        memcpy(r->imds_region, result->region, sizeof r->imds_region);
        log_info("the region is that of the instance region=%s", r->imds_region);
        return;
    }
    snprintf(r->imds_fault, sizeof r->imds_fault, "%s",
             result->found == CREDENTIALS_FOUND ? "it gave no region" : result->detail);
    r->imds_delay_ms = backoff_next_ms(r->imds_delay_ms, IMDS_AGAIN_MIN_MS, IMDS_AGAIN_MAX_MS);
    r->imds_not_before_ms = monotonic_ms() + r->imds_delay_ms;
}

static void region_ask_instance(struct aws_region *r) {
    if (r->http == NULL || r->fetch != NULL || monotonic_ms() < r->imds_not_before_ms)
        return;
    const struct fetch_context ctx = {r->loop, r->http, r->options, &r->clock, r};
    struct fetch_result now;
    r->fetch = imds_start(&ctx, IMDS_REGION, &now, region_on_fetched, r);
    if (r->fetch == NULL)
        region_on_fetched(r, &now);
}

/* --- the region and the endpoints ------------------------------------------------------------- */

static bool has_own_endpoint(const struct aws_region *r) {
    const struct aws_options *o = r->options;
    bool own = o->endpoint != NULL || o->endpoint_athena != NULL ||
               o->endpoint_cloudwatch != NULL || o->endpoint_sts != NULL ||
               r->profile_endpoint != NULL;
    for (int i = 0; i < SERVICES; i++)
        own = own || r->service_endpoints[i] != NULL;
    return own;
}

const char *aws_region_name(struct aws_region *r, const char **why) {
    const struct aws_options *o = r->options;
    if (o->region != NULL)
        return o->region;
    if (o->default_region != NULL)
        return o->default_region;
    if (r->profile_region == NULL)
        region_read_files(r);
    if (r->profile_region != NULL)
        return r->profile_region;
    if (r->imds_region[0] != '\0')
        return r->imds_region;
    if (has_own_endpoint(r))
        return "us-east-1";
    region_ask_instance(r);
    snprintf(
        r->why, sizeof r->why,
        "no region: neither AWS_REGION nor AWS_DEFAULT_REGION is set; profile %s has none%s%s; "
        "the instance metadata: %s",
        shared_files_profile(o), r->file_fault[0] != '\0' ? ": " : "", r->file_fault,
        r->imds_fault[0] != '\0' ? r->imds_fault : "is being asked");
    *why = r->why;
    return NULL;
}

bool aws_region_is_pending(const struct aws_region *r) {
    return r->fetch != NULL;
}

static const char *region_endpoint_url(const struct aws_region *r, const char *own_url,
                                       const char *id) {
    if (own_url != NULL)
        return own_url;
    if (r->options->endpoint != NULL)
        return r->options->endpoint;
    for (int i = 0; i < SERVICES; i++)
        if (strcmp(service_ids[i], id) == 0 && r->service_endpoints[i] != NULL)
            return r->service_endpoints[i];
    return r->profile_endpoint;
}

bool aws_region_service_endpoint(struct aws_region *r, const char *own_url, const char *id,
                                 const char *host_prefix, struct aws_endpoint *endpoint,
                                 const char **name, char *detail, size_t detail_size) {
    const char *why;
    char fault[128];
    if (!r->files_read)
        region_read_files(r);
    *name = aws_region_name(r, &why);
    const char *url = region_endpoint_url(r, own_url, id);
    if (*name == NULL) {
        snprintf(detail, detail_size, "%s", why);
        return false;
    }
    if (url == NULL) {
        aws_endpoint_of_region(host_prefix, *name, aws_options_variant(r->options), endpoint);
        return true;
    }
    if (aws_endpoint_read(url, endpoint, fault, sizeof fault))
        return true;
    snprintf(detail, detail_size, "the endpoint of %s: %s", id, fault);
    return false;
}

bool aws_region_sts_endpoint(struct aws_region *r, struct aws_endpoint *endpoint, const char **name,
                             char *detail, size_t detail_size) {
    const char *why;
    const char *own = r->options->endpoint_sts;
    if (aws_region_name(r, &why) != NULL || region_endpoint_url(r, own, "sts") != NULL)
        return aws_region_service_endpoint(r, own, "sts", "sts", endpoint, name, detail,
                                           detail_size);
    *name = "us-east-1";
    if (aws_options_variant(r->options) != 0) { /* the global endpoint has no variants */
        aws_endpoint_of_region("sts", *name, aws_options_variant(r->options), endpoint);
        return true;
    }
    return aws_endpoint_read("https://sts.amazonaws.com", endpoint, detail, detail_size);
}

struct aws_region *aws_region_open(struct loop *loop, struct http_client *http,
                                   const struct aws_options *options) {
    struct aws_region *r = mem_zero(sizeof *r);
    r->options = options;
    r->loop = loop;
    r->http = http;
    region_read_files(r);
    return r;
}

void aws_region_close(struct aws_region *r) {
    if (r == NULL)
        return;
    fetch_cancel(r->fetch);
    region_forget_profile(r);
    free(r);
}
