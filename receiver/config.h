/*
 * The receiver's options (README, "Configuration").
 */
#ifndef RECEIVER_CONFIG_H
#define RECEIVER_CONFIG_H

#include "common/aws/options.h"
#include "common/base/options.h"
#include "common/kafka/options.h"

struct receiver_config {
    struct process_options process;
    struct kafka_options kafka;
    struct aws_options aws; /* for AWS_MSK_IAM only */
    const char *listen;
    const char *api_keys_file;
    bool allow_anonymous;
    const char *tls_cert_file, *tls_key_file, *tls_client_ca_file;
    int64_t max_body_bytes;
    int64_t ack_timeout_ms, request_timeout_ms, idle_timeout_ms;
    int64_t max_connections;
    int64_t status_cache_max; /* entries */
};

extern const struct program receiver_program;

#endif
