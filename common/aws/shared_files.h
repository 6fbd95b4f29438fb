/*
 * Finds and reads the shared config and credentials files of this machine: AWS_CONFIG_FILE and
 * AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/config and ~/.aws/credentials, where ~ is HOME. At most
 * 64 KiB each.
 */
#ifndef COMMON_AWS_SHARED_FILES_H
#define COMMON_AWS_SHARED_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/aws/profile.h"

struct aws_options;

/*
 * Reads both; free `out` with profiles_free(). A file that a variable names must exist, a default
 * one need not, and neither may have a fault: else false, `out` is zeroed, and `detail` names the
 * file and its fault.
 */
bool shared_files_read(const struct aws_options *o, struct profiles *out, char *detail,
                       size_t detail_size);

/* AWS_PROFILE, else "default". */
const char *shared_files_profile(const struct aws_options *o);

#endif
