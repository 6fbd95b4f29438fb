#include "common/base/http/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/http/tls.h"

enum {
    RAW_MAX = 8192
};

struct MHD_Response *http_reply(struct answer *a) {
    size_t n = a->body.len;
    char *body = buffer_take(&a->body);
    struct MHD_Response *r = MHD_create_response_from_buffer(n, body, MHD_RESPMEM_MUST_FREE);
    if (r == NULL) {
        free(body);
        return NULL;
    }
    MHD_add_response_header(r, "Content-Type", a->content_type);
    if (a->location != NULL)
        MHD_add_response_header(r, "Location", a->location);
    if (a->allow != NULL)
        MHD_add_response_header(r, "Allow", a->allow);
    if (a->status == 401)
        MHD_add_response_header(r, "WWW-Authenticate", "ApiKey header=\"x-api-key\"");
    if (a->retry_after_s > 0) {
        char seconds[32];
        snprintf(seconds, sizeof seconds, "%lld", (long long)a->retry_after_s);
        MHD_add_response_header(r, "Retry-After", seconds);
    }
    if (a->close)
        MHD_add_response_header(r, "Connection", "close");
    return r;
}

static void *session_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info != NULL ? info->tls_session : NULL;
}

void http_reply_raw(struct MHD_Connection *connection, const struct answer *a) {
    struct buffer b;
    buffer_init(&b, RAW_MAX);
    buffer_printf(&b, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", a->status,
                  answer_reason(a->status), a->content_type, a->body.len);
    if (a->retry_after_s > 0)
        buffer_printf(&b, "Retry-After: %lld\r\n", (long long)a->retry_after_s);
    buffer_printf(&b, "Connection: close\r\n\r\n%s", buffer_text(&a->body));
    void *session = session_of(connection);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (session != NULL) {
        http_tls_send(session, b.data, b.len);
    } else if (info != NULL) {
        ssize_t sent = send(info->connect_fd, b.data, b.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)sent;
    }
    buffer_free(&b);
}
