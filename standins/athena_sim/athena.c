#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "standins/athena_sim/json.h"
#include "standins/athena_sim/ledger.h"
#include "standins/athena_sim/ops.h"

/*
 * Limits: https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html;
 * of QueryString the service counts bytes, of all else characters.
 */
enum {
    QUERY_BYTES_MAX = 262144,
    TOKEN_MIN = 32,
    NAME_MAX_TEXT = 128,
    REUSE_MINUTES = 60, /* where none are given */
    REUSE_MINUTES_MAX = 10080,
    BATCH_MAX = 50
};

/* --- checking what came ----------------------------------------------------------------------- */

static bool invalid(const struct sim_call *call, const char *athena_code, const char *message) {
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "__type", "InvalidRequestException");
    cJSON_AddStringToObject(body, "AthenaErrorCode", athena_code);
    cJSON_AddStringToObject(body, "ErrorCode", athena_code); /* undocumented */
    cJSON_AddStringToObject(body, "Message", message);
    sim_answer_json(call->answer, 400, body);
    call->sim->counts.invalid++;
    return false;
}

static bool wrong_type(const struct sim_call *call, const char *name) {
    char message[160];
    snprintf(message, sizeof message, "%s: not of the type that it must be", name);
    sim_answer_error(call->answer, 400, "SerializationException", message, NULL);
    call->sim->counts.invalid++;
    return false;
}

static bool out_of_bounds(const struct sim_call *call, const char *name, size_t min, size_t max) {
    char message[240];
    snprintf(message, sizeof message,
             "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must "
             "have length from %zu to %zu",
             name, min, max);
    return invalid(call, "INVALID_INPUT", message);
}

/* An optional string of `min` to `max` characters; `*out` is NULL where it is absent. */
static bool read_string(const struct sim_call *call, const cJSON *object, const char *name,
                        size_t min, size_t max, const char **out) {
    const cJSON *member = object != NULL ? sim_json_member(object, name) : NULL;
    *out = NULL;
    if (member == NULL)
        return true;
    if (!cJSON_IsString(member))
        return wrong_type(call, name);
    size_t length = sim_utf8_length(member->valuestring);
    if (length < min || length > max)
        return out_of_bounds(call, name, min, max);
    *out = member->valuestring;
    return true;
}

/* An optional object. */
static bool read_object(const struct sim_call *call, const char *name, const cJSON **out) {
    *out = sim_json_member(call->in, name);
    return *out == NULL || cJSON_IsObject(*out) || wrong_type(call, name);
}

static bool read_parameters(const struct sim_call *call) {
    const cJSON *list = sim_json_member(call->in, "ExecutionParameters");
    if (list == NULL)
        return true;
    if (!cJSON_IsArray(list))
        return wrong_type(call, "ExecutionParameters");
    if (list->child == NULL)
        return out_of_bounds(call, "ExecutionParameters", 1, SIZE_MAX);
    for (const cJSON *one = list->child; one != NULL; one = one->next) {
        if (!cJSON_IsString(one))
            return wrong_type(call, "ExecutionParameters");
        size_t length = sim_utf8_length(one->valuestring);
        if (length < 1 || length > 1024)
            return out_of_bounds(call, "ExecutionParameters.member", 1, 1024);
    }
    return true;
}

/* `*minutes` is -1 where no result is to be reused. */
static bool read_reuse(const struct sim_call *call, int *minutes) {
    const cJSON *reuse = sim_json_member(call->in, "ResultReuseConfiguration"), *by_age;
    *minutes = -1;
    if (reuse == NULL)
        return true;
    if (!cJSON_IsObject(reuse))
        return wrong_type(call, "ResultReuseConfiguration");
    if ((by_age = sim_json_member(reuse, "ResultReuseByAgeConfiguration")) == NULL)
        return true;
    if (!cJSON_IsObject(by_age))
        return wrong_type(call, "ResultReuseByAgeConfiguration");
    const cJSON *enabled = sim_json_member(by_age, "Enabled");
    const cJSON *age = sim_json_member(by_age, "MaxAgeInMinutes");
    if (enabled == NULL)
        return invalid(call, "INVALID_INPUT",
                       "1 validation error detected: Value null at "
                       "'resultReuseConfiguration.resultReuseByAgeConfiguration.enabled' failed to "
                       "satisfy constraint: Member must not be null");
    if (!cJSON_IsBool(enabled))
        return wrong_type(call, "Enabled");
    double value = age != NULL ? age->valuedouble : REUSE_MINUTES;
    if (age != NULL && (!cJSON_IsNumber(age) || value != (double)age->valueint))
        return wrong_type(call, "MaxAgeInMinutes");
    if (value < 0 || value > REUSE_MINUTES_MAX)
        return invalid(call, "INVALID_INPUT",
                       "1 validation error detected: Value at "
                       "'resultReuseConfiguration.resultReuseByAgeConfiguration.maxAgeInMinutes' "
                       "failed to satisfy constraint: Member must be from 0 to 10080");
    *minutes = cJSON_IsTrue(enabled) ? (int)value : -1;
    return true;
}

static bool is_workgroup(const char *s) {
    size_t n = strlen(s);
    return n >= 1 && n <= NAME_MAX_TEXT &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

struct start {
    const char *text, *token, *work_group, *database, *catalog, *output_location;
    int reuse_minutes;
    struct sim_sql sql;
};

static bool read_text_and_token(const struct sim_call *call, struct start *s) {
    const cJSON *text = sim_json_member(call->in, "QueryString");
    if (text != NULL && !cJSON_IsString(text))
        return wrong_type(call, "QueryString");
    size_t bytes = text != NULL ? strlen(text->valuestring) : 0;
    if (bytes < 1 || bytes > QUERY_BYTES_MAX)
        return out_of_bounds(call, "queryString", 1, QUERY_BYTES_MAX);
    s->text = text->valuestring;
    if (!read_string(call, call->in, "ClientRequestToken", TOKEN_MIN, NAME_MAX_TEXT, &s->token))
        return false;
    return s->token != NULL ||
           invalid(call, "INVALID_INPUT", "Idempotency token (ClientRequestToken) is required");
}

static bool read_start(const struct sim_call *call, struct start *s) {
    const cJSON *context, *result;
    memset(s, 0, sizeof *s);
    if (!read_text_and_token(call, s) ||
        !read_string(call, call->in, "WorkGroup", 1, NAME_MAX_TEXT, &s->work_group) ||
        !read_object(call, "QueryExecutionContext", &context) ||
        !read_string(call, context, "Database", 1, 255, &s->database) ||
        !read_string(call, context, "Catalog", 1, 256, &s->catalog) ||
        !read_object(call, "ResultConfiguration", &result) ||
        !read_string(call, result, "OutputLocation", 1, 1024, &s->output_location) ||
        !read_reuse(call, &s->reuse_minutes) || !read_parameters(call))
        return false;
    if (s->work_group != NULL && !is_workgroup(s->work_group))
        return invalid(call, "INVALID_INPUT", "WorkGroup is not of [a-zA-Z0-9._-]{1,128}");
    if (s->output_location != NULL && strncmp(s->output_location, "s3://", 5) != 0)
        return invalid(call, "INVALID_INPUT", "outputLocation is not a valid S3 path.");
    return true;
}

/* --- StartQueryExecution ---------------------------------------------------------------------- */

static void deny(const struct sim_call *call, const char *operation) {
    char message[240];
    snprintf(message, sizeof message,
             "You are not authorized to perform: athena:%s on the resource. After your AWS "
             "administrator or you have updated your permissions, please try again.",
             operation);
    call->sim->counts.denied++;
    sim_answer_error(call->answer, 400, "AccessDeniedException", message, NULL);
}

static void quota_full(const struct sim_call *call) {
    sim_answer_error(call->answer, 400, "TooManyRequestsException",
                     "You have exceeded the limit for the number of queries you can run "
                     "concurrently. Please reduce the number of concurrent queries submitted by "
                     "this account.",
                     "CONCURRENT_QUERY_LIMIT_EXCEEDED");
}

/* The error that a hint in the SQL asks for. */
static void hinted_error(const struct sim_call *call, const struct sim_sql *sql) {
    if (strcmp(sql->code, "TooManyRequestsException") == 0) {
        quota_full(call);
        return;
    }
    unsigned status = strncmp(sql->code, "InternalServer", 14) == 0 ? 500 : 400;
    sim_answer_error(call->answer, status, sql->code,
                     *sql->reason != '\0' ? sql->reason : "asked for in the query", NULL);
}

static int64_t run_time_us(struct sim *sim, const struct sim_sql *sql) {
    if (sql->run_ms >= 0)
        return sql->run_ms * 1000;
    double spread = 1 + sim->settings.jitter * (2 * sim_random(sim) - 1);
    return (int64_t)((double)sim->settings.query_ms * 1000 * spread);
}

static void answer_id(const struct sim_call *call, const char *id) {
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "QueryExecutionId", id);
    sim_answer_json(call->answer, 200, body);
}

static bool start_new(const struct sim_call *call, const struct start *s,
                      const struct sim_identity *identity) {
    struct sim *sim = call->sim;
    struct sim_query *q = mem_zero(sizeof *q);
    sim_new_uuid(q->id);
    q->token = mem_string(s->token);
    memcpy(q->fingerprint, identity->fingerprint, sizeof q->fingerprint);
    memcpy(q->sha256, identity->sha256, sizeof q->sha256);
    q->text = mem_string(s->text);
    q->database = mem_string(s->database);
    q->catalog = mem_string(s->catalog);
    q->work_group = mem_string(s->work_group);
    q->output_location = mem_string(s->output_location);
    q->reuse_minutes = s->reuse_minutes;
    q->sql = s->sql;
    q->submitted_us = call->now_us;
    if (!sim_ledger_write(sim->ledger_fd, q)) {
        sim_query_free(q);
        sim_answer_error(call->answer, 500, "InternalServerException", "The ledger is full.", NULL);
        return false;
    }
    sim_state_start(&sim->state, q, run_time_us(sim, &q->sql), call->now_us);
    answer_id(call, q->id);
    return true;
}

/*
 * True where a query was really started. `compared` is what Athena was measured to compare: not
 * ExecutionParameters, and not the work group.
 */
static bool start_query(const struct sim_call *call) {
    static const char *const compared[] = {"QueryString", "QueryExecutionContext",
                                           "ResultConfiguration"};
    struct start s;
    struct sim_query *known;
    struct sim_identity identity;
    char detail[256];
    if (!read_start(call, &s))
        return false;
    if (s.work_group != NULL && strcmp(s.work_group, "forbidden") == 0) {
        deny(call, "StartQueryExecution");
        return false;
    }
    if (!sim_sql_read(s.text, &s.sql, detail, sizeof detail))
        return invalid(call, "MALFORMED_QUERY", detail);
    if (*s.sql.code != '\0') {
        hinted_error(call, &s.sql);
        return false;
    }
    identity.token = s.token;
    SHA256((const unsigned char *)s.text, strlen(s.text), identity.sha256);
    sim_json_fingerprint(call->in, compared, sizeof compared / sizeof *compared,
                         identity.fingerprint);
    switch (sim_state_find(&call->sim->state, &identity, s.sql.lane, call->now_us, &known)) {
    case SIM_REPEATED:
        answer_id(call, known->id);
        return false;
    case SIM_MISMATCH:
        return invalid(call, "IDEMPOTENT_PARAMETER_MISMATCH", "Idempotent parameters do not match");
    case SIM_QUOTA_FULL:
        quota_full(call);
        return false;
    case SIM_FREE:
        break;
    }
    return start_new(call, &s, &identity);
}

static bool within_rate(struct sim *sim, int64_t now_us) {
    double rate = sim->settings.rate, most = sim_burst(sim);
    if (rate <= 0)
        return true;
    if (now_us > sim->rate_at_us)
        sim->rate_tokens += rate * (double)(now_us - sim->rate_at_us) / 1e6;
    sim->rate_at_us = now_us;
    if (sim->rate_tokens > most)
        sim->rate_tokens = most;
    if (sim->rate_tokens < 1)
        return false;
    sim->rate_tokens -= 1;
    return true;
}

/* Every second one comes after the query was really started. */
static void talk_nonsense(const struct sim_call *call) {
    uint64_t turn = call->sim->counts.nonsense++;
    char text[64] = "{\"QueryExecutionId\": \"5ca1ab1e-0000-4";
    if (turn / 3 % 2 == 1) {
        start_query(call);
        if (call->answer->body_len > 20)
            snprintf(text, sizeof text, "%.*s", 30, call->answer->body);
    }
    switch (turn % 3) {
    case 0:
        sim_answer_text(call->answer, 200, "text/html",
                        "<html><body><h1>It works!</h1></body></html>\n");
        break;
    case 1:
        sim_answer_text(call->answer, 200, "application/x-amz-json-1.1", "{}");
        break;
    default:
        sim_answer_text(call->answer, 200, "application/x-amz-json-1.1", text);
    }
}

static bool answer_canned(const struct sim_call *call) {
    const cJSON *text = sim_json_member(call->in, "QueryString");
    bool canned = cJSON_IsString(text) &&
                  sim_canned_answer(&call->sim->canned, text->valuestring, call->answer);
    call->sim->counts.canned += canned;
    return canned;
}

void sim_start_query_execution(const struct sim_call *call) {
    struct sim *sim = call->sim;
    if (answer_canned(call))
        return;
    if (!within_rate(sim, call->now_us)) {
        sim->counts.rate_limited++;
        sim_answer_error(call->answer, 400, "ThrottlingException", "Rate exceeded", NULL);
    } else if (sim_random(sim) < sim->settings.fail_5xx) {
        sim->counts.failed_5xx++;
        sim_answer_error(call->answer, 500, "InternalServerException",
                         "An internal server error occurred.", NULL);
    } else if (sim_random(sim) < sim->settings.nonsense) {
        talk_nonsense(call);
    } else if (start_query(call) && sim_random(sim) < sim->settings.cut_after_start) {
        sim->counts.cut++;
        call->answer->cut = true;
    }
}

/* --- looking at queries ----------------------------------------------------------------------- */

/* Seconds with milliseconds, as Athena gives them. */
static double to_seconds(int64_t us) {
    return (double)(us / 1000) / 1000.0;
}

static void add_status(cJSON *to, const struct sim_query *q, int64_t now_us) {
    cJSON *status = cJSON_AddObjectToObject(to, "Status");
    cJSON_AddStringToObject(status, "State", sim_query_state(q, now_us));
    cJSON_AddNumberToObject(status, "SubmissionDateTime", to_seconds(q->submitted_us));
    if (!q->ended)
        return;
    cJSON_AddNumberToObject(status, "CompletionDateTime", to_seconds(q->ends_us));
    const char *reason = *q->sql.reason != '\0'     ? q->sql.reason
                         : q->sql.end == SIM_FAILED ? "GENERIC_USER_ERROR: asked for in the query"
                         : q->sql.end == SIM_CANCELLED ? "Query cancelled by user"
                                                       : NULL;
    if (reason != NULL)
        cJSON_AddStringToObject(status, "StateChangeReason", reason);
    if (q->sql.end != SIM_FAILED)
        return;
    cJSON *error = cJSON_AddObjectToObject(status, "AthenaError");
    cJSON_AddNumberToObject(error, "ErrorCategory", 2); /* the user's */
    cJSON_AddNumberToObject(error, "ErrorType", 1006);
    cJSON_AddBoolToObject(error, "Retryable", false);
    cJSON_AddStringToObject(error, "ErrorMessage", reason);
}

static void add_statistics(cJSON *to, const struct sim_query *q, int64_t now_us) {
    cJSON *statistics = cJSON_AddObjectToObject(to, "Statistics");
    int64_t until_us = q->ended ? q->ends_us : now_us;
    int64_t begun_us = until_us < q->begins_us ? until_us : q->begins_us;
    int64_t ran_ms = (until_us - begun_us) / 1000;
    cJSON_AddNumberToObject(statistics, "DataScannedInBytes",
                            q->sql.lane == SIM_DML ? (double)ran_ms * 1048576 : 0);
    cJSON_AddNumberToObject(statistics, "EngineExecutionTimeInMillis", (double)ran_ms);
    cJSON_AddNumberToObject(statistics, "QueryQueueTimeInMillis",
                            (double)((begun_us - q->submitted_us) / 1000));
    cJSON_AddNumberToObject(statistics, "TotalExecutionTimeInMillis",
                            (double)((until_us - q->submitted_us) / 1000));
}

static void add_output_location(cJSON *to, const struct sim_query *q) {
    const char *folder =
        q->output_location != NULL ? q->output_location : "s3://athena-sim-results/";
    size_t n = strlen(folder);
    char location[1200];
    snprintf(location, sizeof location, "%s%s%s.%s", folder, folder[n - 1] == '/' ? "" : "/", q->id,
             q->sql.lane == SIM_DML ? "csv" : "txt");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(to, "ResultConfiguration"), "OutputLocation",
                            location);
}

/* No result is really kept: each query runs. */
static void add_reuse(cJSON *to, const struct sim_query *q) {
    cJSON *reuse = cJSON_AddObjectToObject(to, "ResultReuseConfiguration");
    cJSON *by_age = cJSON_AddObjectToObject(reuse, "ResultReuseByAgeConfiguration");
    cJSON_AddBoolToObject(by_age, "Enabled", q->reuse_minutes >= 0);
    if (q->reuse_minutes >= 0)
        cJSON_AddNumberToObject(by_age, "MaxAgeInMinutes", q->reuse_minutes);
}

static cJSON *query_json(const struct sim_query *q, int64_t now_us) {
    cJSON *one = cJSON_CreateObject();
    cJSON_AddStringToObject(one, "QueryExecutionId", q->id);
    cJSON_AddStringToObject(one, "Query", q->text != NULL ? q->text : "");
    cJSON_AddStringToObject(one, "StatementType", q->sql.statement_type);
    add_output_location(one, q);
    add_reuse(one, q);
    cJSON *context = cJSON_AddObjectToObject(one, "QueryExecutionContext");
    if (q->database != NULL)
        cJSON_AddStringToObject(context, "Database", q->database);
    if (q->catalog != NULL)
        cJSON_AddStringToObject(context, "Catalog", q->catalog);
    add_status(one, q, now_us);
    add_statistics(one, q, now_us);
    cJSON_AddStringToObject(one, "WorkGroup", q->work_group != NULL ? q->work_group : "primary");
    cJSON *engine = cJSON_AddObjectToObject(one, "EngineVersion");
    cJSON_AddStringToObject(engine, "SelectedEngineVersion", "AUTO");
    cJSON_AddStringToObject(engine, "EffectiveEngineVersion", "Athena engine version 3");
    return one;
}

/* The query that QueryExecutionId names; NULL where the answer already says what is wrong. */
static struct sim_query *find_query(const struct sim_call *call) {
    const char *id;
    char message[200];
    sim_state_advance(&call->sim->state, call->now_us);
    if (!read_string(call, call->in, "QueryExecutionId", 1, NAME_MAX_TEXT, &id))
        return NULL;
    struct sim_query *q = id != NULL ? sim_state_get(&call->sim->state, id) : NULL;
    if (q == NULL) {
        snprintf(message, sizeof message, "QueryExecution %.128s was not found",
                 id != NULL ? id : "");
        invalid(call, "INVALID_INPUT", message);
    }
    return q;
}

void sim_get_query_execution(const struct sim_call *call) {
    const struct sim_query *q = find_query(call);
    if (q == NULL)
        return;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddItemToObject(body, "QueryExecution", query_json(q, call->now_us));
    sim_answer_json(call->answer, 200, body);
}

static bool ids_sound(const struct sim_call *call, const cJSON *ids) {
    if (ids != NULL && !cJSON_IsArray(ids))
        return wrong_type(call, "QueryExecutionIds");
    int count = ids != NULL ? cJSON_GetArraySize(ids) : 0;
    if (count < 1 || count > BATCH_MAX)
        return out_of_bounds(call, "queryExecutionIds", 1, BATCH_MAX);
    for (const cJSON *id = ids->child; id != NULL; id = id->next)
        if (!cJSON_IsString(id))
            return wrong_type(call, "QueryExecutionIds");
    return true;
}

void sim_batch_get_query_execution(const struct sim_call *call) {
    const cJSON *ids = sim_json_member(call->in, "QueryExecutionIds");
    if (!ids_sound(call, ids))
        return;
    sim_state_advance(&call->sim->state, call->now_us);
    cJSON *body = cJSON_CreateObject();
    cJSON *found = cJSON_AddArrayToObject(body, "QueryExecutions");
    cJSON *unprocessed = cJSON_AddArrayToObject(body, "UnprocessedQueryExecutionIds");
    for (const cJSON *id = ids->child; id != NULL; id = id->next) {
        const struct sim_query *q = sim_state_get(&call->sim->state, id->valuestring);
        if (q != NULL) {
            cJSON_AddItemToArray(found, query_json(q, call->now_us));
            continue;
        }
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "QueryExecutionId", id->valuestring);
        cJSON_AddStringToObject(one, "ErrorCode", "INVALID_INPUT");
        cJSON_AddStringToObject(one, "ErrorMessage", "QueryExecution was not found");
        cJSON_AddItemToArray(unprocessed, one);
    }
    sim_answer_json(call->answer, 200, body);
}

void sim_stop_query_execution(const struct sim_call *call) {
    struct sim_query *q = find_query(call);
    if (q == NULL)
        return;
    sim_state_stop(&call->sim->state, q, call->now_us);
    sim_answer_json(call->answer, 200, cJSON_CreateObject());
}
