/*
 * Credentials of a container, from the endpoint of ECS (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI) or
 * of EKS Pod Identity and others (AWS_CONTAINER_CREDENTIALS_FULL_URI).
 *
 * After "Container credential provider" of the SDKs' reference guide: a full URI must be https, or
 * name a loopback address or one of the link-local ones of ECS and EKS. Authorization comes from
 * the file named by AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, read at each fetch, else from
 * AWS_CONTAINER_AUTHORIZATION_TOKEN. No proxy is used.
 */
#ifndef COMMON_AWS_CREDENTIALS_CONTAINER_H
#define COMMON_AWS_CREDENTIALS_CONTAINER_H

#include "common/aws/credentials/fetch.h"

/* See common/aws/credentials/fetch.h. NOT_CONFIGURED where neither variable is set. One request. */
struct fetch *container_start(const struct fetch_context *ctx, struct fetch_result *now,
                              fetch_done_fn *fn, void *arg);

/* Whether credentials may be fetched from `uri` (pure). On false `detail` says why not. */
bool container_uri_is_allowed(const char *uri, char *detail, size_t detail_size);

#endif
