#include "standins/athena_sim/verify.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/base/buffer.h"
#include "common/base/hex.h"
#include "common/base/memory.h"

enum {
    SIGNED_HEADERS_MAX = 64,
    PARAMETERS_MAX = 256,
    CANONICAL_MAX = 1 << 20
};

/* The Authorization header, taken apart. */
struct authorization {
    char *text; /* owned; the rest points into it */
    const char *access_key_id, *date, *region, *service;
    const char *signed_headers[SIGNED_HEADERS_MAX]; /* as sent */
    size_t signed_count;
    const char *signed_list;
    const char *signature;
};

static void to_hex(const uint8_t *bytes, size_t n, char *hex) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * n] = '\0';
}

void sim_sha256_hex(const void *bytes, size_t n, char hex[65]) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256(bytes, n, digest);
    to_hex(digest, sizeof digest, hex);
}

const char *sim_header_of(const struct sim_request *r, const char *name) {
    for (size_t i = 0; i < r->header_count; i++)
        if (strcasecmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    return NULL;
}

static size_t count_headers(const struct sim_request *r, const char *name) {
    size_t count = 0;
    for (size_t i = 0; i < r->header_count; i++)
        count += strcasecmp(r->headers[i].name, name) == 0;
    return count;
}

/* --- Authorization ---------------------------------------------------------------------------- */

/* Cuts `*at` at the next `separator` and moves behind it; NULL where there is none. */
static char *cut(char **at, char separator) {
    char *from = *at, *end = strchr(from, separator);
    if (end == NULL)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return from;
}

static char *skip_spaces(char *s) {
    return s + strspn(s, " ");
}

/* `Credential=KEY/DATE/REGION/SERVICE/aws4_request` */
static bool read_credential(char *s, struct authorization *a) {
    a->access_key_id = cut(&s, '/');
    a->date = a->access_key_id != NULL ? cut(&s, '/') : NULL;
    a->region = a->date != NULL ? cut(&s, '/') : NULL;
    a->service = a->region != NULL ? cut(&s, '/') : NULL;
    return a->service != NULL && strcmp(s, "aws4_request") == 0 && *a->access_key_id != '\0' &&
           *a->region != '\0';
}

/* Lower case, sorted, none twice: AWS wants them so, a signer that does otherwise is wrong. */
static bool read_signed_headers(char *s, struct authorization *a) {
    a->signed_list = s;
    char *copy = strcpy(a->text, s);
    for (char *name; copy != NULL; a->signed_headers[a->signed_count++] = name) {
        name = copy;
        copy = strchr(copy, ';');
        if (copy != NULL)
            *copy++ = '\0';
        if (*name == '\0' || a->signed_count == SIGNED_HEADERS_MAX)
            return false;
        for (const char *c = name; *c != '\0'; c++)
            if (*c >= 'A' && *c <= 'Z')
                return false;
        if (a->signed_count > 0 && strcmp(a->signed_headers[a->signed_count - 1], name) >= 0)
            return false;
    }
    return true;
}

static bool read_part(char *part, char **credential, char **headers, char **signature) {
    struct {
        const char *name;
        char **to;
    } parts[] = {
        {"Credential=", credential}, {"SignedHeaders=", headers}, {"Signature=", signature}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t n = strlen(parts[i].name);
        if (strncmp(part, parts[i].name, n) != 0)
            continue;
        if (*parts[i].to != NULL)
            return false;
        *parts[i].to = part + n;
        return true;
    }
    return false;
}

/* `a->text` is to be freed in any case. */
static bool read_authorization(const char *header, struct authorization *a) {
    static const char algorithm[] = "AWS4-HMAC-SHA256 ";
    size_t n = strlen(header);
    memset(a, 0, sizeof *a);
    /* Room for the names of the signed headers, then the header, cut where it stands. */
    a->text = mem_zero(2 * n + 2);
    char *s = a->text + n + 1;
    memcpy(s, header, n);
    if (strncmp(s, algorithm, sizeof algorithm - 1) != 0)
        return false;
    char *credential = NULL, *headers = NULL, *signature = NULL;
    for (char *at = s + sizeof algorithm - 1; at != NULL;) {
        char *part = skip_spaces(at);
        at = strchr(part, ',');
        if (at != NULL)
            *at++ = '\0';
        if (!read_part(part, &credential, &headers, &signature))
            return false;
    }
    if (credential == NULL || headers == NULL || signature == NULL)
        return false;
    a->signature = signature;
    return read_credential(credential, a) && read_signed_headers(headers, a);
}

static bool is_signed(const struct authorization *a, const char *name) {
    for (size_t i = 0; i < a->signed_count; i++)
        if (strcmp(a->signed_headers[i], name) == 0)
            return true;
    return false;
}

/* --- the canonical request -------------------------------------------------------------------- */

/*
 * "." and ".." resolved, empty segments dropped; then percent-encoded once more, as every service
 * but S3 does.
 */
static void add_path(struct buffer *b, const char *path, size_t n) {
    const char *segments[PARAMETERS_MAX];
    size_t lengths[PARAMETERS_MAX], count = 0;
    for (const char *at = path, *end = path + n; at < end;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t len = (size_t)((slash != NULL ? slash : end) - at);
        if (len == 2 && memcmp(at, "..", 2) == 0)
            count -= count > 0;
        else if (len > 0 && !(len == 1 && *at == '.') && count < PARAMETERS_MAX)
            segments[count] = at, lengths[count++] = len;
        at = slash != NULL ? slash + 1 : end;
    }
    buffer_putc(b, '/');
    for (size_t i = 0; i < count; i++) {
        buffer_percent_encode(b, segments[i], lengths[i]);
        if (i + 1 < count || (n > 0 && path[n - 1] == '/'))
            buffer_putc(b, '/');
    }
}

/* Decoded and encoded again, so that each byte is in the one form that counts. */
static void add_recoded(struct buffer *b, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%' && i + 2 < n && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0) {
            c = (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]));
            i += 2;
        }
        buffer_percent_encode(b, &c, 1);
    }
}

static int compare_parameters(const void *a, const void *b) {
    /* By name, then value. '=' would sort behind '-' and '.', so it is held as \1. */
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_query(struct buffer *b, const char *query) {
    char *parameters[PARAMETERS_MAX];
    size_t count = 0;
    while (*query != '\0' && count < PARAMETERS_MAX) {
        size_t n = strcspn(query, "&"), name = strcspn(query, "=&");
        struct buffer one;
        buffer_init(&one, CANONICAL_MAX);
        add_recoded(&one, query, name);
        buffer_putc(&one, '\1');
        if (name < n)
            add_recoded(&one, query + name + 1, n - name - 1);
        if (n > 0)
            parameters[count++] = buffer_take(&one);
        buffer_free(&one);
        query += n + (query[n] == '&');
    }
    if (count > 1)
        qsort(parameters, count, sizeof *parameters, compare_parameters);
    for (size_t i = 0; i < count; i++) {
        *strchr(parameters[i], '\1') = '=';
        if (i > 0)
            buffer_putc(b, '&');
        buffer_puts(b, parameters[i]);
        free(parameters[i]);
    }
}

static void add_trimmed(struct buffer *b, const char *value) {
    bool space = false, begun = false;
    for (; *value != '\0'; value++) {
        if (*value == ' ' || *value == '\t' || *value == '\r' || *value == '\n') {
            space = begun;
            continue;
        }
        if (space)
            buffer_putc(b, ' ');
        space = false;
        begun = true;
        buffer_putc(b, *value);
    }
}

static bool add_header(struct buffer *b, const struct sim_request *r, const char *name) {
    bool found = false;
    buffer_puts(b, name);
    for (size_t i = 0; i < r->header_count; i++) {
        if (strcasecmp(r->headers[i].name, name) != 0)
            continue;
        buffer_putc(b, found ? ',' : ':');
        add_trimmed(b, r->headers[i].value);
        found = true;
    }
    buffer_putc(b, '\n');
    return found;
}

/* False where a header was signed that did not come. */
static bool canonical_request(struct buffer *b, const struct sim_request *r,
                              const struct authorization *a, const char *body_hash) {
    size_t path = strcspn(r->target, "?");
    buffer_printf(b, "%s\n", r->method);
    add_path(b, r->target, path);
    buffer_putc(b, '\n');
    add_query(b, r->target[path] == '?' ? r->target + path + 1 : "");
    buffer_putc(b, '\n');
    bool found = true;
    for (size_t i = 0; i < a->signed_count; i++)
        found = add_header(b, r, a->signed_headers[i]) && found;
    buffer_printf(b, "\n%s\n%s", a->signed_list, body_hash);
    return found;
}

/* --- the signature ---------------------------------------------------------------------------- */

static void hmac(const void *key, size_t key_len, const char *text, uint8_t out[32]) {
    unsigned len = 32;
    HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), out, &len);
}

static void sign(const struct authorization *a, const char *secret, const char *amz_date,
                 const char *canonical, size_t canonical_len, char signature[65]) {
    struct buffer key, text;
    uint8_t k[32], next[32];
    char hash[65];
    buffer_init(&key, 4096);
    buffer_printf(&key, "AWS4%s", secret);
    hmac(buffer_text(&key), key.len, a->date, k);
    hmac(k, sizeof k, a->region, next);
    hmac(next, sizeof next, a->service, k);
    hmac(k, sizeof k, "aws4_request", next);
    sim_sha256_hex(canonical, canonical_len, hash);
    buffer_init(&text, 4096);
    buffer_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", amz_date, a->date,
                  a->region, a->service, hash);
    hmac(next, sizeof next, buffer_text(&text), k);
    to_hex(k, sizeof k, signature);
    buffer_free(&text);
    buffer_free(&key);
}

/* `20260102T030405Z`, nothing else. */
static bool read_amz_date(const char *s, int64_t *at_s) {
    struct tm t;
    memset(&t, 0, sizeof t);
    if (strlen(s) != 16)
        return false;
    for (size_t i = 0; i < 15; i++)
        if (i != 8 && (s[i] < '0' || s[i] > '9'))
            return false;
    if (s[8] != 'T' || s[15] != 'Z' || strptime(s, "%Y%m%dT%H%M%SZ", &t) == NULL)
        return false;
    *at_s = timegm(&t);
    return true;
}

/* --- the verdict ------------------------------------------------------------------------------ */

struct check {
    const struct sim_request *r;
    struct authorization a;
    int64_t now_s;
    char *detail;
    size_t detail_size;
};

static enum sim_verdict say(const struct check *c, enum sim_verdict verdict, const char *text) {
    snprintf(c->detail, c->detail_size, "%s", text);
    return verdict;
}

static enum sim_verdict check_date(const struct check *c, const char *amz_date) {
    int64_t at_s;
    if (!read_amz_date(amz_date, &at_s))
        return say(c, SIM_INCOMPLETE, "Date must be in ISO-8601 'basic format'.");
    if (at_s < c->now_s - SIM_CLOCK_SKEW_S) {
        snprintf(c->detail, c->detail_size, "Signature expired: %s is %lld s in the past", amz_date,
                 (long long)(c->now_s - at_s));
        return SIM_BAD_SIGNATURE;
    }
    if (at_s > c->now_s + SIM_CLOCK_SKEW_S) {
        snprintf(c->detail, c->detail_size, "Signature not yet current: %s is %lld s in the future",
                 amz_date, (long long)(at_s - c->now_s));
        return SIM_BAD_SIGNATURE;
    }
    if (strlen(c->a.date) != 8 || strncmp(c->a.date, amz_date, 8) != 0)
        return say(c, SIM_BAD_SIGNATURE, "Date in Credential scope does not match X-Amz-Date.");
    return SIM_SIGNED;
}

static enum sim_verdict check_signed_headers(const struct check *c) {
    if (!is_signed(&c->a, "host") || !is_signed(&c->a, "x-amz-date"))
        return say(c, SIM_BAD_SIGNATURE, "'host' and 'x-amz-date' must be in SignedHeaders.");
    if (sim_header_of(c->r, "x-amz-security-token") != NULL &&
        !is_signed(&c->a, "x-amz-security-token"))
        return say(c, SIM_BAD_SIGNATURE, "'x-amz-security-token' must be in SignedHeaders.");
    static const char *const once[] = {"host", "x-amz-date", "x-amz-security-token",
                                       "x-amz-target"};
    for (size_t i = 0; i < sizeof once / sizeof *once; i++)
        if (count_headers(c->r, once[i]) > 1)
            return say(c, SIM_INCOMPLETE, "A header that may come once came twice.");
    return SIM_SIGNED;
}

static enum sim_verdict check_signature(const struct check *c, const struct sim_credential *who) {
    char body_hash[65], signature[65];
    sim_sha256_hex(c->r->body, c->r->body_len, body_hash);
    const char *told_hash = sim_header_of(c->r, "x-amz-content-sha256");
    if (told_hash != NULL && strcmp(told_hash, body_hash) != 0)
        return say(c, SIM_BAD_SIGNATURE, "'x-amz-content-sha256' is not the hash of the body.");
    struct buffer canonical;
    buffer_init(&canonical, CANONICAL_MAX);
    bool all_there = canonical_request(&canonical, c->r, &c->a, body_hash);
    enum sim_verdict verdict = SIM_SIGNED;
    if (!all_there || canonical.failed) {
        verdict = say(c, SIM_BAD_SIGNATURE, "SignedHeaders names a header that was not sent.");
    } else {
        sign(&c->a, who->secret_access_key, sim_header_of(c->r, "x-amz-date"),
             buffer_text(&canonical), canonical.len, signature);
        if (strlen(c->a.signature) != 64 || CRYPTO_memcmp(signature, c->a.signature, 64) != 0) {
            snprintf(c->detail, c->detail_size,
                     "The request signature we calculated does not match the signature you "
                     "provided. The Canonical String for this request should have been '%s'",
                     buffer_text(&canonical));
            verdict = SIM_BAD_SIGNATURE;
        }
    }
    buffer_free(&canonical);
    return verdict;
}

static const struct sim_credential *
find_credential(const struct check *c, const struct sim_credential *known, size_t known_count) {
    const char *token = sim_header_of(c->r, "x-amz-security-token");
    for (size_t i = 0; i < known_count; i++)
        if (strcmp(known[i].access_key_id, c->a.access_key_id) == 0 &&
            (token == NULL) == (known[i].session_token == NULL) &&
            (token == NULL || strcmp(token, known[i].session_token) == 0))
            return &known[i];
    return NULL;
}

static enum sim_verdict check_all(const struct check *c, const struct sim_credential *known,
                                  size_t known_count, const char *service) {
    const struct sim_credential *who = find_credential(c, known, known_count);
    const char *amz_date = sim_header_of(c->r, "x-amz-date");
    if (who == NULL)
        return say(c, SIM_UNKNOWN_KEY, "The security token included in the request is invalid.");
    if (amz_date == NULL)
        return say(c, SIM_INCOMPLETE, "Authorization header requires an 'X-Amz-Date' header.");
    if (strcmp(c->a.service, service) != 0) {
        snprintf(c->detail, c->detail_size,
                 "Credential should be scoped to correct service: '%s'. ", service);
        return SIM_BAD_SIGNATURE;
    }
    enum sim_verdict verdict = check_signed_headers(c);
    if (verdict == SIM_SIGNED)
        verdict = check_date(c, amz_date);
    if (verdict == SIM_SIGNED)
        verdict = check_signature(c, who);
    if (verdict == SIM_SIGNED && who->expires_s != 0 && who->expires_s <= c->now_s)
        verdict =
            say(c, SIM_EXPIRED_TOKEN, "The security token included in the request is expired");
    return verdict;
}

enum sim_verdict sim_verify(const struct sim_request *r, const struct sim_credential *known,
                            size_t known_count, const char *service, int64_t now_s, char *detail,
                            size_t detail_size) {
    struct check c = {.r = r, .now_s = now_s, .detail = detail, .detail_size = detail_size};
    snprintf(detail, detail_size, "%s", "");
    const char *header = sim_header_of(r, "authorization");
    if (header == NULL)
        return say(&c, SIM_UNSIGNED, "Missing Authentication Token");
    if (count_headers(r, "authorization") > 1)
        return say(&c, SIM_INCOMPLETE, "More than one Authorization header.");
    enum sim_verdict verdict =
        read_authorization(header, &c.a)
            ? check_all(&c, known, known_count, service)
            : say(&c, SIM_INCOMPLETE,
                  "Authorization header requires AWS4-HMAC-SHA256 with 'Credential', "
                  "'SignedHeaders' (lower case, sorted) and 'Signature'.");
    free(c.a.text);
    return verdict;
}
