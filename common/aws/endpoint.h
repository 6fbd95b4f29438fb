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
 * An http or https URL with a host, and without user, query and fragment, as the SDKs take it in
 * AWS_ENDPOINT_URL. On false `out` is zeroed and `detail` says what is wrong with it, without
 * quoting it.
 */
bool aws_endpoint_read(const char *url, struct aws_endpoint *out, char *detail, size_t detail_size);

/* Or-ed: AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT. */
enum aws_endpoint_variant {
    AWS_ENDPOINT_FIPS = 1,
    AWS_ENDPOINT_DUAL_STACK = 2
};

/*
 * AWS's own: https://{host_prefix}[-fips].{region}.{the domain of the region's partition}/, as the
 * endpoint rules of the SDKs have it for "athena", "monitoring" and "sts". Of a region that is
 * newer than this table the partition is told by how its name begins, and "aws" where by none.
 */
void aws_endpoint_of_region(const char *host_prefix, const char *region, unsigned variant,
                            struct aws_endpoint *out);
void aws_endpoint_free(struct aws_endpoint *e);

#endif
