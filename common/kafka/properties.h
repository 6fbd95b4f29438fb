/*
 * librdkafka's properties from the KAFKA_… variables of the environment.
 *
 * KAFKA_SASL_MECHANISM=PLAIN sets sasl.mechanism, KAFKA_SASL_PASSWORD_FILE=/path reads
 * sasl.password from a file. Properties that a guarantee rests on may not be set.
 */
#ifndef COMMON_KAFKA_PROPERTIES_H
#define COMMON_KAFKA_PROPERTIES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"

/* One property of librdkafka, from a KAFKA_… variable. */
struct kafka_property {
    char *name, *value; /* owned */
};

/* Begins zeroed. */
struct kafka_properties {
    struct kafka_property *list; /* owned */
    size_t count;
    bool msk_iam; /* KAFKA_SASL_MECHANISM=AWS_MSK_IAM */
};

/*
 * Reads the environment, and appends a line to `faults` for each variable that cannot be used. No
 * line quotes a value, which may be a secret. True for AWS_MSK_IAM, which is kept as OAUTHBEARER
 * over SASL_SSL: the program then opens common/kafka/iam.h before any handle.
 */
bool kafka_properties_read(struct kafka_properties *p, struct buffer *faults);
void kafka_properties_free(struct kafka_properties *p); /* takes zeroed ones */

/*
 * What the user has set; NULL: nothing. Borrowed. sasl.mechanisms is found under its other name,
 * sasl.mechanism.
 */
const char *kafka_property(const struct kafka_properties *p, const char *name);
/* Whether the user has set it to `value`, in upper or lower case. */
bool kafka_property_is(const struct kafka_properties *p, const char *name, const char *value);
/* OAUTHBEARER whose tokens do not come from librdkafka's own OIDC client. */
bool kafka_property_wants_tokens(const struct kafka_properties *p);

#endif
