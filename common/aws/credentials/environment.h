/*
 * Credentials of the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.
 *
 * NOT_CONFIGURED where neither of the first two is set; BROKEN where only one of them is, or where
 * a value holds a character that no key has. They never expire.
 */
#ifndef COMMON_AWS_CREDENTIALS_ENVIRONMENT_H
#define COMMON_AWS_CREDENTIALS_ENVIRONMENT_H

#include "common/aws/credentials/provider.h"

struct credentials_source credentials_environment(void);

/* A provider with this source alone; see credentials_open(). */
struct credentials_provider *credentials_open_environment(void);

#endif
