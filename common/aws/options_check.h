/*
 * Faults in the options of common/aws/options.h, as --check-config reports them.
 *
 * The checks read files: AWS_CA_BUNDLE, the shared config and credentials files, and what the
 * firmware says of the machine (imds_is_likely()). They send nothing.
 */
#ifndef COMMON_AWS_OPTIONS_CHECK_H
#define COMMON_AWS_OPTIONS_CHECK_H

#include <stdbool.h>

#include "common/aws/options.h"
#include "common/base/buffer.h"

/* Appends a line for each fault. `calls_athena`: whether the program needs Athena's endpoint. */
void aws_options_check(const struct aws_options *o, bool calls_athena, struct buffer *faults);
/* The same where Kafka is signed in to with AWS_MSK_IAM, which signs for a region. */
void aws_options_check_msk(const struct aws_options *o, struct buffer *faults);

#endif
