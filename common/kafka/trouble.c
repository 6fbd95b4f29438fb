#include "common/kafka/trouble.h"

#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "common/kafka/properties.h"

enum kafka_trouble_kind kafka_trouble_of(rd_kafka_resp_err_t code, const char *reason) {
    switch (code) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
        return KAFKA_TROUBLE_SIGN_IN;
    case RD_KAFKA_RESP_ERR__SSL:
        return KAFKA_TROUBLE_TLS;
    case RD_KAFKA_RESP_ERR__TRANSPORT: /* with TLS 1.3 a refusal comes after the handshake */
        return strstr(reason, "SSL alert") != NULL ? KAFKA_TROUBLE_TLS : KAFKA_TROUBLE_NONE;
    default:
        return KAFKA_TROUBLE_NONE;
    }
}

/* --- what to check ---------------------------------------------------------------------------- */

static const char of_password[] =
    "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and that the brokers know this user";

static const struct {
    const char *mechanism;
    const char *principal; /* the property that names the principal */
    const char *check;
} mechanisms[] = {
    {"PLAIN", "sasl.username", of_password},
    {"SCRAM-SHA-256", "sasl.username",
     "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and that the user was created for this very "
     "mechanism"},
    {"SCRAM-SHA-512", "sasl.username",
     "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and that the user was created for this very "
     "mechanism"},
    {"GSSAPI", "sasl.kerberos.principal",
     "the keytab, KAFKA_SASL_KERBEROS_SERVICE_NAME, and the clocks"},
    {"OAUTHBEARER", "sasl.oauthbearer.client.id",
     "KAFKA_SASL_OAUTHBEARER_…: client, secret, scope and token endpoint, what the brokers expect "
     "as issuer and audience, and the clocks"},
};

static const char iam_check[] =
    "that the region (AWS_REGION) is the cluster's, that an IAM policy allows this principal "
    "kafka-cluster:Connect, that KAFKA_BOOTSTRAP_SERVERS names the IAM listeners (port 9098, "
    "public 9198), and the clock";

static const char iam_check_credentials[] =
    "the AWS credentials (variables, profile, role or instance profile) and the region (AWS_REGION)";

static const char *or_none(const char *text) {
    return text != NULL && *text != '\0' ? text : "none";
}

/*
 * Before 2.6.1 librdkafka's SCRAM repeats the client's nonce in its last message. Kafka 4 refuses
 * that, as RFC 5802 requires (CVE-2024-56128), and only reports "invalid credentials".
 */
static const char *scram_fault(const char *mechanism) {
    enum {
        MENDED = 0x020601ff
    };
    return strncmp(mechanism, "SCRAM-", 6) == 0 && (rd_kafka_version() | 0xff) < MENDED
               ? "; with this librdkafka, which is older than 2.6.1, no Kafka from 4.0 on takes SCRAM"
               : "";
}

static void sign_in_text(const struct kafka_options *kafka, const char *iam_principal,
                         const char *reason, int reason_len, char *text) {
    const char *mechanism = kafka_property(&kafka->properties, "sasl.mechanism");
    const char *principal = iam_principal;
    const char *check = "KAFKA_SASL_MECHANISM and the KAFKA_SASL_… that go with it";
    if (mechanism == NULL)
        mechanism = "GSSAPI"; /* librdkafka's default */
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms && iam_principal == NULL; i++)
        if (strcmp(mechanisms[i].mechanism, mechanism) == 0) {
            principal = kafka_property(&kafka->properties, mechanisms[i].principal);
            check = mechanisms[i].check;
        }
    if (principal == NULL && strcmp(mechanism, "OAUTHBEARER") == 0) /* unsecured tokens */
        principal = kafka_property(&kafka->properties, "sasl.oauthbearer.config");
    if (iam_principal != NULL) {
        mechanism = "AWS_MSK_IAM";
        check = *iam_principal != '\0' ? iam_check : iam_check_credentials;
    }
    snprintf(text, KAFKA_TROUBLE_MAX, "sign-in failed mechanism=%s principal=%s: %.*s; check %s%s",
             mechanism, or_none(principal), reason_len, reason, check, scram_fault(mechanism));
}

static const char *certificate_check(int fault) {
    switch (fault) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "that KAFKA_BOOTSTRAP_SERVERS and the brokers' advertised.listeners use a name that "
               "is in the certificate";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "the dates of the broker's certificate and of its authorities, and the clock";
    case X509_V_ERR_CERT_REVOKED:
        return "the broker's certificate: its authority has revoked it";
    case 0:
        return "that KAFKA_SECURITY_PROTOCOL fits the port, and, where the brokers want a client "
               "certificate, KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION";
    default:
        return "that KAFKA_SSL_CA_LOCATION holds the authority that signed the brokers' "
               "certificates";
    }
}

static void tls_text(const struct kafka_options *kafka, int fault, const char *reason,
                     int reason_len, char *text) {
    const char *own = kafka_property(&kafka->properties, "ssl.certificate.location");
    if (fault != 0)
        snprintf(text, KAFKA_TROUBLE_MAX,
                 "TLS failed: the broker's certificate is refused: %s: %.*s; check %s",
                 X509_verify_cert_error_string(fault), reason_len, reason,
                 certificate_check(fault));
    else
        snprintf(text, KAFKA_TROUBLE_MAX, "TLS failed client_certificate=%s: %.*s; check %s",
                 or_none(own), reason_len, reason, certificate_check(fault));
}

/* librdkafka ends with "(after 12ms in state AUTH_REQ, 3 identical error(s) suppressed)". */
static size_t without_times(const char *reason) {
    const char *at = reason, *last = NULL;
    while ((at = strstr(at, " (after ")) != NULL)
        last = at++;
    return last != NULL ? (size_t)(last - reason) : strlen(reason);
}

void kafka_trouble_text(const struct kafka_options *kafka, enum kafka_trouble_kind kind,
                        const char *reason, int certificate_fault, const char *iam_principal,
                        char text[KAFKA_TROUBLE_MAX]) {
    enum {
        REASON_MAX = 400 /* what to check must have room behind it */
    };
    size_t n = without_times(reason);
    int len = (int)(n < REASON_MAX ? n : REASON_MAX);
    if (kind == KAFKA_TROUBLE_SIGN_IN)
        sign_in_text(kafka, iam_principal, reason, len, text);
    else
        tls_text(kafka, certificate_fault, reason, len, text);
}
