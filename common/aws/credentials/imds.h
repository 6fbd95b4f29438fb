/*
 * The instance metadata service of EC2, version 2 alone: a PUT for a token, then GETs with it.
 *
 * Of AWS: "Use the Instance Metadata Service to access instance metadata" of the EC2 User Guide;
 * time-outs of 1 s as in the SDKs.
 */
#ifndef COMMON_AWS_CREDENTIALS_IMDS_H
#define COMMON_AWS_CREDENTIALS_IMDS_H

#include "common/aws/credentials/fetch.h"

enum imds_wanted {
    IMDS_CREDENTIALS, /* of the instance's role; 3 requests */
    IMDS_REGION       /* into result->region; 2 requests */
};

/*
 * At AWS_EC2_METADATA_SERVICE_ENDPOINT, else 169.254.169.254, without any proxy. NOT_CONFIGURED at
 * once where AWS_EC2_METADATA_DISABLED is true, and later where nobody answers there (this is no
 * instance) or the instance has no role; BROKEN where what is there does not do its work.
 */
struct fetch *imds_start(const struct fetch_context *ctx, enum imds_wanted wanted,
                         struct fetch_result *now, fetch_done_fn *fn, void *arg);

/*
 * Whether it is worth relying on: not disabled, and at an endpoint of our own or on what the
 * machine's firmware says is an instance. Reads /sys.
 */
bool imds_is_likely(const struct aws_options *o);

#endif
