#include "standins/athena_sim/ops.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "standins/athena_sim/json.h"

/* --- the simulator ---------------------------------------------------------------------------- */

double sim_burst(const struct sim *sim) {
    double most = sim->burst > 0 ? (double)sim->burst : sim->settings.rate;
    return most > 1 ? most : 1;
}

void sim_init(struct sim *sim, const struct sim_settings *settings, uint64_t seed,
              const char *access_key_id, const char *secret_access_key, const char *session_token) {
    *sim = (struct sim){.settings = *settings, .ledger_fd = -1, .random = seed};
    sim->state.active[SIM_DML] = settings->active_dml;
    sim->state.active[SIM_DDL] = settings->active_ddl;
    sim->rate_tokens = sim_burst(sim);
    sim->metrics = cJSON_CreateArray();
    sim->credentials = mem_zero(sizeof *sim->credentials);
    sim->credential_count = 1;
    sim->credentials[0].access_key_id = mem_string(access_key_id);
    sim->credentials[0].secret_access_key = mem_string(secret_access_key);
    sim->credentials[0].session_token = mem_string(session_token);
}

void sim_free(struct sim *sim) {
    for (size_t i = 0; i < sim->credential_count; i++) {
        free((char *)sim->credentials[i].access_key_id);
        free((char *)sim->credentials[i].secret_access_key);
        free((char *)sim->credentials[i].session_token);
    }
    free(sim->credentials);
    cJSON_Delete(sim->metrics);
    sim_canned_free(&sim->canned);
    sim_state_free(&sim->state);
    *sim = (struct sim){.ledger_fd = -1};
}

/* splitmix64 (public domain, Sebastiano Vigna): small, and the same everywhere for one seed. */
double sim_random(struct sim *sim) {
    uint64_t z = (sim->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

/* Not from the seed: two runs must never give the same id. */
void sim_new_uuid(char out[37]) {
    uint8_t b[16] = {0};
    RAND_bytes(b, sizeof b);
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-4%01x%02x-a%01x%02x-%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6] & 15, b[7], b[8] & 15, b[9], b[10], b[11],
             b[12], b[13], b[14], b[15]);
}

void sim_issue_credential(struct sim *sim, int64_t expires_s) {
    char key[37], secret[37], token[37], text[64];
    sim_new_uuid(key);
    sim_new_uuid(secret);
    sim_new_uuid(token);
    for (char *c = key; *c != '\0'; c++)
        if (*c >= 'a' && *c <= 'f')
            *c = (char)(*c - 'a' + 'A');
    snprintf(text, sizeof text, "ASIA%.8s%.4s%.4s", key, key + 9, key + 14);
    size_t at = sim->credential_count++;
    sim->credentials =
        mem_resize(sim->credentials, sim->credential_count, sizeof *sim->credentials);
    sim->credentials[at] = (struct sim_credential){.access_key_id = mem_string(text),
                                                   .secret_access_key = mem_string(secret),
                                                   .session_token = mem_string(token),
                                                   .expires_s = expires_s};
}

/* --- POST /_set ------------------------------------------------------------------------------- */

enum setting_type {
    SETTING_SHARE, /* double, 0 to 1 */
    SETTING_REAL,  /* double, 0 to max */
    SETTING_WHOLE, /* int64_t, 0 to max */
    SETTING_SWITCH /* int64_t: 0, 1, false or true */
};

static const struct setting {
    const char *key;
    enum setting_type type;
    size_t at;
    double max;
} settings[] = {
    {"fail_5xx", SETTING_SHARE, offsetof(struct sim_settings, fail_5xx), 1},
    {"cut_after_start", SETTING_SHARE, offsetof(struct sim_settings, cut_after_start), 1},
    {"nonsense", SETTING_SHARE, offsetof(struct sim_settings, nonsense), 1},
    {"jitter", SETTING_SHARE, offsetof(struct sim_settings, jitter), 1},
    {"rate", SETTING_REAL, offsetof(struct sim_settings, rate), 1e6},
    {"expired", SETTING_SWITCH, offsetof(struct sim_settings, expired), 1},
    {"delay_ms", SETTING_WHOLE, offsetof(struct sim_settings, delay_ms), 3600000},
    {"query_ms", SETTING_WHOLE, offsetof(struct sim_settings, query_ms), 86400000},
    {"active_dml", SETTING_WHOLE, offsetof(struct sim_settings, active_dml), 1e9},
    {"active_ddl", SETTING_WHOLE, offsetof(struct sim_settings, active_ddl), 1e9},
    {"forget_tokens", SETTING_SWITCH, offsetof(struct sim_settings, forget_tokens), 1},
};

enum {
    SETTING_COUNT = sizeof settings / sizeof *settings
};

static bool is_whole(const struct setting *s) {
    return s->type == SETTING_WHOLE || s->type == SETTING_SWITCH;
}

static bool put_setting(struct sim_settings *to, const cJSON *member, char *detail, size_t size) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &settings[i];
        if (strcmp(s->key, member->string) != 0)
            continue;
        double value = cJSON_IsBool(member) ? cJSON_IsTrue(member) : member->valuedouble;
        if (!(cJSON_IsNumber(member) || (cJSON_IsBool(member) && s->type == SETTING_SWITCH)) ||
            !(value >= 0 && value <= s->max) || (is_whole(s) && value != (double)(int64_t)value)) {
            snprintf(detail, size, "%s: must be a %snumber from 0 to %.0f", s->key,
                     is_whole(s) ? "whole " : "", s->max);
            return false;
        }
        if (is_whole(s))
            *(int64_t *)(void *)((char *)to + s->at) = (int64_t)value;
        else
            *(double *)(void *)((char *)to + s->at) = value;
        return true;
    }
    snprintf(detail, size, "%.40s: no such setting", member->string);
    return false;
}

static cJSON *settings_json(const struct sim_settings *from) {
    cJSON *body = cJSON_CreateObject();
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const char *at = (const char *)from + settings[i].at;
        cJSON_AddNumberToObject(body, settings[i].key,
                                is_whole(&settings[i]) ? (double)*(const int64_t *)(const void *)at
                                                       : *(const double *)(const void *)at);
    }
    return body;
}

/* All or nothing. */
static void set(const struct sim_call *call) {
    struct sim *sim = call->sim;
    struct sim_settings changed = sim->settings;
    struct sim_canned_list canned = {0};
    char detail[200] = "the body must be one JSON object";
    cJSON *in = sim_json_object(call->r->body, call->r->body_len);
    bool good = in != NULL, has_canned = false;
    for (const cJSON *m = in != NULL ? in->child : NULL; good && m != NULL; m = m->next) {
        bool is_canned = strcmp(m->string, "answers") == 0;
        good = is_canned ? sim_canned_read(m, &canned, detail, sizeof detail)
                         : put_setting(&changed, m, detail, sizeof detail);
        has_canned = has_canned || is_canned;
    }
    cJSON_Delete(in);
    if (!good) {
        sim_canned_free(&canned);
        cJSON *body = cJSON_CreateObject();
        cJSON_AddStringToObject(body, "error", detail);
        sim_answer_json(call->answer, 400, body);
        return;
    }
    if (has_canned) {
        sim_canned_free(&sim->canned);
        sim->canned = canned;
    }
    if (changed.forget_tokens == 1)
        sim_state_forget_tokens(&sim->state);
    changed.forget_tokens = 0;
    bool new_rate = changed.rate != sim->settings.rate;
    sim->settings = changed;
    if (new_rate)
        sim->rate_tokens = sim_burst(sim);
    sim->state.active[SIM_DML] = changed.active_dml;
    sim->state.active[SIM_DDL] = changed.active_ddl;
    sim_answer_json(call->answer, 200, settings_json(&changed));
}

/* --- the other /_ endpoints ------------------------------------------------------------------- */

static void stats(const struct sim_call *call) {
    struct sim *sim = call->sim;
    sim_state_advance(&sim->state, call->now_us);
    const struct sim_counts *q = &sim->state.counts;
    const struct sim_call_counts *c = &sim->counts;
    const struct {
        const char *key;
        uint64_t value;
    } rows[] = {{"aws_calls", c->aws_calls},
                {"start_calls", c->start_calls},
                {"started", q->started},
                {"repeated", q->repeated},
                {"throttled", q->throttled},
                {"rate_limited", c->rate_limited},
                {"failed_5xx", c->failed_5xx},
                {"cut", c->cut},
                {"nonsense", c->nonsense},
                {"expired", c->expired},
                {"bad_signature", c->bad_signature},
                {"mismatch", q->mismatch},
                {"invalid", c->invalid},
                {"denied", c->denied},
                {"canned", c->canned},
                {"get_calls", c->get_calls},
                {"batch_calls", c->batch_calls},
                {"stop_calls", c->stop_calls},
                {"metric_calls", c->metric_calls},
                {"sts_calls", c->sts_calls},
                {"running_dml", q->running[SIM_DML]},
                {"running_ddl", q->running[SIM_DDL]},
                {"max_running_dml", q->max_running[SIM_DML]},
                {"max_running_ddl", q->max_running[SIM_DDL]},
                {"ended", q->ended},
                {"succeeded", q->ended_as[SIM_SUCCEEDED]},
                {"failed", q->ended_as[SIM_FAILED]},
                {"cancelled", q->ended_as[SIM_CANCELLED]}};
    cJSON *body = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cJSON_AddNumberToObject(body, rows[i].key, (double)rows[i].value);
    sim_answer_json(call->answer, 200, body);
}

static void get_settings(const struct sim_call *call) {
    sim_answer_json(call->answer, 200, settings_json(&call->sim->settings));
}

static void metrics(const struct sim_call *call) {
    cJSON *body = cJSON_CreateObject();
    cJSON_AddItemToObject(body, "metrics", cJSON_Duplicate(call->sim->metrics, true));
    sim_answer_json(call->answer, 200, body);
}

static void queries(const struct sim_call *call) {
    cJSON *body = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(body, "queries");
    sim_state_advance(&call->sim->state, call->now_us);
    for (const struct sim_query *q = call->sim->state.ids; q != NULL; q = q->by_id.next) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "id", q->id);
        cJSON_AddStringToObject(one, "token", q->token);
        cJSON_AddStringToObject(one, "query", q->text != NULL ? q->text : "");
        cJSON_AddStringToObject(one, "lane", q->sql.lane == SIM_DDL ? "ddl" : "dml");
        cJSON_AddStringToObject(one, "state", sim_query_state(q, call->now_us));
        cJSON_AddNumberToObject(one, "submitted", (double)q->submitted_us / 1e6);
        cJSON_AddNumberToObject(one, "ends", (double)q->ends_us / 1e6);
        cJSON_AddItemToArray(list, one);
    }
    sim_answer_json(call->answer, 200, body);
}

static void own_endpoint(const struct sim_call *call) {
    static const struct {
        const char *method, *path;
        void (*fn)(const struct sim_call *);
    } rows[] = {{"GET", "/_stats", stats},
                {"GET", "/_metrics", metrics},
                {"GET", "/_queries", queries},
                {"POST", "/_set", set},
                {"GET", "/_set", get_settings}};
    size_t path = strcspn(call->r->target, "?");
    unsigned status = 404;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strlen(rows[i].path) != path || strncmp(rows[i].path, call->r->target, path) != 0)
            continue;
        if (strcmp(rows[i].method, call->r->method) == 0) {
            rows[i].fn(call);
            return;
        }
        status = 405;
    }
    sim_answer_text(call->answer, status, "text/plain",
                    "GET /_stats, /_metrics, /_queries, /_set; POST /_set\n");
}

/* --- AWS -------------------------------------------------------------------------------------- */

enum service {
    SERVICE_ATHENA,
    SERVICE_MONITORING,
    SERVICE_STS,
    SERVICE_NONE
};

static const struct {
    const char *scope, *content_type, *prefix; /* of X-Amz-Target */
} services[] = {{"athena", "application/x-amz-json-1.1", "AmazonAthena."},
                {"monitoring", "application/x-amz-json-1.0", "GraniteServiceVersion20100801."},
                {"sts", "application/x-www-form-urlencoded", NULL}};

static const struct operation {
    enum service service;
    const char *name;
    void (*fn)(const struct sim_call *);
    size_t count_at; /* in struct sim_call_counts */
} operations[] = {
    {SERVICE_ATHENA, "StartQueryExecution", sim_start_query_execution,
     offsetof(struct sim_call_counts, start_calls)},
    {SERVICE_ATHENA, "GetQueryExecution", sim_get_query_execution,
     offsetof(struct sim_call_counts, get_calls)},
    {SERVICE_ATHENA, "BatchGetQueryExecution", sim_batch_get_query_execution,
     offsetof(struct sim_call_counts, batch_calls)},
    {SERVICE_ATHENA, "StopQueryExecution", sim_stop_query_execution,
     offsetof(struct sim_call_counts, stop_calls)},
    {SERVICE_MONITORING, "PutMetricData", sim_put_metric_data,
     offsetof(struct sim_call_counts, metric_calls)},
    {SERVICE_STS, "", sim_sts, offsetof(struct sim_call_counts, sts_calls)},
};

/* Up to a ';': application/x-amz-json-1.1; charset=utf-8 will do. */
static bool has_content_type(const struct sim_request *r, const char *wanted) {
    const char *sent = sim_header_of(r, "content-type");
    size_t n = strlen(wanted);
    return sent != NULL && strncasecmp(sent, wanted, n) == 0 &&
           (sent[n] == '\0' || sent[n] == ';' || sent[n] == ' ');
}

static const struct operation *find_operation(const struct sim_request *r, enum service *service) {
    const char *target = sim_header_of(r, "x-amz-target"), *name = "";
    *service = SERVICE_NONE;
    for (int i = 0; i < SERVICE_NONE; i++) {
        const char *prefix = services[i].prefix;
        if (prefix == NULL ? target == NULL && has_content_type(r, services[i].content_type)
                           : target != NULL && strncmp(target, prefix, strlen(prefix)) == 0) {
            *service = (enum service)i;
            name = prefix != NULL ? target + strlen(prefix) : "";
        }
    }
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (operations[i].service == *service && strcmp(operations[i].name, name) == 0)
            return &operations[i];
    return NULL;
}

static void refuse(const struct sim_call *call, enum service service, const char *code,
                   const char *message) {
    if (service == SERVICE_STS) {
        sim_sts_error(call->answer, 400, code, message);
        return;
    }
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "__type", code);
    cJSON_AddStringToObject(body, "message", message); /* small: not the service's own error */
    sim_answer_json(call->answer, 400, body);
}

static bool let_in(const struct sim_call *call, enum service service) {
    static const char *const codes[] = {
        [SIM_UNSIGNED] = "MissingAuthenticationTokenException",
        [SIM_INCOMPLETE] = "IncompleteSignatureException",
        [SIM_UNKNOWN_KEY] = "UnrecognizedClientException",
        [SIM_EXPIRED_TOKEN] = "ExpiredTokenException",
        [SIM_BAD_SIGNATURE] = "InvalidSignatureException",
    };
    struct sim *sim = call->sim;
    char detail[4096];
    if (service == SERVICE_STS && sim_sts_is_unsigned(call->r))
        return true;
    enum sim_verdict verdict =
        sim_verify(call->r, sim->credentials, sim->credential_count, services[service].scope,
                   call->now_us / 1000000, detail, sizeof detail);
    if (verdict == SIM_SIGNED && sim->settings.expired == 0)
        return true;
    if (verdict == SIM_SIGNED || verdict == SIM_EXPIRED_TOKEN) {
        sim->counts.expired++;
        refuse(call, service, "ExpiredTokenException",
               "The security token included in the request is expired");
        return false;
    }
    sim->counts.bad_signature++;
    refuse(call, service, codes[verdict], detail);
    return false;
}

static void run_operation(struct sim_call *call, const struct operation *operation) {
    enum service service = operation->service;
    if (!let_in(call, service))
        return;
    if (!has_content_type(call->r, services[service].content_type)) {
        refuse(call, service, "UnknownOperationException",
               "The Content-Type is not that of this protocol.");
        return;
    }
    cJSON *in = NULL;
    if (service != SERVICE_STS) {
        in = sim_json_object(call->r->body, call->r->body_len);
        if (in == NULL) {
            refuse(call, service, "SerializationException", "The body is no sound JSON object.");
            return;
        }
    }
    call->in = in;
    operation->fn(call);
    cJSON_Delete(in);
}

static int64_t delay_ms(const struct sim *sim, const struct operation *operation) {
    bool starts = operation != NULL && operation->fn == sim_start_query_execution;
    int64_t ms = sim->settings.delay_ms;
    return starts || ms < sim->read_delay_ms ? ms : sim->read_delay_ms;
}

static void aws(struct sim_call *call) {
    enum service service;
    const struct operation *operation = find_operation(call->r, &service);
    struct sim_call_counts *counts = &call->sim->counts;
    counts->aws_calls++;
    call->answer->delay_ms = delay_ms(call->sim, operation);
    if (service != SERVICE_NONE)
        call->answer->content_type =
            service == SERVICE_STS ? "text/xml" : services[service].content_type;
    if (strcmp(call->r->method, "POST") != 0 || operation == NULL) {
        refuse(call, service, "UnknownOperationException", "No such operation.");
        return;
    }
    ++*(uint64_t *)(void *)((char *)counts + operation->count_at);
    run_operation(call, operation);
}

void sim_answer_request(struct sim *sim, const struct sim_request *r, int64_t now_us,
                        struct sim_answer *answer) {
    struct sim_call call = {.sim = sim, .r = r, .now_us = now_us, .answer = answer};
    sim_new_uuid(answer->request_id);
    if (strncmp(r->target, "/_", 2) == 0)
        own_endpoint(&call);
    else
        aws(&call);
}
