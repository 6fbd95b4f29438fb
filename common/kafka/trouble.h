/*
 * The text for a failed sign-in to a broker: librdkafka's reason, the principal, and what to check
 * (pure).
 */
#ifndef COMMON_KAFKA_TROUBLE_H
#define COMMON_KAFKA_TROUBLE_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>

#include "common/kafka/options.h"

enum kafka_trouble_kind {
    KAFKA_TROUBLE_NONE,    /* another error: brokers that are away, records too large … */
    KAFKA_TROUBLE_TLS,     /* no TLS session: certificates, host names, plain text on the port */
    KAFKA_TROUBLE_SIGN_IN, /* SASL: refused, or nothing to sign in with */
    KAFKA_TROUBLE_KINDS
};

enum {
    KAFKA_TROUBLE_MAX = 1024 /* of the text, with its NUL */
};

/* Classifies an error that librdkafka reports. */
enum kafka_trouble_kind kafka_trouble_of(rd_kafka_resp_err_t code, const char *reason);

/*
 * One line without a newline: the failure, `mechanism=` and `principal=` or the certificate's
 * fault, librdkafka's reason without its times (so that a repetition has the same text), and what
 * to check. No secrets. `certificate_fault`: OpenSSL's X509_V_ERR_… of the broker's certificate, 0:
 * none. `iam_principal`: of AWS_MSK_IAM, else NULL.
 */
void kafka_trouble_text(const struct kafka_options *kafka, enum kafka_trouble_kind kind,
                        const char *reason, int certificate_fault, const char *iam_principal,
                        char text[KAFKA_TROUBLE_MAX]);

#endif
