#include "common/kafka/handle.h"

#include <cjson/cJSON.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/iam.h"
#include "common/kafka/properties.h"

enum {
    TROUBLE_EVERY_MS = 60000,
    CLOSE_TIMEOUT_S = 5
};

/* --- callbacks -------------------------------------------------------------------------------- */

static enum log_level level_of(int syslog_level, const char *facility) {
    enum {
        SYSLOG_WARNING = 4,
        SYSLOG_NOTICE = 5
    };
    /* The first two come as errors, too, see kafka_on_error(); the others come again and again in
     * an outage, which common/kafka/topics.c logs once. */
    static const char *const quiet[] = {"FAIL", "SSLCERTVRFY", "REQTMOUT", "GETPID"};
    for (size_t i = 0; i < sizeof quiet / sizeof *quiet; i++)
        if (strcmp(facility, quiet[i]) == 0)
            return LOG_DEBUG;
    /* What librdkafka calls an error, it tries again: to us it is a warning. */
    return syslog_level <= SYSLOG_WARNING  ? LOG_WARN
           : syslog_level <= SYSLOG_NOTICE ? LOG_INFO
                                           : LOG_DEBUG;
}

static void kafka_on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text) {
    (void)rk;
    log_write(level_of(level, facility), "kafka: %s: %s", facility, text);
}

/* On a thread of librdkafka's, see common/kafka/iam.h. */
static void kafka_on_token_wanted(rd_kafka_t *rk, const char *config, void *opaque) {
    (void)config;
    struct kafka_owner *owner = opaque;
    kafka_iam_set_token(owner->kafka->iam, rk);
}

/*
 * On a thread of librdkafka's, for each certificate of a broker's chain. The verdict is OpenSSL's;
 * it is only kept, because librdkafka's own reason is the same for every fault.
 */
static int kafka_on_certificate(rd_kafka_t *rk, const char *broker_name, int32_t broker_id,
                                int *x509_error, int depth, const char *bytes, size_t size,
                                char *error, size_t error_size, void *opaque) {
    (void)rk, (void)broker_name, (void)broker_id, (void)depth, (void)bytes, (void)size;
    struct kafka_owner *owner = opaque;
    if (*x509_error == X509_V_OK)
        return 1;
    atomic_store(&owner->certificate_fault, *x509_error);
    snprintf(error, error_size, "%s", X509_verify_cert_error_string(*x509_error));
    return 0;
}

/* librdkafka tries a broker again every two seconds: a kind of trouble is logged once a minute. */
static void log_trouble(struct kafka_owner *owner, enum kafka_trouble_kind kind,
                        const char *reason) {
    struct kafka_iam *iam = owner->kafka->iam;
    /* OpenSSL's words. The fault stays: several handshakes may have failed before this is logged.
     */
    bool refused = strstr(reason, "certificate verify failed") != NULL;
    int fault = refused ? atomic_load(&owner->certificate_fault) : 0;
    int64_t now_ms = loop_wall();
    owner->health.trouble_is_outage = false;
    kafka_trouble_text(owner->kafka, kind, reason, fault,
                       iam != NULL ? kafka_iam_principal(iam) : NULL, owner->health.trouble);
    bool logged = now_ms - owner->logged_ms[kind] < TROUBLE_EVERY_MS;
    if (!logged)
        owner->logged_ms[kind] = now_ms;
    log_write(logged ? LOG_DEBUG : LOG_WARN, "kafka: %s", owner->health.trouble);
    if (kind == KAFKA_TROUBLE_SIGN_IN && iam != NULL)
        kafka_iam_refused(iam);
}

/* Each handle meets it again and again; common/kafka/topics.c logs once that it is so. */
static bool is_outage(int code) {
    switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return true;
    default:
        return false;
    }
}

static void log_other(struct kafka_owner *owner, int code, const char *reason) {
    struct kafka_health *health = &owner->health;
    bool unreached = code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__RESOLVE;
    if (unreached && (health->trouble[0] == '\0' || health->trouble_is_outage)) {
        snprintf(health->trouble, sizeof health->trouble, "%s", reason);
        health->trouble_is_outage = true;
    }
    log_write(is_outage(code) ? LOG_DEBUG : LOG_WARN, "kafka: %s: %s",
              rd_kafka_err2name((rd_kafka_resp_err_t)code), reason);
}

static void kafka_on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque) {
    (void)rk;
    struct kafka_owner *owner = opaque;
    enum kafka_trouble_kind kind = kafka_trouble_of((rd_kafka_resp_err_t)code, reason);
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        owner->health.up = false;
    if (kind != KAFKA_TROUBLE_NONE)
        log_trouble(owner, kind, reason);
    else
        log_other(owner, code, reason);
    if (code == RD_KAFKA_RESP_ERR__FATAL && owner->fatal != NULL)
        owner->fatal(owner);
}

static bool any_broker_up(const cJSON *stats) {
    const cJSON *broker;
    cJSON_ArrayForEach(broker, cJSON_GetObjectItemCaseSensitive(stats, "brokers")) {
        const char *state = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(broker, "state"));
        if (state != NULL && strcmp(state, "UP") == 0)
            return true;
    }
    return false;
}

static int64_t total_lag(const cJSON *stats) {
    int64_t total = -1;
    const cJSON *topic, *partition;
    cJSON_ArrayForEach(topic, cJSON_GetObjectItemCaseSensitive(stats, "topics")) {
        cJSON_ArrayForEach(partition, cJSON_GetObjectItemCaseSensitive(topic, "partitions")) {
            const cJSON *lag = cJSON_GetObjectItemCaseSensitive(partition, "consumer_lag");
            if (cJSON_IsNumber(lag) && lag->valuedouble >= 0)
                total = (total < 0 ? 0 : total) + (int64_t)lag->valuedouble;
        }
    }
    return total;
}

static int kafka_on_stats(rd_kafka_t *rk, char *json, size_t n, void *opaque) {
    (void)rk;
    struct kafka_owner *owner = opaque;
    cJSON *stats = cJSON_ParseWithLength(json, n);
    if (stats != NULL) {
        owner->health.up = any_broker_up(stats);
        if (owner->health.up)
            owner->health.trouble[0] = '\0';
        owner->health.lag = total_lag(stats);
    }
    cJSON_Delete(stats);
    return 0; /* librdkafka frees `json` */
}

/* --- handles ---------------------------------------------------------------------------------- */

void kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[512];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK) {
        log_error("kafka: %s", error);
        abort();
    }
}

bool kafka_set_where_known(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[512];
    return rd_kafka_conf_set(conf, name, value, error, sizeof error) == RD_KAFKA_CONF_OK;
}

void kafka_set_default(rd_kafka_conf_t *conf, const struct kafka_options *kafka, const char *name,
                       const char *value) {
    if (kafka_property(&kafka->properties, name) == NULL)
        kafka_set(conf, name, value);
}

static void set_sign_in(rd_kafka_conf_t *conf, const struct kafka_options *kafka) {
    if (kafka->iam != NULL)
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, kafka_on_token_wanted);
    if (kafka_property_wants_tokens(&kafka->properties))
        rd_kafka_conf_enable_sasl_queue(conf, 1);
    /* A librdkafka without TLS takes no such callback, and needs none. */
    if (!kafka_property_is(&kafka->properties, "enable.ssl.certificate.verification", "false"))
        rd_kafka_conf_set_ssl_cert_verify_cb(conf, kafka_on_certificate);
}

rd_kafka_conf_t *kafka_conf(const struct kafka_options *kafka) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    kafka_set(conf, "bootstrap.servers", kafka->bootstrap_servers);
    for (size_t i = 0; i < kafka->properties.count; i++)
        kafka_set(conf, kafka->properties.list[i].name, kafka->properties.list[i].value);
    kafka_set_default(conf, kafka, "client.id", "athena-query");
    /* A request of 1 MiB and its headers; topics_open() gives topics the same room. */
    kafka_set_default(conf, kafka, "message.max.bytes", "2162688");
    kafka_set_default(conf, kafka, "reconnect.backoff.max.ms", "2000");
    kafka_set_default(conf, kafka, "topic.metadata.refresh.interval.ms", "60000");
    kafka_set(conf, "statistics.interval.ms", "1000");
    rd_kafka_conf_set_log_cb(conf, kafka_on_log);
    rd_kafka_conf_set_error_cb(conf, kafka_on_error);
    rd_kafka_conf_set_stats_cb(conf, kafka_on_stats);
    set_sign_in(conf, kafka);
    return conf;
}

/* Tokens are refreshed on a thread of librdkafka's: a busy loop must not let one run out. */
static void refresh_in_background(rd_kafka_t *rk) {
    rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(rk);
    if (error == NULL)
        return;
    log_warn("kafka: tokens are refreshed by the loop only: %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
}

rd_kafka_t *kafka_open(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                       const struct kafka_options *kafka, struct kafka_owner *owner, char *error,
                       size_t error_size) {
    owner->health = (struct kafka_health){.lag = -1};
    owner->kafka = kafka;
    rd_kafka_conf_set_opaque(conf, owner);
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, error_size);
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    if (kafka_property_wants_tokens(&kafka->properties))
        refresh_in_background(rk);
    if (kafka->iam != NULL)
        kafka_iam_add(kafka->iam, rk);
    return rk;
}

struct handle_closing {
    rd_kafka_t *rk;
    int flags;
};

static void *handle_destroy(void *arg) {
    struct handle_closing *closing = arg;
    rd_kafka_destroy_flags(closing->rk, closing->flags);
    free(closing);
    return NULL;
}

/*
 * rd_kafka_destroy_flags() has no time-out, and does not return where a topic that was consumed is
 * deleted (librdkafka 2.0.2: its thread waits for that of a broker, which a partition of the topic
 * still holds). So it runs on a thread of its own, and what does not end is left to the process's
 * end.
 */
bool kafka_close(struct kafka_owner *owner, rd_kafka_t *rk, int flags) {
    if (owner->kafka->iam != NULL)
        kafka_iam_remove(owner->kafka->iam, rk);
    struct handle_closing *closing = mem_zero(sizeof *closing);
    *closing = (struct handle_closing){rk, flags};
    pthread_t thread;
    if (pthread_create(&thread, NULL, handle_destroy, closing) != 0) {
        handle_destroy(closing);
        return true;
    }
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += CLOSE_TIMEOUT_S;
    if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &deadline) == 0)
        return true;
    pthread_detach(thread);
    log_warn("kafka: a client did not close within %d s: it is left to the end of the process",
             (int)CLOSE_TIMEOUT_S);
    return false;
}

void kafka_describe_down(const struct kafka_owner *owner, struct buffer *why) {
    const char *trouble = owner->health.trouble;
    buffer_printf(why, "no broker reached at %s%s%s\n", owner->kafka->bootstrap_servers,
                  *trouble != '\0' ? ": " : "", trouble);
}
