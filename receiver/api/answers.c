#include "receiver/api/answers.h"

#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX = 65536,
    LOCATION_MAX = 4096
};

static const char json_type[] = "application/json";
static const char problem_type[] = "application/problem+json";

void answer_free(struct answer *a) {
    buffer_free(&a->body);
    free(a->location);
    memset(a, 0, sizeof *a);
}

const char *answer_reason(int status) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {202, "Accepted"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {429, "Too Many Requests"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Error";
}

static void add_member(struct buffer *b, const char *name, const char *text) {
    buffer_printf(b, ",\"%s\":", name);
    buffer_json_string(b, text, strlen(text));
}

static void begin_problem(struct answer *a, int status) {
    a->status = status;
    a->content_type = problem_type;
    buffer_init(&a->body, BODY_MAX);
    buffer_printf(&a->body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d",
                  answer_reason(status), status);
}

void answer_problem(struct answer *a, int status, const char *detail) {
    begin_problem(a, status);
    add_member(&a->body, "detail", detail);
    buffer_puts(&a->body, "}\n");
}

void answer_not_accepted(struct answer *a, const char *query_id, const char *why,
                         int64_t retry_after_s) {
    struct buffer detail;
    buffer_init(&detail, 4096);
    buffer_printf(&detail, "The query was not accepted: %s. Post it again with the same queryId.",
                  why);
    begin_problem(a, 503);
    add_member(&a->body, "detail", buffer_text(&detail));
    add_member(&a->body, "queryId", query_id);
    buffer_puts(&a->body, "}\n");
    a->retry_after_s = retry_after_s;
    buffer_free(&detail);
}

static char *make_location(const struct accepted *what) {
    struct buffer b;
    buffer_init(&b, LOCATION_MAX);
    buffer_printf(&b, "%s/athena/query/", what->path_prefix);
    buffer_percent_encode(&b, what->query_id, strlen(what->query_id));
    if (what->user_id[0] != '\0') {
        buffer_puts(&b, "?userId=");
        buffer_percent_encode(&b, what->user_id, strlen(what->user_id));
    }
    return buffer_take(&b);
}

void answer_accepted(struct answer *a, const struct accepted *what) {
    a->status = 202;
    a->content_type = json_type;
    a->location = make_location(what);
    buffer_init(&a->body, BODY_MAX);
    buffer_puts(&a->body, "{\"queryId\":");
    buffer_json_string(&a->body, what->query_id, strlen(what->query_id));
    add_member(&a->body, "state", status_state_name(STATUS_QUEUED));
    add_member(&a->body, "topic", what->topic);
    buffer_printf(&a->body, ",\"partition\":%d,\"offset\":%lld}\n", (int)what->partition,
                  (long long)what->offset);
}

void answer_status(struct answer *a, const struct status *s) {
    a->status = 200;
    a->content_type = json_type;
    buffer_init(&a->body, BODY_MAX);
    status_write(s, false, &a->body);
    buffer_putc(&a->body, '\n');
}
