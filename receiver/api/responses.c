#include "receiver/api/responses.h"

#include <string.h>

enum {
    BODY_MAX = 65536,
    LOCATION_MAX = 4096,
    DETAIL_MAX = 4096
};

static void response_begin(struct http_response *r, int status) {
    r->status = status;
    r->content_type = "application/json";
    buffer_init(&r->body, BODY_MAX);
}

static void response_member(struct buffer *b, const char *name, const char *value) {
    buffer_putc(b, '"');
    buffer_puts(b, name);
    buffer_puts(b, "\":");
    buffer_json_string(b, value, strlen(value));
    buffer_putc(b, ',');
}

static char *response_location(const struct accepted_query *what) {
    struct buffer b;
    buffer_init(&b, LOCATION_MAX);
    buffer_puts(&b, what->path_prefix);
    buffer_puts(&b, "/athena/query/");
    buffer_percent_encode(&b, what->query_id, strlen(what->query_id));
    if (what->user_id[0] != '\0') {
        buffer_puts(&b, "?userId=");
        buffer_percent_encode(&b, what->user_id, strlen(what->user_id));
    }
    return buffer_take(&b);
}

void response_accepted(struct http_response *r, const struct accepted_query *what) {
    response_begin(r, 202);
    r->location = response_location(what);
    buffer_putc(&r->body, '{');
    response_member(&r->body, "queryId", what->query_id);
    response_member(&r->body, "state", status_state_name(STATUS_QUEUED));
    response_member(&r->body, "topic", what->topic);
    buffer_puts(&r->body, "\"partition\":");
    buffer_number(&r->body, what->partition);
    buffer_puts(&r->body, ",\"offset\":");
    buffer_number(&r->body, what->offset);
    buffer_puts(&r->body, "}\n");
}

void response_not_accepted(struct http_response *r, const char *query_id, const char *why,
                           int64_t retry_after_s) {
    struct buffer detail;
    buffer_init(&detail, DETAIL_MAX);
    buffer_printf(&detail, "The query was not accepted: %s. Post it again with the same queryId.",
                  why);
    http_response_problem_with(r, 503, buffer_text(&detail), "queryId", query_id);
    r->retry_after_s = retry_after_s;
    buffer_free(&detail);
}

void response_status(struct http_response *r, const struct status *s) {
    response_begin(r, 200);
    status_write(s, false, &r->body);
    buffer_putc(&r->body, '\n');
}
