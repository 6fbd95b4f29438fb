/*
 * Where a service of AWS is reached (pure).
 */
#ifndef COMMON_AWS_ENDPOINT_H
#define COMMON_AWS_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

/* Strings are owned. A zeroed one may be freed. */
struct aws_endpoint {
    char *url;  /* http://host:port/path/ */
    char *host; /* as in the Host header: the port only where it is not the scheme's own */
    char *path; /* begins and ends with a slash */
};

/*
 * Reads a URL as the SDKs accept it in AWS_ENDPOINT_URL: http or https, with a host, without user,
 * query and fragment. On false `out` is zeroed and `detail` says what is wrong with the URL,
 * without quoting it. Free `out` with aws_endpoint_free().
 */
bool aws_endpoint_read(const char *url, struct aws_endpoint *out, char *detail, size_t detail_size);

/* Bits, or-ed: AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT. */
enum aws_endpoint_variant {
    AWS_ENDPOINT_FIPS = 1,
    AWS_ENDPOINT_DUAL_STACK = 2
};

/*
 * AWS's own endpoint: https://{host_prefix}[-fips].{region}.{domain of the region's partition}/, as
 * the endpoint rules of the SDKs have it for "athena", "monitoring" and "sts". The partition
 * follows from how the region's name begins, so regions of the future have one, too; "aws" for all
 * others.
 */
void aws_endpoint_of_region(const char *host_prefix, const char *region, unsigned variant,
                            struct aws_endpoint *out);
void aws_endpoint_free(struct aws_endpoint *e);

#endif
