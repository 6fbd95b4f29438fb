/*
 * KAFKA_SASL_MECHANISM=AWS_MSK_IAM: tokens of common/aws/msk_iam.h for librdkafka's OAUTHBEARER,
 * from the same credentials as every other call to AWS.
 *
 * librdkafka asks for a token when a handle is new and at 80 % of a token's lifetime (2.0.2), on
 * a thread of its own (the handle's background queue), so that a token does not expire while the
 * loop is busy. The credentials provider belongs to the loop: the loop copies its credentials once
 * a second, and tokens are signed from the copy under a mutex. When the credentials change, or come
 * for the first time, all handles get a new token at once.
 */
#ifndef COMMON_KAFKA_IAM_H
#define COMMON_KAFKA_IAM_H

#include <librdkafka/rdkafka.h>

#include "common/aws/credentials/provider.h"
#include "common/aws/options.h"
#include "common/base/loop.h"

struct kafka_iam;

/*
 * `provider` and `options` are borrowed and must outlive it. Open before the first handle. The
 * region is that of all calls to AWS (common/aws/region.h).
 */
struct kafka_iam *kafka_iam_open(struct loop *loop, struct credentials_provider *provider,
                                 const struct aws_options *options);
/* After the last handle. NULL is fine. */
void kafka_iam_close(struct kafka_iam *iam);

/* From the loop: handles that want tokens. kafka_open() and kafka_close() call these. */
void kafka_iam_add(struct kafka_iam *iam, rd_kafka_t *rk);
void kafka_iam_remove(struct kafka_iam *iam, rd_kafka_t *rk);

/* From any thread: sets a token on the handle, or a failure with the reason. */
void kafka_iam_set_token(struct kafka_iam *iam, rd_kafka_t *rk);

/*
 * From the loop: a broker refused a token. Another one is signed, once a second at most, and the
 * credentials are fetched anew, once a minute at most.
 */
void kafka_iam_refused(struct kafka_iam *iam);

/*
 * The access key id that signs and, in brackets, its source; "" where there is none; no secret.
 * From the loop; valid until the loop's next iteration.
 */
const char *kafka_iam_principal(const struct kafka_iam *iam);

#endif
