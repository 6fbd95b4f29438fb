#include "common/base/http/tls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

enum {
    PEM_MAX = 1024 * 1024
};

static char *load(const char *variable, const char *path, struct buffer *faults) {
    if (path == NULL)
        return NULL;
    gnutls_datum_t file;
    int err = gnutls_load_file(path, &file);
    if (err != GNUTLS_E_SUCCESS) {
        buffer_printf(faults, "%s: %s cannot be read: %s\n", variable, path,
                      errno != 0 ? strerror(errno) : gnutls_strerror(err));
        return NULL;
    }
    char *text = NULL;
    if (file.size > PEM_MAX || memchr(file.data, '\0', file.size) != NULL)
        buffer_printf(faults, "%s: %s is no PEM file\n", variable, path);
    else
        text = mem_bytes(file.data, file.size);
    gnutls_memset(file.data, 0, file.size);
    gnutls_free(file.data);
    return text;
}

static gnutls_datum_t datum(char *text) {
    return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

/* What libmicrohttpd will do with them, so that a fault is said before it. */
static void try_out(const struct http_tls *tls, struct buffer *faults) {
    gnutls_certificate_credentials_t credentials;
    if (gnutls_certificate_allocate_credentials(&credentials) != GNUTLS_E_SUCCESS)
        return;
    gnutls_datum_t cert = datum(tls->cert), key = datum(tls->key);
    int err = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    if (err < 0)
        buffer_printf(faults, "TLS_CERT_FILE: does not go with TLS_KEY_FILE: %s\n",
                      gnutls_strerror(err));
    if (tls->client_ca != NULL) {
        gnutls_datum_t ca = datum(tls->client_ca);
        err = gnutls_certificate_set_x509_trust_mem(credentials, &ca, GNUTLS_X509_FMT_PEM);
        if (err <= 0)
            buffer_printf(faults, "TLS_CLIENT_CA_FILE: holds no certificate\n");
    }
    gnutls_certificate_free_credentials(credentials);
}

bool http_tls_load(const char *cert_file, const char *key_file, const char *ca_file,
                   struct http_tls *out, struct buffer *faults) {
    size_t before = faults->len;
    *out = (struct http_tls){0};
    if (cert_file != NULL && key_file == NULL)
        buffer_puts(faults, "TLS_KEY_FILE: must be set together with TLS_CERT_FILE\n");
    if (cert_file == NULL && key_file != NULL)
        buffer_puts(faults, "TLS_CERT_FILE: must be set together with TLS_KEY_FILE\n");
    if (ca_file != NULL && cert_file == NULL)
        buffer_puts(faults, "TLS_CLIENT_CA_FILE: needs TLS_CERT_FILE and TLS_KEY_FILE\n");
    out->cert = load("TLS_CERT_FILE", cert_file, faults);
    out->key = load("TLS_KEY_FILE", key_file, faults);
    out->client_ca = load("TLS_CLIENT_CA_FILE", ca_file, faults);
    if (faults->len == before && out->cert != NULL)
        try_out(out, faults);
    if (faults->len == before)
        return true;
    http_tls_free(out);
    return false;
}

void http_tls_free(struct http_tls *tls) {
    free(tls->cert);
    free(tls->client_ca);
    if (tls->key != NULL)
        mem_wipe_free(tls->key, strlen(tls->key));
    *tls = (struct http_tls){0};
}

bool http_tls_client_trusted(void *session) {
    unsigned status = 0;
    return gnutls_certificate_verify_peers2(session, &status) == GNUTLS_E_SUCCESS && status == 0;
}

void http_tls_send(void *session, const char *bytes, size_t n) {
    ssize_t sent = gnutls_record_send(session, bytes, n);
    (void)sent;
}
