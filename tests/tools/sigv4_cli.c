/*
 * Signs the requests on stdin, so that a test can compare common/aws/sigv4.h with another signer.
 *
 * Reads one JSON object a line: method, path, query, headers ([[name, value], ...]), body_hex,
 * region, service, time, access_key_id, secret_access_key, and optionally session_token and
 * expires_seconds. Writes one JSON object a line: `canonical`, the canonical request, and `signed`,
 * which is the Authorization header, or the query string where expires_seconds was given. Exit
 * status 100: a line could not be read; 1: a request could not be signed.
 */
#include <cjson/cJSON.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/sigv4.h"
#include "common/base/memory.h"

#define HEADERS_MAX 64

static void bad_line(const char *what) {
    fprintf(stderr, "sigv4_cli: %s\n", what);
    exit(100);
}

static const char *optional_string(const cJSON *o, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
}

static const char *string_at(const cJSON *o, const char *key) {
    const char *s = optional_string(o, key);
    if (s == NULL)
        bad_line(key);
    return s;
}

/* 0 when it is not there. */
static int64_t integer_at(const cJSON *o, const char *key) {
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsNumber(n) ? (int64_t)n->valuedouble : 0;
}

static size_t read_headers(const cJSON *o, struct sigv4_header headers[HEADERS_MAX]) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "headers");
    const cJSON *pair;
    size_t count = 0;
    if (!cJSON_IsArray(list))
        bad_line("headers");
    cJSON_ArrayForEach(pair, list) {
        const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(pair, 0));
        const char *value = cJSON_GetStringValue(cJSON_GetArrayItem(pair, 1));
        if (name == NULL || value == NULL || count == HEADERS_MAX)
            bad_line("headers");
        headers[count++] = (struct sigv4_header){name, value};
    }
    return count;
}

/* The caller frees with OPENSSL_free(). */
static unsigned char *read_body(const cJSON *o, size_t *len) {
    const char *hex = string_at(o, "body_hex");
    long n = 0;
    unsigned char *body = hex[0] != '\0' ? OPENSSL_hexstr2buf(hex, &n) : NULL;
    if (hex[0] != '\0' && body == NULL)
        bad_line("body_hex");
    *len = (size_t)n;
    return body;
}

static bool sign(const struct sigv4_request *r, const struct sigv4_keys *keys,
                 int64_t expires_seconds, struct buffer *out) {
    if (expires_seconds != 0)
        return sigv4_presign(r, keys, expires_seconds, out);
    struct sigv4_signed s;
    if (!sigv4_sign_headers(r, keys, &s))
        return false;
    buffer_puts(out, s.authorization);
    sigv4_signed_free(&s);
    return !out->failed;
}

static bool answer(const cJSON *o) {
    struct sigv4_header headers[HEADERS_MAX];
    struct sigv4_request r = {.method = string_at(o, "method"),
                              .path = string_at(o, "path"),
                              .query = string_at(o, "query"),
                              .headers = headers,
                              .header_count = read_headers(o, headers),
                              .region = string_at(o, "region"),
                              .service = string_at(o, "service"),
                              .time = integer_at(o, "time")};
    unsigned char *body = read_body(o, &r.body_len);
    r.body = body;
    const struct sigv4_keys keys = {string_at(o, "access_key_id"),
                                    string_at(o, "secret_access_key"),
                                    optional_string(o, "session_token")};
    int64_t expires_seconds = integer_at(o, "expires_seconds");

    struct buffer canonical, text, line;
    buffer_init(&canonical, SIGV4_CANONICAL_MAX);
    buffer_init(&text, SIGV4_CANONICAL_MAX);
    buffer_init(&line, 16 * SIGV4_CANONICAL_MAX);
    bool ok = sigv4_canonical_request(&r, &keys, expires_seconds, &canonical) &&
              sign(&r, &keys, expires_seconds, &text);
    buffer_puts(&line, "{\"canonical\": ");
    buffer_json_string(&line, buffer_text(&canonical), canonical.len);
    buffer_puts(&line, ", \"signed\": ");
    buffer_json_string(&line, buffer_text(&text), text.len);
    buffer_putc(&line, '}');
    ok = ok && !line.failed && puts(buffer_text(&line)) >= 0;
    buffer_free(&canonical);
    buffer_free(&text);
    buffer_free(&line);
    OPENSSL_free(body);
    return ok;
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    bool ok = true;
    while (ok && getline(&line, &room, stdin) > 0) {
        cJSON *request = cJSON_Parse(line);
        if (request == NULL)
            bad_line("a line that is not JSON");
        ok = answer(request);
        cJSON_Delete(request);
    }
    free(line);
    return ok && fflush(stdout) == 0 ? 0 : 1;
}
