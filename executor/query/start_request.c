#include "executor/query/start_request.h"

#include <stdio.h>
#include <string.h>

typedef bool match_fn(const char *entry, size_t n, const char *value);

static bool is_same(const char *entry, size_t n, const char *value) {
    return strlen(value) == n && memcmp(entry, value, n) == 0;
}

/* S3 does not resolve a path segment "..", but programs that read the results may. */
static bool has_parent_segment(const char *path) {
    size_t n = strlen(path);
    return strstr(path, "/../") != NULL || (n >= 3 && strcmp(path + n - 3, "/..") == 0);
}

/* The entries s3://a/b and s3://a/b/ cover the same. */
static bool is_under(const char *entry, size_t n, const char *value) {
    while (n > 0 && entry[n - 1] == '/')
        n--;
    return strncmp(value, entry, n) == 0 && (value[n] == '\0' || value[n] == '/') &&
           !has_parent_segment(value);
}

static bool any_of(const char *list, match_fn *matches, const char *value) {
    for (const char *at = list; at != NULL && *at != '\0';) {
        at += strspn(at, ", ");
        size_t n = strcspn(at, ", ");
        if (n > 0 && matches(at, n, value))
            return true;
        at += n;
    }
    return false;
}

static bool is_invalid(const char *entry, size_t n, const char *field) {
    struct buffer request;
    struct query q = {0};
    char detail[256];
    buffer_init(&request, 64 * 1024);
    buffer_printf(&request, "{\"query\":\"SELECT 1\",\"%s\":", field);
    buffer_json_string(&request, entry, n);
    buffer_putc(&request, '}');
    bool valid = !request.failed &&
                 query_read(buffer_text(&request), request.len, &q, detail, sizeof detail);
    query_free(&q);
    buffer_free(&request);
    return !valid;
}

bool start_list_is_valid(const char *list, const char *field) {
    return !any_of(list, is_invalid, field);
}

static bool is_default(const char *fallback, const char *value) {
    return fallback != NULL && strcmp(fallback, value) == 0;
}

bool start_allowed(const struct start_defaults *d, const struct query *q, char *why,
                   size_t why_size) {
    if (q->work_group != NULL && !is_default(d->work_group, q->work_group) &&
        !any_of(d->allowed_workgroups, is_same, q->work_group)) {
        snprintf(why, why_size, "workGroup %s is not among ALLOWED_WORKGROUPS", q->work_group);
        return false;
    }
    if (q->output_location != NULL && !is_default(d->output_location, q->output_location) &&
        !any_of(d->allowed_output_locations, is_under, q->output_location)) {
        snprintf(why, why_size, "outputLocation %s is not under ALLOWED_OUTPUT_LOCATIONS",
                 q->output_location);
        return false;
    }
    return true;
}

static const char *either(const char *chosen, const char *fallback) {
    return chosen != NULL ? chosen : fallback;
}

static void write_member(struct buffer *out, const char *name, const char *value) {
    if (value == NULL)
        return;
    if (out->len > 0 && out->data[out->len - 1] != '{')
        buffer_putc(out, ',');
    buffer_printf(out, "\"%s\":", name);
    buffer_json_string(out, value, strlen(value));
}

void start_request_write(const struct start_defaults *d, const struct query *q, const char *token,
                         struct buffer *out) {
    buffer_puts(out, "{\"QueryString\":");
    buffer_json_string(out, q->text, q->text_len);
    write_member(out, "ClientRequestToken", token);
    write_member(out, "WorkGroup", either(q->work_group, d->work_group));
    buffer_puts(out, ",\"QueryExecutionContext\":{");
    write_member(out, "Database", either(q->database, d->database));
    write_member(out, "Catalog", either(q->catalog, d->catalog));
    buffer_puts(out, "}");
    const char *location = either(q->output_location, d->output_location);
    if (location != NULL) {
        buffer_puts(out, ",\"ResultConfiguration\":{");
        write_member(out, "OutputLocation", location);
        buffer_puts(out, "}");
    }
    if (q->reuses_result)
        buffer_printf(out,
                      ",\"ResultReuseConfiguration\":{\"ResultReuseByAgeConfiguration\":{"
                      "\"Enabled\":true,\"MaxAgeInMinutes\":%d}}",
                      q->reuse_max_age_minutes);
    for (size_t i = 0; i < q->parameter_count; i++) {
        buffer_puts(out, i == 0 ? ",\"ExecutionParameters\":[" : ",");
        buffer_json_string(out, q->parameters[i], strlen(q->parameters[i]));
    }
    buffer_puts(out, q->parameter_count > 0 ? "]}" : "}");
}
