#include "common/aws/endpoint.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"

enum {
    URL_MAX = 8192
};

/* From partitions.json of the SDKs. */
static const struct aws_partition {
    const char *region_prefix, *domain, *dual_stack_domain;
} partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"" /* all others, us-gov- too */, "amazonaws.com", "api.aws"},
};

struct url_parts {
    char *scheme, *host, *port, *path, *other;
};

static void url_parts_free(struct url_parts *p) {
    curl_free(p->scheme);
    curl_free(p->host);
    curl_free(p->port);
    curl_free(p->path);
    curl_free(p->other);
}

static bool has(CURLU *u, CURLUPart what, struct url_parts *p) {
    if (p->other != NULL)
        return true;
    return curl_url_get(u, what, &p->other, 0) == CURLUE_OK;
}

/* NULL, or what is wrong. */
static const char *endpoint_split(CURLU *u, const char *url, struct url_parts *p) {
    if (strstr(url, "://") == NULL)
        return "must begin with http:// or https://";
    CURLUcode code = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    if (code != CURLUE_OK || curl_url_get(u, CURLUPART_SCHEME, &p->scheme, 0) != CURLUE_OK)
        return "is not a URL";
    if (strcmp(p->scheme, "http") != 0 && strcmp(p->scheme, "https") != 0)
        return "must begin with http:// or https://";
    if (curl_url_get(u, CURLUPART_HOST, &p->host, 0) != CURLUE_OK || p->host[0] == '\0')
        return "has no host";
    if (has(u, CURLUPART_USER, p) || has(u, CURLUPART_PASSWORD, p) || has(u, CURLUPART_QUERY, p) ||
        has(u, CURLUPART_FRAGMENT, p))
        return "must be without user, query and fragment";
    /* There is no port to get where the URL has none or the default one of its scheme. */
    (void)curl_url_get(u, CURLUPART_PORT, &p->port, CURLU_NO_DEFAULT_PORT);
    if (curl_url_get(u, CURLUPART_PATH, &p->path, 0) != CURLUE_OK)
        return "is not a URL";
    return NULL;
}

static void endpoint_join(const struct url_parts *p, struct aws_endpoint *out) {
    size_t path_len = strlen(p->path);
    while (path_len > 0 && p->path[path_len - 1] == '/')
        path_len--;
    struct buffer url, host, path;
    buffer_init(&host, URL_MAX);
    buffer_init(&path, URL_MAX);
    buffer_init(&url, 3 * URL_MAX);
    buffer_puts(&host, p->host);
    if (p->port != NULL)
        buffer_printf(&host, ":%s", p->port);
    buffer_printf(&path, "%.*s/", (int)path_len, p->path);
    buffer_printf(&url, "%s://%s%s", p->scheme, buffer_text(&host), buffer_text(&path));
    *out = (struct aws_endpoint){buffer_take(&url), buffer_take(&host), buffer_take(&path)};
}

bool aws_endpoint_read(const char *url, struct aws_endpoint *out, char *detail,
                       size_t detail_size) {
    *out = (struct aws_endpoint){0};
    struct url_parts parts = {0};
    CURLU *u = curl_url();
    const char *fault = strlen(url) > URL_MAX ? "is too long"
                        : u == NULL           ? "cannot be read"
                                              : endpoint_split(u, url, &parts);
    if (fault == NULL)
        endpoint_join(&parts, out);
    else
        snprintf(detail, detail_size, "%s", fault);
    url_parts_free(&parts);
    curl_url_cleanup(u);
    return fault == NULL;
}

static bool begins_with(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* In us-gov the standard hosts of some services are FIPS 140 hosts; those have no -fips host. */
static bool has_fips_host(const char *host_prefix, const char *region, unsigned variant) {
    if (!begins_with(region, "us-gov-"))
        return true;
    return strcmp(host_prefix, "monitoring") != 0 &&
           (strcmp(host_prefix, "sts") != 0 || (variant & AWS_ENDPOINT_DUAL_STACK) != 0);
}

void aws_endpoint_of_region(const char *host_prefix, const char *region, unsigned variant,
                            struct aws_endpoint *out) {
    const struct aws_partition *p = partitions;
    while (!begins_with(region, p->region_prefix))
        p++;
    bool fips = (variant & AWS_ENDPOINT_FIPS) != 0 && has_fips_host(host_prefix, region, variant);
    bool dual_stack = (variant & AWS_ENDPOINT_DUAL_STACK) != 0;
    struct buffer host, url;
    buffer_init(&host, URL_MAX);
    buffer_init(&url, URL_MAX);
    buffer_printf(&host, "%s%s.%s.%s", host_prefix, fips ? "-fips" : "", region,
                  dual_stack ? p->dual_stack_domain : p->domain);
    buffer_printf(&url, "https://%s/", buffer_text(&host));
    *out = (struct aws_endpoint){buffer_take(&url), buffer_take(&host), mem_string("/")};
}

void aws_endpoint_free(struct aws_endpoint *e) {
    free(e->url);
    free(e->host);
    free(e->path);
    *e = (struct aws_endpoint){0};
}
