/*
 * librdkafka's properties from the KAFKA_… variables of the environment.
 *
 * KAFKA_SASL_MECHANISM=PLAIN sets sasl.mechanism, KAFKA_SASL_PASSWORD_FILE=/path reads
 * sasl.password from a file. Properties that a guarantee rests on may not be set.
 */
#ifndef COMMON_KAFKA_PROPERTIES_H
#define COMMON_KAFKA_PROPERTIES_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/kafka/options.h"

/*
 * Fills common->kafka from the environment (options_kafka calls it), and appends a line to `faults`
 * for each variable that cannot be used. No line quotes a value, which may be a secret. AWS_MSK_IAM
 * is kept as OAUTHBEARER over SASL_SSL, with common->msk_iam set: the program then opens
 * common->iam (common/kafka/iam.h) before any handle.
 */
void kafka_properties_read(struct options_common *common, struct buffer *faults);

/*
 * What the user has set; NULL: nothing. Borrowed from `common`. sasl.mechanisms is found under its
 * other name, sasl.mechanism.
 */
const char *kafka_property(const struct options_common *common, const char *name);
/* Whether the user has set it to `value`, in upper or lower case. */
bool kafka_property_is(const struct options_common *common, const char *name, const char *value);
/* OAUTHBEARER whose tokens do not come from librdkafka's own OIDC client. */
bool kafka_property_wants_tokens(const struct options_common *common);

#endif
