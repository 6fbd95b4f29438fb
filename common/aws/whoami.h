/*
 * Who this machine is to AWS, for people: finds credentials as the programs do, asks
 * sts:GetCallerIdentity, and prints what it found to stdout.
 */
#ifndef COMMON_AWS_WHOAMI_H
#define COMMON_AWS_WHOAMI_H

#include <stdbool.h>

#include "common/aws/options.h"

/* Runs a loop of its own to the end. False: the reason has been written to stderr. */
bool whoami_print(const struct aws_options *options);

#endif
