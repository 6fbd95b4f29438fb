/*
 * The identity with which a program calls AWS, for people (--whoami): finds credentials as the
 * programs do, asks sts:GetCallerIdentity, and prints what it found to stdout.
 */
#ifndef COMMON_AWS_WHOAMI_H
#define COMMON_AWS_WHOAMI_H

#include <stdbool.h>

#include "common/aws/options.h"

/* Runs an event loop of its own until it is done. False: the reason has been logged. */
bool whoami_print(const struct aws_options *options);

#endif
