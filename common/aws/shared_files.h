/*
 * The shared config and credentials files on this machine: AWS_CONFIG_FILE and
 * AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/config and ~/.aws/credentials, ~ being HOME.
 */
#ifndef COMMON_AWS_SHARED_FILES_H
#define COMMON_AWS_SHARED_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/aws/profile.h"

struct aws_options;

/*
 * Reads both. A default file that does not exist is empty; one that a variable names must be there,
 * and none may be broken: else false, `out` is zeroed, and `detail` names file and fault.
 */
bool shared_files_read(const struct aws_options *o, struct profiles *out, char *detail,
                       size_t detail_size);

/* AWS_PROFILE, else "default". */
const char *shared_files_profile(const struct aws_options *o);

#endif
