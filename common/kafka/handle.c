#include "common/kafka/handle.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/iam.h"

extern char **environ;

enum {
    SECRET_FILE_MAX = 1 << 20,
    TROUBLE_EVERY_MS = 60000
};

/* --- properties from the environment ---------------------------------------------------------- */

/* What the promises rest on, or what has a variable of its own. */
static const struct {
    const char *name, *why;
} fixed_properties[] = {
    {"acks", "it is always `all`"},
    {"request.required.acks", "it is always `all`"},
    {"enable.idempotence", "it is always on"},
    {"transactional.id", "no transactions are used"},
    {"enable.auto.commit", "offsets are committed when a query has ended"},
    {"auto.commit.enable", "offsets are committed when a query has ended"},
    {"enable.auto.offset.store", "offsets are committed when a query has ended"},
    {"enable.partition.eof", "the programs set it as they need it"},
    {"auto.offset.reset", "it is always `earliest`"},
    {"group.instance.id", "two members of one name would fence each other off"},
    {"group.id", "the groups are named by the interface; use STAGE"},
    {"partition.assignment.strategy", "it is always `range,roundrobin`"},
    {"message.timeout.ms", "ACK_TIMEOUT_MS rules it"},
    {"delivery.timeout.ms", "ACK_TIMEOUT_MS rules it"},
    {"delivery.report.only.error", "every report is needed"},
    {"statistics.interval.ms", "readiness is read from it"},
};

static const char *fixed_because(const char *name) {
    for (size_t i = 0; i < sizeof fixed_properties / sizeof *fixed_properties; i++)
        if (strcmp(fixed_properties[i].name, name) == 0)
            return fixed_properties[i].why;
    return NULL;
}

/* Kubernetes and Docker links name their variables after a service that is called "kafka". */
static bool is_platform_variable(const char *variable) {
    const char *rest = variable + strlen("KAFKA_");
    return strncmp(rest, "PORT", 4) == 0 || strncmp(rest, "SERVICE_", 8) == 0 ||
           strstr(rest, "_SERVICE_") != NULL || strstr(rest, "_PORT") != NULL ||
           strstr(rest, "_TCP") != NULL;
}

static char *read_secret_file(const char *variable, const char *path, struct buffer *faults) {
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        buffer_printf(faults, "%s: cannot open %s: %s\n", variable, path, strerror(errno));
        return NULL;
    }
    char *text = mem_alloc(SECRET_FILE_MAX + 1);
    size_t n = fread(text, 1, SECRET_FILE_MAX, f);
    bool failed = ferror(f) != 0;
    fclose(f);
    if (failed) {
        buffer_printf(faults, "%s: cannot read %s\n", variable, path);
        mem_wipe_free(text, SECRET_FILE_MAX);
        return NULL;
    }
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    char *value = mem_bytes(text, n);
    mem_wipe_free(text, SECRET_FILE_MAX);
    return value;
}

/* KAFKA_SASL_PASSWORD_FILE → sasl.password; *from_file tells of the suffix. */
static char *property_name(const char *variable, bool *from_file) {
    char *name = mem_string(variable + strlen("KAFKA_"));
    size_t len = strlen(name);
    *from_file = len > 5 && strcmp(name + len - 5, "_FILE") == 0;
    if (*from_file)
        name[len - 5] = '\0';
    for (char *c = name; *c != '\0'; c++)
        *c = *c == '_' ? '.' : (char)tolower((unsigned char)*c);
    return name;
}

static void keep_property(struct options_common *common, char *name, char *value) {
    common->kafka =
        mem_resize(common->kafka, common->kafka_count + 1, sizeof(struct kafka_property));
    common->kafka[common->kafka_count++] = (struct kafka_property){name, value};
}

const char *kafka_property(const struct options_common *common, const char *name) {
    const char *value = NULL;
    for (size_t i = 0; i < common->kafka_count; i++)
        if (strcmp(common->kafka[i].name, name) == 0)
            value = common->kafka[i].value;
    return value;
}

/* Not librdkafka's own words: they quote the value, which may be a secret. */
static void refuse_value(const char *variable, const char *name, const char *value,
                         struct buffer *faults) {
    if (strcmp(name, "sasl.oauthbearer.method") == 0 && strcasecmp(value, "oidc") == 0)
        buffer_printf(faults, "%s: this librdkafka (%s) was built without OIDC\n", variable,
                      rd_kafka_version_str());
    else
        buffer_printf(faults, "%s: librdkafka does not take this value for %s\n", variable, name);
}

/* Takes `name`; `text` is the variable's. */
static void read_value(struct options_common *common, rd_kafka_conf_t *scratch,
                       const char *variable, char *name, const char *text, bool from_file,
                       struct buffer *faults) {
    char error[512];
    char *value = from_file ? read_secret_file(variable, text, faults) : mem_string(text);
    if (value == NULL) {
        free(name);
        return;
    }
    if (strcmp(name, "sasl.mechanism") == 0 && strcmp(value, "AWS_MSK_IAM") == 0) {
        common->msk_iam = true;
        free(value);
        value = mem_string("OAUTHBEARER");
    }
    if (rd_kafka_conf_set(scratch, name, value, error, sizeof error) == RD_KAFKA_CONF_OK) {
        keep_property(common, name, value);
        return;
    }
    refuse_value(variable, name, value, faults);
    free(name);
    mem_wipe_free(value, strlen(value));
}

static void read_property(struct options_common *common, rd_kafka_conf_t *scratch,
                          const char *variable, const char *text, struct buffer *faults) {
    bool from_file;
    char *name = property_name(variable, &from_file);
    char error[512];
    const char *because = fixed_because(name);
    if (strcmp(name, "sasl.mechanisms") == 0) /* two names of one property */
        name[strlen("sasl.mechanism")] = '\0';
    /* Not conf_get(): it does not know a property without a default, sasl.username for one. */
    if (rd_kafka_conf_set(scratch, name, NULL, error, sizeof error) == RD_KAFKA_CONF_UNKNOWN) {
        if (!is_platform_variable(variable))
            buffer_printf(faults, "%s: librdkafka has no property %s\n", variable, name);
    } else if (because != NULL) {
        buffer_printf(faults, "%s: cannot be set: %s\n", variable, because);
    } else {
        read_value(common, scratch, variable, name, text, from_file, faults);
        return;
    }
    free(name);
}

static bool is_set_to(const struct options_common *common, const char *name, const char *value) {
    const char *set = kafka_property(common, name);
    return set != NULL && strcasecmp(set, value) == 0;
}

/* OAUTHBEARER with tokens that librdkafka fetches by itself, on a thread of its own. */
static bool is_oidc(const struct options_common *common) {
    return is_set_to(common, "sasl.oauthbearer.method", "oidc");
}

static bool is_oauthbearer(const struct options_common *common) {
    return is_set_to(common, "sasl.mechanism", "OAUTHBEARER");
}

/* A sign-in that could never come about: librdkafka would wait for a token for ever. */
static void check_sign_in(struct options_common *common, rd_kafka_conf_t *scratch,
                          struct buffer *faults) {
    const char *protocol = kafka_property(common, "security.protocol");
    if (common->msk_iam && protocol == NULL) {
        rd_kafka_conf_set(scratch, "security.protocol", "SASL_SSL", NULL, 0);
        keep_property(common, mem_string("security.protocol"), mem_string("SASL_SSL"));
    } else if (common->msk_iam && strncasecmp(protocol, "sasl_", 5) != 0) {
        buffer_puts(faults, "KAFKA_SECURITY_PROTOCOL: AWS_MSK_IAM needs SASL_SSL\n");
    }
    if (is_oauthbearer(common) && !common->msk_iam && !is_oidc(common) &&
        !is_set_to(common, "enable.sasl.oauthbearer.unsecure.jwt", "true"))
        buffer_puts(faults, "KAFKA_SASL_MECHANISM: OAUTHBEARER needs "
                            "KAFKA_SASL_OAUTHBEARER_METHOD=oidc, or for tests "
                            "KAFKA_ENABLE_SASL_OAUTHBEARER_UNSECURE_JWT=true\n");
}

static void on_token_wanted(rd_kafka_t *rk, const char *config, void *opaque);

/* Properties may be sound one by one and not together: only a handle tells. */
static void try_handle(const struct options_common *common, rd_kafka_conf_t *conf,
                       struct buffer *faults) {
    char error[512];
    if (common->msk_iam) /* never called: nobody polls */
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_token_wanted);
    rd_kafka_conf_set(conf, "enable.idempotence", "true", NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    if (rk == NULL) {
        buffer_printf(faults, "KAFKA_…: %s\n", error);
        rd_kafka_conf_destroy(conf);
    } else {
        rd_kafka_destroy(rk);
    }
}

void kafka_properties_read(struct options_common *common, struct buffer *faults) {
    rd_kafka_conf_t *scratch = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(scratch, NULL); /* what matters comes back as an error */
    size_t faults_before = faults->len;
    for (char **entry = environ; *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        if (strncmp(*entry, "KAFKA_", 6) != 0 || equals == NULL || equals[1] == '\0')
            continue;
        char *variable = mem_bytes(*entry, (size_t)(equals - *entry));
        if (strcmp(variable, "KAFKA_BOOTSTRAP_SERVERS") != 0)
            read_property(common, scratch, variable, equals + 1, faults);
        free(variable);
    }
    check_sign_in(common, scratch, faults);
    if (common->kafka_count > 0 && faults->len == faults_before)
        try_handle(common, scratch, faults);
    else
        rd_kafka_conf_destroy(scratch);
}

/* --- callbacks -------------------------------------------------------------------------------- */

static enum log_level level_of(int syslog_level, const char *facility) {
    enum {
        SYSLOG_WARNING = 4,
        SYSLOG_NOTICE = 5
    };
    /* These come as errors, too, and on_error() says them. */
    if (strcmp(facility, "FAIL") == 0 || strcmp(facility, "SSLCERTVRFY") == 0)
        return LOG_DEBUG;
    /* What librdkafka calls an error, it tries again: to us it is a warning. */
    return syslog_level <= SYSLOG_WARNING  ? LOG_WARN
           : syslog_level <= SYSLOG_NOTICE ? LOG_INFO
                                           : LOG_DEBUG;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text) {
    (void)rk;
    log_write(level_of(level, facility), "kafka: %s: %s", facility, text);
}

/* On a thread of librdkafka's, see common/kafka/iam.h. */
static void on_token_wanted(rd_kafka_t *rk, const char *config, void *opaque) {
    (void)config;
    struct kafka_owner *owner = opaque;
    kafka_iam_set_token(owner->common->iam, rk);
}

/*
 * On a thread of librdkafka's, for each certificate of a broker's chain. The verdict is OpenSSL's;
 * it is only kept, because librdkafka's own reason is the same for every fault.
 */
static int on_certificate(rd_kafka_t *rk, const char *broker_name, int32_t broker_id,
                          int *x509_error, int depth, const char *bytes, size_t size, char *error,
                          size_t error_size, void *opaque) {
    (void)rk, (void)broker_name, (void)broker_id, (void)depth, (void)bytes, (void)size;
    struct kafka_owner *owner = opaque;
    if (*x509_error == X509_V_OK)
        return 1;
    atomic_store(&owner->certificate_fault, *x509_error);
    snprintf(error, error_size, "%s", X509_verify_cert_error_string(*x509_error));
    return 0;
}

/* Brokers are tried again every other second: it is said once a minute. */
static void tell_trouble(struct kafka_owner *owner, enum kafka_trouble_kind kind,
                         const char *reason) {
    struct kafka_iam *iam = owner->common->iam;
    /* OpenSSL's words. The fault stays: several handshakes may have failed before this is told. */
    bool refused = strstr(reason, "certificate verify failed") != NULL;
    int fault = refused ? atomic_load(&owner->certificate_fault) : 0;
    int64_t now_ms = loop_wall();
    kafka_trouble_text(owner->common, kind, reason, fault,
                       iam != NULL ? kafka_iam_principal(iam) : NULL, owner->health.trouble);
    bool said = now_ms - owner->said_ms[kind] < TROUBLE_EVERY_MS;
    if (!said)
        owner->said_ms[kind] = now_ms;
    log_write(said ? LOG_DEBUG : LOG_WARN, "kafka: %s", owner->health.trouble);
    if (kind == KAFKA_TROUBLE_SIGN_IN && iam != NULL)
        kafka_iam_refused(iam);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque) {
    (void)rk;
    struct kafka_owner *owner = opaque;
    enum kafka_trouble_kind kind = kafka_trouble_of((rd_kafka_resp_err_t)code, reason);
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        owner->health.up = false;
    if (kind != KAFKA_TROUBLE_NONE)
        tell_trouble(owner, kind, reason);
    else
        log_warn("kafka: %s: %s", rd_kafka_err2name((rd_kafka_resp_err_t)code), reason);
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

static int on_stats(rd_kafka_t *rk, char *json, size_t n, void *opaque) {
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

void kafka_set_default(rd_kafka_conf_t *conf, const struct options_common *common, const char *name,
                       const char *value) {
    if (kafka_property(common, name) == NULL)
        kafka_set(conf, name, value);
}

static void set_sign_in(rd_kafka_conf_t *conf, const struct options_common *common) {
    if (common->iam != NULL)
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_token_wanted);
    if (is_oauthbearer(common) && !is_oidc(common))
        rd_kafka_conf_enable_sasl_queue(conf, 1);
    /* A librdkafka without TLS takes no such callback, and needs none. */
    if (!is_set_to(common, "enable.ssl.certificate.verification", "false"))
        rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate);
}

rd_kafka_conf_t *kafka_conf(const struct options_common *common) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    kafka_set(conf, "bootstrap.servers", common->bootstrap_servers);
    for (size_t i = 0; i < common->kafka_count; i++)
        kafka_set(conf, common->kafka[i].name, common->kafka[i].value);
    kafka_set_default(conf, common, "client.id", "athena-query");
    /* A request of 1 MiB and its headers; topics_open() gives topics the same room. */
    kafka_set_default(conf, common, "message.max.bytes", "2162688");
    kafka_set_default(conf, common, "reconnect.backoff.max.ms", "2000");
    kafka_set_default(conf, common, "topic.metadata.refresh.interval.ms", "60000");
    kafka_set(conf, "statistics.interval.ms", "1000");
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_stats_cb(conf, on_stats);
    set_sign_in(conf, common);
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
                       const struct options_common *common, struct kafka_owner *owner, char *error,
                       size_t error_size) {
    owner->health = (struct kafka_health){.lag = -1};
    owner->common = common;
    rd_kafka_conf_set_opaque(conf, owner);
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, error_size);
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    if (is_oauthbearer(common) && !is_oidc(common))
        refresh_in_background(rk);
    if (common->iam != NULL)
        kafka_iam_add(common->iam, rk);
    return rk;
}

void kafka_close(struct kafka_owner *owner, rd_kafka_t *rk, int flags) {
    if (owner->common->iam != NULL)
        kafka_iam_remove(owner->common->iam, rk);
    rd_kafka_destroy_flags(rk, flags);
}

void kafka_describe_down(const struct kafka_owner *owner, struct buffer *why) {
    const char *trouble = owner->health.trouble;
    buffer_printf(why, "no broker reached at %s%s%s\n", owner->common->bootstrap_servers,
                  *trouble != '\0' ? ": " : "", trouble);
}

/* --- waking the loop -------------------------------------------------------------------------- */

struct kafka_wakeup {
    struct loop *loop;
    rd_kafka_queue_t *queue;
    int fd;
    loop_fn *fn;
    void *arg;
};

static const uint64_t one = 1;

static void on_wakeup(void *arg, uint32_t events) {
    (void)events;
    struct kafka_wakeup *w = arg;
    uint64_t count;
    ssize_t got = read(w->fd, &count, sizeof count);
    (void)got;
    w->fn(w->arg);
}

struct kafka_wakeup *kafka_wakeup_open(struct loop *loop, rd_kafka_queue_t *queue, loop_fn *fn,
                                       void *arg) {
    struct kafka_wakeup *w = mem_alloc(sizeof *w);
    *w = (struct kafka_wakeup){loop, queue, eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), fn, arg};
    if (w->fd < 0 || !loop_watch(loop, w->fd, EPOLLIN, on_wakeup, w)) {
        if (w->fd >= 0)
            close(w->fd);
        free(w);
        return NULL;
    }
    rd_kafka_queue_io_event_enable(queue, w->fd, &one, sizeof one);
    return w;
}

void kafka_wakeup_again(struct kafka_wakeup *w) {
    ssize_t written = write(w->fd, &one, sizeof one);
    (void)written;
}

void kafka_wakeup_close(struct kafka_wakeup *w) {
    if (w == NULL)
        return;
    rd_kafka_queue_io_event_enable(w->queue, -1, NULL, 0);
    loop_unwatch(w->loop, w->fd);
    close(w->fd);
    free(w);
}
