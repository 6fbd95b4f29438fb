#include "receiver/config.h"

#include <string.h>

#include "common/aws/options_check.h"
#include "common/base/http/tls.h"
#include "receiver/auth/api_keys.h"

#define AT(field) offsetof(struct receiver_config, field)

static const struct option rows[] = {
    {"LISTEN", OPTION_ADDRESS, AT(listen), "127.0.0.1:8080",
     "Where queries are posted and looked up; port 0 picks one and logs it.", 0, 0, NULL},
    {"API_KEYS_FILE", OPTION_STRING, AT(api_keys_file), NULL,
     "One key a line, name:sha256-hex[:requests-per-second[:burst]], sent as x-api-key; read again "
     "on SIGHUP. Not set: open to all, and then only on loopback.",
     0, 0, NULL},
    {"ALLOW_ANONYMOUS", OPTION_BOOL, AT(allow_anonymous), "false",
     "Whether it may listen beyond loopback without API_KEYS_FILE.", 0, 0, NULL},
    {"TLS_CERT_FILE", OPTION_STRING, AT(tls_cert_file), NULL,
     "The server's certificate and its chain, PEM; with it HTTPS is served instead of HTTP.", 0, 0,
     NULL},
    {"TLS_KEY_FILE", OPTION_STRING, AT(tls_key_file), NULL, "The certificate's key, PEM.", 0, 0,
     NULL},
    {"TLS_CLIENT_CA_FILE", OPTION_STRING, AT(tls_client_ca_file), NULL,
     "Clients must show a certificate of these authorities, PEM.", 0, 0, NULL},
    {"MAX_BODY_BYTES", OPTION_INTEGER, AT(max_body_bytes), "1048576",
     "The longest body that is taken.", 1, 67108864, NULL},
    {"ACK_TIMEOUT_MS", OPTION_INTEGER, AT(ack_timeout_ms), "5000",
     "How long the brokers have to take a query before its client gets 503.", 1, 600000, NULL},
    {"REQUEST_TIMEOUT_MS", OPTION_INTEGER, AT(request_timeout_ms), "10000",
     "How long a client has to send a request whole before it gets 408.", 10, 3600000, NULL},
    {"IDLE_TIMEOUT_MS", OPTION_INTEGER, AT(idle_timeout_ms), "75000",
     "How long a connection may stay open between two requests; longer than a load balancer keeps "
     "it, usually 60 s.",
     10, 3600000, NULL},
    {"MAX_CONNECTIONS", OPTION_INTEGER, AT(max_connections), "4096",
     "Connections open at once; one more takes the place of the one that is idle for longest.", 1,
     100000, NULL},
    {"STATUS_CACHE_MAX", OPTION_INTEGER, AT(status_cache_max), "100000",
     "Queries whose state is kept in memory for look-ups; the oldest ended ones leave first.", 1,
     100000000, NULL},
};

static const struct option_table receiver_options = {.rows = rows,
                                                     .count = sizeof rows / sizeof *rows};
static const struct option_part parts[] = {
    {&receiver_options, 0},
    {&options_names, AT(kafka.names)},
    {&options_kafka, AT(kafka)},
    {&options_admin, AT(process)},
    {&options_aws, AT(aws)},
    {&options_process, AT(process)},
    {NULL, 0},
};

static bool is_loopback(const char *host) {
    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "::1") == 0;
}

static void check_keys(const struct receiver_config *c, struct buffer *faults) {
    if (c->api_keys_file == NULL)
        return;
    struct buffer lines;
    buffer_init(&lines, 65536);
    struct api_keys *keys = api_keys_load(c->api_keys_file, &lines);
    for (const char *at = buffer_text(&lines); *at != '\0';) {
        size_t n = strcspn(at, "\n");
        buffer_printf(faults, "API_KEYS_FILE: %s: %.*s\n", c->api_keys_file, (int)n, at);
        at += n + (at[n] == '\n');
    }
    api_keys_free(keys);
    buffer_free(&lines);
}

static void receiver_check(const void *config, struct buffer *faults) {
    const struct receiver_config *c = config;
    struct http_tls tls;
    char host[256];
    uint16_t port;
    if (c->api_keys_file == NULL && !c->allow_anonymous &&
        options_address(c->listen, host, sizeof host, &port) && !is_loopback(host))
        buffer_printf(faults,
                      "LISTEN: %s is not loopback: set API_KEYS_FILE, or ALLOW_ANONYMOUS=true to "
                      "serve whoever can connect\n",
                      c->listen);
    check_keys(c, faults);
    if (c->kafka.msk_iam) {
        aws_options_check(&c->aws, false, faults);
        aws_options_check_msk(&c->aws, faults);
    }
    if (http_tls_load(c->tls_cert_file, c->tls_key_file, c->tls_client_ca_file, &tls, faults))
        http_tls_free(&tls);
}

const struct program receiver_program = {
    .name = "athena-query-receiver",
    .summary =
        "takes queries for Amazon Athena by HTTP into Kafka, and reports what became of them.",
    .parts = parts,
    .check = receiver_check,
};
