#include "common/kafka/properties.h"

#include <ctype.h>
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"

extern char **environ;

enum {
    SECRET_FILE_MAX = 1 << 20
};

/* Those that a promise of the README rests on, and those that have a variable of their own. */
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

/* KAFKA_SASL_PASSWORD_FILE → sasl.password; *from_file: it had the suffix. */
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

static void keep_property(struct kafka_properties *p, char *name, char *value) {
    p->list = mem_resize(p->list, p->count + 1, sizeof *p->list);
    p->list[p->count++] = (struct kafka_property){name, value};
}

const char *kafka_property(const struct kafka_properties *p, const char *name) {
    const char *value = NULL;
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->list[i].name, name) == 0)
            value = p->list[i].value;
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
static void read_value(struct kafka_properties *p, rd_kafka_conf_t *scratch, const char *variable,
                       char *name, const char *text, bool from_file, struct buffer *faults) {
    char error[512];
    char *value = from_file ? read_secret_file(variable, text, faults) : mem_string(text);
    if (value == NULL) {
        free(name);
        return;
    }
    if (strcmp(name, "sasl.mechanism") == 0 && strcmp(value, "AWS_MSK_IAM") == 0) {
        p->msk_iam = true;
        free(value);
        value = mem_string("OAUTHBEARER");
    }
    if (rd_kafka_conf_set(scratch, name, value, error, sizeof error) == RD_KAFKA_CONF_OK) {
        keep_property(p, name, value);
        return;
    }
    refuse_value(variable, name, value, faults);
    free(name);
    mem_wipe_free(value, strlen(value));
}

static void read_property(struct kafka_properties *p, rd_kafka_conf_t *scratch,
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
        read_value(p, scratch, variable, name, text, from_file, faults);
        return;
    }
    free(name);
}

bool kafka_property_is(const struct kafka_properties *p, const char *name, const char *value) {
    const char *set = kafka_property(p, name);
    return set != NULL && strcasecmp(set, value) == 0;
}

/* OAUTHBEARER with tokens that librdkafka fetches by itself, on a thread of its own. */
static bool is_oidc(const struct kafka_properties *p) {
    return kafka_property_is(p, "sasl.oauthbearer.method", "oidc");
}

static bool is_oauthbearer(const struct kafka_properties *p) {
    return kafka_property_is(p, "sasl.mechanism", "OAUTHBEARER");
}

bool kafka_property_wants_tokens(const struct kafka_properties *p) {
    return is_oauthbearer(p) && !is_oidc(p);
}

/* A sign-in that could never come about: librdkafka would wait for a token for ever. */
static void check_sign_in(struct kafka_properties *p, rd_kafka_conf_t *scratch,
                          struct buffer *faults) {
    const char *protocol = kafka_property(p, "security.protocol");
    if (p->msk_iam && protocol == NULL) {
        rd_kafka_conf_set(scratch, "security.protocol", "SASL_SSL", NULL, 0);
        keep_property(p, mem_string("security.protocol"), mem_string("SASL_SSL"));
    } else if (p->msk_iam && strncasecmp(protocol, "sasl_", 5) != 0) {
        buffer_puts(faults, "KAFKA_SECURITY_PROTOCOL: AWS_MSK_IAM needs SASL_SSL\n");
    }
    if (kafka_property_wants_tokens(p) && !p->msk_iam &&
        !kafka_property_is(p, "enable.sasl.oauthbearer.unsecure.jwt", "true"))
        buffer_puts(faults, "KAFKA_SASL_MECHANISM: OAUTHBEARER needs "
                            "KAFKA_SASL_OAUTHBEARER_METHOD=oidc, or for tests "
                            "KAFKA_ENABLE_SASL_OAUTHBEARER_UNSECURE_JWT=true\n");
}

/* Only its presence counts: a handle that nobody polls never calls it. */
static void ignore_token_wanted(rd_kafka_t *rk, const char *config, void *opaque) {
    (void)rk, (void)config, (void)opaque;
}

/* Properties may be sound one by one and not together: only rd_kafka_new() finds that. */
static void try_handle(const struct kafka_properties *p, rd_kafka_conf_t *conf,
                       struct buffer *faults) {
    char error[512];
    if (p->msk_iam)
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, ignore_token_wanted);
    rd_kafka_conf_set(conf, "enable.idempotence", "true", NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    if (rk == NULL) {
        buffer_printf(faults, "KAFKA_…: %s\n", error);
        rd_kafka_conf_destroy(conf);
    } else {
        rd_kafka_destroy(rk);
    }
}

bool kafka_properties_read(struct kafka_properties *p, struct buffer *faults) {
    rd_kafka_conf_t *scratch = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(scratch, NULL); /* what matters comes back as an error */
    size_t faults_before = faults->len;
    for (char **entry = environ; *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        if (strncmp(*entry, "KAFKA_", 6) != 0 || equals == NULL || equals[1] == '\0')
            continue;
        char *variable = mem_bytes(*entry, (size_t)(equals - *entry));
        if (strcmp(variable, "KAFKA_BOOTSTRAP_SERVERS") != 0)
            read_property(p, scratch, variable, equals + 1, faults);
        free(variable);
    }
    check_sign_in(p, scratch, faults);
    if (p->count > 0 && faults->len == faults_before)
        try_handle(p, scratch, faults);
    else
        rd_kafka_conf_destroy(scratch);
    return p->msk_iam;
}

void kafka_properties_free(struct kafka_properties *p) {
    for (size_t i = 0; i < p->count; i++) {
        free(p->list[i].name);
        mem_wipe_free(p->list[i].value, strlen(p->list[i].value)); /* may be a password */
    }
    free(p->list);
    *p = (struct kafka_properties){0};
}
