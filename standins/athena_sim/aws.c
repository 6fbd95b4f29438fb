#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buffer.h"
#include "common/base/hex.h"
#include "common/base/memory.h"
#include "standins/athena_sim/json.h"
#include "standins/athena_sim/ops.h"

/* --- CloudWatch -------------------------------------------------------------------------------
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
 */

enum {
    METRICS_MAX = 1000,
    DIMENSIONS_MAX = 30,
    VALUES_MAX = 150,
    METRIC_BYTES_MAX = 1 << 20
};

static bool is_text(const cJSON *item, size_t max) {
    return cJSON_IsString(item) && *item->valuestring != '\0' && strlen(item->valuestring) <= max;
}

static bool dimensions_sound(const cJSON *list) {
    if (list == NULL)
        return true;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > DIMENSIONS_MAX)
        return false;
    for (const cJSON *d = list->child; d != NULL; d = d->next)
        if (!cJSON_IsObject(d) || !is_text(sim_json_member(d, "Name"), 255) ||
            !is_text(sim_json_member(d, "Value"), 1024))
            return false;
    return true;
}

static bool numbers_sound(const cJSON *list) {
    if (!cJSON_IsArray(list) || list->child == NULL || cJSON_GetArraySize(list) > VALUES_MAX)
        return false;
    for (const cJSON *n = list->child; n != NULL; n = n->next)
        if (!cJSON_IsNumber(n))
            return false;
    return true;
}

/* One of Value, StatisticValues and Values. */
static bool value_sound(const cJSON *datum) {
    const cJSON *value = sim_json_member(datum, "Value"),
                *values = sim_json_member(datum, "Values"),
                *counts = sim_json_member(datum, "Counts"),
                *statistics = sim_json_member(datum, "StatisticValues");
    if ((value != NULL) + (values != NULL) + (statistics != NULL) != 1)
        return false;
    if (value != NULL)
        return cJSON_IsNumber(value);
    if (statistics != NULL)
        return cJSON_IsNumber(sim_json_member(statistics, "SampleCount")) &&
               cJSON_IsNumber(sim_json_member(statistics, "Sum")) &&
               cJSON_IsNumber(sim_json_member(statistics, "Minimum")) &&
               cJSON_IsNumber(sim_json_member(statistics, "Maximum"));
    return numbers_sound(values) &&
           (counts == NULL ||
            (numbers_sound(counts) && cJSON_GetArraySize(counts) == cJSON_GetArraySize(values)));
}

static bool datum_sound(const cJSON *datum, int64_t now_us) {
    if (!cJSON_IsObject(datum) || !is_text(sim_json_member(datum, "MetricName"), 255) ||
        !dimensions_sound(sim_json_member(datum, "Dimensions")) || !value_sound(datum))
        return false;
    const cJSON *unit = sim_json_member(datum, "Unit"), *at = sim_json_member(datum, "Timestamp");
    if (unit != NULL && !cJSON_IsString(unit))
        return false;
    double now_s = (double)now_us / 1e6; /* up to two weeks old, two hours ahead */
    return at == NULL || (cJSON_IsNumber(at) && at->valuedouble > now_s - 14 * 86400 &&
                          at->valuedouble < now_s + 2 * 3600);
}

void sim_put_metric_data(const struct sim_call *call) {
    const cJSON *namespace = sim_json_member(call->in, "Namespace");
    const cJSON *data = sim_json_member(call->in, "MetricData");
    bool sound = is_text(namespace, 255) && cJSON_IsArray(data) && data->child != NULL &&
                 cJSON_GetArraySize(data) <= METRICS_MAX && call->r->body_len <= METRIC_BYTES_MAX;
    for (const cJSON *d = sound ? data->child : NULL; sound && d != NULL; d = d->next)
        sound = datum_sound(d, call->now_us);
    if (!sound) {
        call->sim->counts.invalid++;
        sim_answer_error(call->answer, 400,
                         "com.amazonaws.cloudwatch#InvalidParameterValueException",
                         "Namespace or MetricData is not as it must be.", NULL);
        return;
    }
    for (const cJSON *d = data->child; d != NULL; d = d->next) {
        cJSON *kept = cJSON_Duplicate(d, true);
        cJSON_AddStringToObject(kept, "Namespace", namespace->valuestring);
        cJSON_AddItemToArray(call->sim->metrics, kept);
    }
    sim_answer_json(call->answer, 200, cJSON_CreateObject());
}

/* --- STS --------------------------------------------------------------------------------------
 * https://docs.aws.amazon.com/STS/latest/APIReference/, Version 2011-06-15: form in, XML out.
 */

static const char account[] = "123456789012";

static char *form_decode(const char *s, size_t n) {
    char *out = mem_alloc(n + 1), *to = out;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%' && i + 2 < n && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0) {
            *to++ = (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]));
            i += 2;
        } else {
            *to++ = s[i] == '+' ? ' ' : s[i];
        }
    }
    *to = '\0';
    return out;
}

/* The first field of that name; NULL where there is none. The caller frees. */
static char *form_field(const char *body, const char *name) {
    for (size_t n = strlen(name); *body != '\0';) {
        size_t len = strcspn(body, "&");
        if (len > n && strncmp(body, name, n) == 0 && body[n] == '=')
            return form_decode(body + n + 1, len - n - 1);
        body += len + (body[len] == '&');
    }
    return NULL;
}

static void add_xml(struct buffer *b, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
            buffer_printf(b, "&#%d;", *text);
        else
            buffer_putc(b, *text);
    }
}

static void add_element(struct buffer *b, const char *name, const char *text) {
    buffer_printf(b, "<%s>", name);
    add_xml(b, text);
    buffer_printf(b, "</%s>", name);
}

static void answer_xml(struct sim_answer *answer, unsigned status, struct buffer *b) {
    sim_answer_text(answer, status, "text/xml", buffer_text(b));
    buffer_free(b);
}

void sim_sts_error(struct sim_answer *answer, unsigned status, const char *code,
                   const char *message) {
    struct buffer b;
    buffer_init(&b, 65536);
    buffer_puts(&b, "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
                    "<Type>Sender</Type>");
    add_element(&b, "Code", code);
    add_element(&b, "Message", message);
    buffer_puts(&b, "</Error>");
    add_element(&b, "RequestId", answer->request_id);
    buffer_puts(&b, "</ErrorResponse>");
    answer_xml(answer, status, &b);
}

/* Opens or closes what every answer has around its result. */
static void begin_result(struct buffer *b, const char *action) {
    buffer_init(b, 65536);
    buffer_printf(b, "<%sResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><%sResult>",
                  action, action);
}

static void end_result(struct buffer *b, const char *action, struct sim_answer *answer) {
    buffer_printf(b, "</%sResult><ResponseMetadata>", action);
    add_element(b, "RequestId", answer->request_id);
    buffer_printf(b, "</ResponseMetadata></%sResponse>", action);
    answer_xml(answer, 200, b);
}

static void get_caller_identity(const struct sim_call *call) {
    struct buffer b;
    begin_result(&b, "GetCallerIdentity");
    add_element(&b, "Arn", "arn:aws:iam::123456789012:user/athena-sim");
    add_element(&b, "UserId", "AIDAEXAMPLEATHENASIM1");
    add_element(&b, "Account", account);
    end_result(&b, "GetCallerIdentity", call->answer);
}

static void add_credentials(struct buffer *b, const struct sim_credential *c) {
    char until[32];
    time_t at = (time_t)c->expires_s;
    struct tm t;
    gmtime_r(&at, &t);
    strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", &t);
    buffer_puts(b, "<Credentials>");
    add_element(b, "AccessKeyId", c->access_key_id);
    add_element(b, "SecretAccessKey", c->secret_access_key);
    add_element(b, "SessionToken", c->session_token);
    add_element(b, "Expiration", until);
    buffer_puts(b, "</Credentials>");
}

struct assume {
    char *role, *session, *web_token, *duration; /* owned */
};

static bool read_assume(const struct sim_call *call, bool web, struct assume *a,
                        int64_t *duration_s) {
    char *end = NULL;
    a->role = form_field(call->r->body, "RoleArn");
    a->session = form_field(call->r->body, "RoleSessionName");
    a->web_token = form_field(call->r->body, "WebIdentityToken");
    a->duration = form_field(call->r->body, "DurationSeconds");
    *duration_s = a->duration != NULL ? strtoll(a->duration, &end, 10) : 3600;
    return a->role != NULL && strlen(a->role) >= 20 && strncmp(a->role, "arn:", 4) == 0 &&
           a->session != NULL && strlen(a->session) >= 2 && strlen(a->session) <= 64 &&
           (!web || (a->web_token != NULL && strlen(a->web_token) >= 4)) &&
           (end == NULL || *end == '\0') && *duration_s >= 900 && *duration_s <= 43200;
}

/* The credentials that it gives out are good for every service of the stand-in. */
static void assume_role(const struct sim_call *call, const char *action, bool web) {
    struct assume a;
    int64_t duration_s;
    if (!read_assume(call, web, &a, &duration_s)) {
        call->sim->counts.invalid++;
        sim_sts_error(call->answer, 400, "ValidationError",
                      "RoleArn, RoleSessionName, WebIdentityToken or DurationSeconds is not as it "
                      "must be.");
    } else {
        struct buffer b;
        sim_issue_credential(call->sim, call->now_us / 1000000 + duration_s);
        begin_result(&b, action);
        add_credentials(&b, &call->sim->credentials[call->sim->credential_count - 1]);
        buffer_puts(&b, "<AssumedRoleUser>");
        add_element(&b, "AssumedRoleId", "AROAEXAMPLEATHENASIM1:session");
        add_element(&b, "Arn", a.role);
        buffer_puts(&b, "</AssumedRoleUser>");
        end_result(&b, action, call->answer);
    }
    free(a.role);
    free(a.session);
    free(a.web_token);
    free(a.duration);
}

bool sim_sts_is_unsigned(const struct sim_request *r) {
    char *action = form_field(r->body, "Action");
    bool web = action != NULL && strcmp(action, "AssumeRoleWithWebIdentity") == 0;
    free(action);
    return web;
}

void sim_sts(const struct sim_call *call) {
    char *action = form_field(call->r->body, "Action");
    char *version = form_field(call->r->body, "Version");
    if (version == NULL || strcmp(version, "2011-06-15") != 0 || action == NULL)
        sim_sts_error(call->answer, 400, "InvalidAction",
                      "Action and Version 2011-06-15 are needed.");
    else if (strcmp(action, "GetCallerIdentity") == 0)
        get_caller_identity(call);
    else if (strcmp(action, "AssumeRole") == 0)
        assume_role(call, action, false);
    else if (strcmp(action, "AssumeRoleWithWebIdentity") == 0)
        assume_role(call, action, true);
    else
        sim_sts_error(call->answer, 400, "InvalidAction", "No such action.");
    free(action);
    free(version);
}
