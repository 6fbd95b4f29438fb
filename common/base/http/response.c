#include "common/base/http/response.h"

#include <stdlib.h>
#include <string.h>

enum {
    PROBLEM_MAX = 65536
};

void http_response_free(struct http_response *r) {
    buffer_free(&r->body);
    free(r->location);
    memset(r, 0, sizeof *r);
}

const char *http_response_reason(int status) {
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
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Error";
}

static void problem_member(struct buffer *b, const char *name, const char *value) {
    buffer_printf(b, ",\"%s\":", name);
    buffer_json_string(b, value, strlen(value));
}

void http_response_problem_with(struct http_response *r, int status, const char *detail,
                                const char *name, const char *value) {
    r->status = status;
    r->content_type = "application/problem+json";
    buffer_init(&r->body, PROBLEM_MAX);
    buffer_printf(&r->body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d",
                  http_response_reason(status), status);
    problem_member(&r->body, "detail", detail);
    if (name != NULL)
        problem_member(&r->body, name, value);
    buffer_puts(&r->body, "}\n");
}

void http_response_problem(struct http_response *r, int status, const char *detail) {
    http_response_problem_with(r, status, detail, NULL, NULL);
}
