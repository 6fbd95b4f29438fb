#include "executor/limit/fleet_record.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* One number of a report's lane. */
static const struct field {
    const char *name;
    enum {
        FIELD_INT,
        FIELD_INT64,
        FIELD_SECONDS,
    } type;
    size_t at;
} fields[] = {
#define AT(member) offsetof(struct quota_report, member)
    {"share", FIELD_INT, AT(share)},
    {"held", FIELD_INT, AT(held)},
    {"calls", FIELD_INT, AT(calls)},
    {"waiting", FIELD_INT, AT(waiting)},
    {"backlog", FIELD_INT64, AT(backlog)},
    {"limit", FIELD_INT, AT(limit)},
    {"starts", FIELD_INT64, AT(starts)},
    {"throttles", FIELD_INT64, AT(throttles)},
    {"throttledVersion", FIELD_INT64, AT(throttled_version)},
    {"sweptVersion", FIELD_INT64, AT(swept_version)},
    {"submitted", FIELD_SECONDS, AT(submitted)},
    {"countedAt", FIELD_SECONDS, AT(counted_at)},
    {"counted", FIELD_INT, AT(counted)},
#undef AT
};

void fleet_id_copy(char out[FLEET_ID_MAX], const char *id) {
    size_t n = strnlen(id, FLEET_ID_MAX - 1);
    memcpy(out, id, n);
    out[n] = '\0';
}

/* --- keys ------------------------------------------------------------------------------------- */

static const char member_prefix[] = "member/";

void fleet_record_key(enum fleet_kind kind, const char *id, char out[FLEET_KEY_MAX]) {
    if (kind == FLEET_CLAIM || kind == FLEET_GRANT)
        snprintf(out, FLEET_KEY_MAX, "%s", kind == FLEET_CLAIM ? "claim" : "grant");
    else
        snprintf(out, FLEET_KEY_MAX, "%s%s", member_prefix, id);
}

/* The key of a tombstone. */
static bool read_leave(const char *key, size_t key_len, char id[FLEET_ID_MAX]) {
    size_t prefix = sizeof member_prefix - 1;
    if (key_len <= prefix || key_len - prefix >= FLEET_ID_MAX ||
        memcmp(key, member_prefix, prefix) != 0)
        return false;
    memcpy(id, key + prefix, key_len - prefix);
    id[key_len - prefix] = '\0';
    return true;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void write_id(const char *id, struct buffer *out) {
    buffer_puts(out, "\"id\":");
    buffer_json_string(out, id, strlen(id));
}

void fleet_write_claim(const char *id, struct buffer *out) {
    buffer_puts(out, "{\"claim\":{");
    write_id(id, out);
    buffer_puts(out, "}}");
}

static void write_share(const struct fleet_share *s, struct buffer *out) {
    buffer_puts(out, "{");
    write_id(s->id, out);
    buffer_puts(out, ",\"lanes\":[");
    for (int lane = 0; lane < LANES; lane++)
        buffer_printf(out, "%s%d", lane > 0 ? "," : "", s->lanes[lane]);
    buffer_puts(out, "]}");
}

void fleet_write_grant(const struct fleet_grant *g, struct buffer *out) {
    buffer_printf(out, "{\"grant\":{\"epoch\":%lld,\"version\":%lld,\"lanes\":[",
                  (long long)g->epoch, (long long)g->version);
    for (int lane = 0; lane < LANES; lane++)
        buffer_printf(out, "%s{\"limit\":%d,\"learned\":%s,\"check\":%d,\"checkAt\":%.3f}",
                      lane > 0 ? "," : "", g->lanes[lane].limit,
                      g->lanes[lane].learned ? "true" : "false", (int)g->lanes[lane].check,
                      g->lanes[lane].check_at);
    buffer_puts(out, "],\"shares\":[");
    for (size_t i = 0; i < g->count; i++) {
        buffer_puts(out, i > 0 ? "," : "");
        write_share(&g->shares[i], out);
    }
    buffer_puts(out, "]}}");
}

static void write_lane(const struct quota_report *r, struct buffer *out) {
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *at = (const char *)r + fields[i].at;
        buffer_printf(out, "%s\"%s\":", i > 0 ? "," : "{", fields[i].name);
        if (fields[i].type == FIELD_INT)
            buffer_printf(out, "%d", *(const int *)(const void *)at);
        else if (fields[i].type == FIELD_INT64)
            buffer_printf(out, "%lld", (long long)*(const int64_t *)(const void *)at);
        else
            buffer_printf(out, "%.3f", *(const double *)(const void *)at);
    }
    buffer_puts(out, "}");
}

void fleet_write_report(const struct fleet_report *r, struct buffer *out) {
    buffer_puts(out, "{\"report\":{");
    write_id(r->id, out);
    buffer_printf(out, ",\"version\":%lld,\"lanes\":[", (long long)r->version);
    for (int lane = 0; lane < LANES; lane++) {
        buffer_puts(out, lane > 0 ? "," : "");
        write_lane(&r->lanes[lane], out);
    }
    buffer_puts(out, "]}}");
}

/* --- reading ---------------------------------------------------------------------------------- */

/* 0: it is missing or out of range. */
static double number_in(const cJSON *number, double max) {
    double value = cJSON_IsNumber(number) ? number->valuedouble : 0;
    return value >= -1 && value <= max ? value : 0;
}

/* The sum of as many as there are members stays an int. */
static int int_in(const cJSON *number) {
    int value = (int)number_in(number, 1000000);
    return value > 0 ? value : 0;
}

static double number_of(const cJSON *object, const char *name, double max) {
    return number_in(cJSON_GetObjectItemCaseSensitive(object, name), max);
}

static int int_of(const cJSON *object, const char *name) {
    return int_in(cJSON_GetObjectItemCaseSensitive(object, name));
}

static int64_t int64_of(const cJSON *object, const char *name) {
    return (int64_t)number_of(object, name, 9007199254740992.0);
}

static bool read_id(const cJSON *object, char id[FLEET_ID_MAX]) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "id"));
    if (text == NULL || *text == '\0' || strlen(text) >= FLEET_ID_MAX)
        return false;
    memcpy(id, text, strlen(text) + 1);
    return true;
}

static bool read_lanes(const cJSON *object, const cJSON *lanes[LANES]) {
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, "lanes");
    for (int lane = 0; lane < LANES; lane++)
        if ((lanes[lane] = cJSON_GetArrayItem(array, lane)) == NULL)
            return false;
    return true;
}

static bool read_shares(const cJSON *grant, struct fleet_grant *g) {
    const cJSON *share;
    cJSON_ArrayForEach(share, cJSON_GetObjectItemCaseSensitive(grant, "shares")) {
        const cJSON *lanes[LANES];
        if (g->count == FLEET_MEMBERS_MAX)
            break;
        struct fleet_share *s = &g->shares[g->count++];
        if (!read_id(share, s->id) || !read_lanes(share, lanes))
            return false;
        for (int lane = 0; lane < LANES; lane++)
            s->lanes[lane] = int_in(lanes[lane]);
    }
    return true;
}

static bool read_grant(const cJSON *grant, struct fleet_grant *g) {
    const cJSON *lanes[LANES];
    *g = (struct fleet_grant){.epoch = int64_of(grant, "epoch"),
                              .version = int64_of(grant, "version")};
    if (g->version <= 0 || !read_lanes(grant, lanes))
        return false;
    for (int lane = 0; lane < LANES; lane++) {
        int check = int_of(lanes[lane], "check");
        g->lanes[lane].limit = int_of(lanes[lane], "limit");
        g->lanes[lane].learned =
            cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(lanes[lane], "learned"));
        g->lanes[lane].check = check <= QUOTA_CHECK_COUNT ? (enum quota_check)check : 0;
        g->lanes[lane].check_at = number_of(lanes[lane], "checkAt", 1e11);
    }
    return read_shares(grant, g);
}

static void read_lane(const cJSON *lane, struct quota_report *r) {
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        void *at = (char *)r + fields[i].at;
        if (fields[i].type == FIELD_INT)
            *(int *)at = int_of(lane, fields[i].name);
        else if (fields[i].type == FIELD_INT64)
            *(int64_t *)at = int64_of(lane, fields[i].name);
        else
            *(double *)at = number_of(lane, fields[i].name, 1e11);
    }
}

static bool read_report(const cJSON *report, struct fleet_report *r) {
    const cJSON *lanes[LANES];
    memset(r, 0, sizeof *r);
    r->version = int64_of(report, "version");
    if (!read_id(report, r->id) || !read_lanes(report, lanes))
        return false;
    for (int lane = 0; lane < LANES; lane++)
        read_lane(lanes[lane], &r->lanes[lane]);
    return true;
}

static bool read_value(const cJSON *root, struct fleet_record *out) {
    const cJSON *claim = cJSON_GetObjectItemCaseSensitive(root, "claim");
    const cJSON *grant = cJSON_GetObjectItemCaseSensitive(root, "grant");
    const cJSON *report = cJSON_GetObjectItemCaseSensitive(root, "report");
    out->kind = claim != NULL ? FLEET_CLAIM : grant != NULL ? FLEET_GRANT : FLEET_REPORT;
    return claim != NULL   ? read_id(claim, out->id)
           : grant != NULL ? read_grant(grant, &out->grant)
                           : report != NULL && read_report(report, &out->report);
}

bool fleet_record_read(const void *key, size_t key_len, const void *value, size_t value_len,
                       struct fleet_record *out) {
    if (value == NULL) {
        out->kind = FLEET_LEAVE;
        return key != NULL && read_leave(key, key_len, out->id);
    }
    cJSON *root = cJSON_ParseWithLength(value, value_len);
    bool read = root != NULL && read_value(root, out);
    cJSON_Delete(root);
    return read;
}
