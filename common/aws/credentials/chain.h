/*
 * A provider with all sources of credentials, in the order of the AWS SDKs: docs/credentials.md.
 */
#ifndef COMMON_AWS_CREDENTIALS_CHAIN_H
#define COMMON_AWS_CREDENTIALS_CHAIN_H

#include "common/aws/credentials/provider.h"
#include "common/aws/options.h"
#include "common/base/loop.h"

/*
 * `loop` and `options` are borrowed and must outlive the provider, which begins to fetch in the
 * loop's next iteration.
 */
struct credentials_provider *credentials_open_chain(struct loop *loop,
                                                    const struct aws_options *options);

#endif
