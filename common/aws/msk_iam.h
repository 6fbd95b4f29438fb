/*
 * The token with which IAM signs in to Amazon MSK over SASL/OAUTHBEARER (pure).
 *
 * It is a URL, presigned for kafka-cluster:Connect and written as unpadded base64url, as Amazon's
 * own signers make it; held against aws-msk-iam-sasl-signer-python. The broker asks IAM whether the
 * signature is right, so the token says who we are and is good for no other service.
 */
#ifndef COMMON_AWS_MSK_IAM_H
#define COMMON_AWS_MSK_IAM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/aws/credentials/provider.h"
#include "common/base/buffer.h"

enum {
    MSK_IAM_LIFETIME_S = 900 /* what X-Amz-Expires says, and the most that MSK takes */
};

/*
 * Appends the token to `out`. `user_agent` is not signed and shows in the broker's audit log; it
 * must need no escaping but that of '/'. `now`: seconds since the epoch. False where it cannot be
 * signed (common/aws/sigv4.h says when).
 */
bool msk_iam_token(const char *region, const struct credentials *credentials, int64_t now,
                   const char *user_agent, struct buffer *out);

/*
 * When the client must have another one, in seconds since the epoch: when it ends, or with the
 * credentials where these end before.
 */
int64_t msk_iam_expires(const struct credentials *credentials, int64_t now);

#endif
