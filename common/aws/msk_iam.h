/*
 * The token that signs a client in to Amazon MSK with IAM, over SASL/OAUTHBEARER (pure; any
 * thread).
 *
 * The token is a URL, presigned for kafka-cluster:Connect and encoded as unpadded base64url, as
 * Amazon's own signers make it; a test compares it with aws-msk-iam-sasl-signer-python. The broker
 * has IAM check the signature, and no other service accepts it.
 */
#ifndef COMMON_AWS_MSK_IAM_H
#define COMMON_AWS_MSK_IAM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/aws/credentials/credentials.h"
#include "common/base/buffer.h"

enum {
    MSK_IAM_LIFETIME_S = 900 /* X-Amz-Expires; MSK accepts no more */
};

/*
 * Appends the token to `out`. `now`: seconds since the epoch. `user_agent` is not signed, is shown
 * in the broker's audit log, and may hold no character that needs escaping but '/'. False where the
 * request cannot be signed (common/aws/sigv4.h says when).
 */
bool msk_iam_token(const char *region, const struct credentials *credentials, int64_t now,
                   const char *user_agent, struct buffer *out);

/*
 * When the client needs another token, in seconds since the epoch: at the end of this one's
 * lifetime or of the credentials', whichever comes first.
 */
int64_t msk_iam_expires(const struct credentials *credentials, int64_t now);

#endif
