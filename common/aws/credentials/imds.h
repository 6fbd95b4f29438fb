/*
 * The instance metadata service of EC2, version 2 only: a PUT for a token, then GETs with it.
 *
 * After "Use the Instance Metadata Service to access instance metadata" of the EC2 User Guide;
 * time-outs of 1 s, as in the SDKs.
 */
#ifndef COMMON_AWS_CREDENTIALS_IMDS_H
#define COMMON_AWS_CREDENTIALS_IMDS_H

#include "common/aws/credentials/fetch.h"

enum imds_wanted {
    IMDS_CREDENTIALS, /* of the instance's role; 3 requests */
    IMDS_REGION       /* into result->region; 2 requests */
};

/*
 * See common/aws/credentials/fetch.h. Asks AWS_EC2_METADATA_SERVICE_ENDPOINT, else 169.254.169.254;
 * no proxy is used. NOT_CONFIGURED where AWS_EC2_METADATA_DISABLED is true, where nothing answers
 * at 169.254.169.254 (this is no instance) and where the instance has no role; BROKEN where the
 * service answers with an error.
 */
struct fetch *imds_start(const struct fetch_context *ctx, enum imds_wanted wanted,
                         struct fetch_result *now, fetch_done_fn *fn, void *arg);

/*
 * Whether the service is likely to be there: it is not disabled, and either
 * AWS_EC2_METADATA_SERVICE_ENDPOINT is set or the firmware says that this machine is an instance.
 * Reads /sys.
 */
bool imds_is_likely(const struct aws_options *o);

#endif
