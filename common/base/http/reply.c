#include "common/base/http/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/http/tls.h"

enum {
    RAW_MAX = 8192
};

static void reply_add(struct MHD_Response *reply, const char *name, const char *value) {
    if (value != NULL)
        MHD_add_response_header(reply, name, value);
}

struct MHD_Response *http_reply(struct http_response *r) {
    size_t n = r->body.len;
    char *body = buffer_take(&r->body);
    struct MHD_Response *reply = MHD_create_response_from_buffer(n, body, MHD_RESPMEM_MUST_FREE);
    if (reply == NULL) {
        free(body);
        return NULL;
    }
    reply_add(reply, "Content-Type", r->content_type);
    reply_add(reply, "Location", r->location);
    reply_add(reply, "Allow", r->allow);
    reply_add(reply, "WWW-Authenticate", r->authenticate);
    if (r->retry_after_s > 0) {
        char seconds[32];
        snprintf(seconds, sizeof seconds, "%lld", (long long)r->retry_after_s);
        reply_add(reply, "Retry-After", seconds);
    }
    if (r->no_store)
        reply_add(reply, "Cache-Control", "no-store");
    if (r->close)
        reply_add(reply, "Connection", "close");
    return reply;
}

static void *reply_session(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info != NULL ? info->tls_session : NULL;
}

void http_reply_raw(struct MHD_Connection *connection, const struct http_response *r) {
    struct buffer b;
    buffer_init(&b, RAW_MAX);
    buffer_printf(&b, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", r->status,
                  http_response_reason(r->status), r->content_type, r->body.len);
    if (r->retry_after_s > 0)
        buffer_printf(&b, "Retry-After: %lld\r\n", (long long)r->retry_after_s);
    buffer_printf(&b, "Connection: close\r\n\r\n%s", buffer_text(&r->body));
    void *session = reply_session(connection);
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
