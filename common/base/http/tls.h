/*
 * TLS of a server: its files, and what libmicrohttpd leaves to its user of a session. A session is
 * a gnutls_session_t.
 */
#ifndef COMMON_BASE_HTTP_TLS_H
#define COMMON_BASE_HTTP_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/base/must_check.h"

/* PEM, owned; client_ca NULL: clients are not asked for a certificate. */
struct http_tls {
    char *cert, *key, *client_ca;
};

/*
 * The variables' values: cert_file and key_file go together, ca_file needs both. Faults go to
 * `faults`, a line each, beginning with the variable's name. False: there was one.
 */
MUST_CHECK bool http_tls_load(const char *cert_file, const char *key_file, const char *ca_file,
                              struct http_tls *out, struct buffer *faults);
void http_tls_free(struct http_tls *tls);

/* The client of this session showed a certificate of the client CA that is valid now. */
bool http_tls_client_trusted(void *session);
/* Sends what fits without waiting; nothing before the handshake is done. */
void http_tls_send(void *session, const char *bytes, size_t n);

#endif
