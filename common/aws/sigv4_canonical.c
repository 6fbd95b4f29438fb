#include "common/aws/sigv4_canonical.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/hex.h"
#include "common/base/memory.h"
#include "common/base/sha256.h"

enum {
    DAY_LEN = 8, /* the first part of a date, 20260102 */
    HASH_LEN = 32
};

/* A header (its name in lower case) or a query parameter (both parts percent-encoded). */
struct pair {
    char *name;
    char *value;
    size_t position; /* in the request */
};

struct pairs {
    struct pair *at;
    size_t count;
    size_t room;
};

/* --- Pairs ------------------------------------------------------------------------------------ */

/* Takes over both strings. */
static void pairs_add(struct pairs *p, char *name, char *value) {
    if (p->count == p->room) {
        p->room = p->room > 0 ? 2 * p->room : 16;
        p->at = mem_resize(p->at, p->room, sizeof *p->at);
    }
    p->at[p->count] = (struct pair){.name = name, .value = value, .position = p->count};
    p->count++;
}

static void pairs_free(struct pairs *p) {
    for (size_t i = 0; i < p->count; i++) {
        free(p->at[i].name);
        free(p->at[i].value);
    }
    free(p->at);
}

/* Values of one header stay in the order in which they were sent. */
static int compare_header_pairs(const void *left, const void *right) {
    const struct pair *a = left, *b = right;
    int by_name = strcmp(a->name, b->name);
    return by_name != 0 ? by_name : (a->position > b->position) - (a->position < b->position);
}

/* Name and value apart: '-' and '.' sort before '=', so "Param-3=" would sort before "Param=". */
static int compare_query_pairs(const void *left, const void *right) {
    const struct pair *a = left, *b = right;
    int by_name = strcmp(a->name, b->name);
    return by_name != 0 ? by_name : strcmp(a->value, b->value);
}

/* qsort() must not be given NULL, even for nothing. */
static void pairs_sort(struct pairs *p, int (*compare)(const void *, const void *)) {
    if (p->count > 1)
        qsort(p->at, p->count, sizeof *p->at, compare);
}

/* --- Canonical path --------------------------------------------------------------------------- */

/* Removes . and .. and empty segments as botocore does: "/a/b/.." becomes "/a", not "/a/". */
static char *resolve_dots(const char *path) {
    size_t path_len = strlen(path);
    char *flat = mem_alloc(path_len + 2); /* one more for a missing first slash */
    size_t len = 0;
    for (const char *at = path; *at != '\0'; at += *at == '/') {
        const char *segment = at;
        size_t n = strcspn(at, "/");
        at += n;
        if (n == 2 && memcmp(segment, "..", 2) == 0) {
            while (len > 0 && flat[--len] != '/')
                ;
        } else if (n > 0 && !(n == 1 && segment[0] == '.')) {
            flat[len++] = '/';
            memcpy(flat + len, segment, n);
            len += n;
        }
    }
    if (len == 0 || path[path_len - 1] == '/')
        flat[len++] = '/';
    flat[len] = '\0';
    return flat;
}

/*
 * Percent-encodes the path as it is sent, percent signs included: the path is then encoded twice,
 * as all services but S3 require.
 */
static void canonical_path(struct buffer *out, const struct sigv4_request *r) {
    const char *given = r->path[0] != '\0' ? r->path : "/";
    char *path = r->keep_path ? mem_string(given) : resolve_dots(given);
    for (const char *at = path; *at != '\0';) {
        size_t n = strcspn(at, "/");
        buffer_percent_encode(out, at, n);
        at += n;
        if (*at == '/') {
            buffer_putc(out, '/');
            at++;
        }
    }
    free(path);
}

/* --- Canonical headers ------------------------------------------------------------------------ */

static char *lower_case(const char *s) {
    char *copy = mem_string(s);
    for (char *c = copy; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return copy;
}

/* Cuts blanks at both ends and makes one space of those between words, within quotes, too. */
static void add_trimmed_value(struct buffer *out, const char *value) {
    static const char blanks[] = " \t\n\v\f\r";
    const char *at = value + strspn(value, blanks);
    while (*at != '\0') {
        size_t word = strcspn(at, blanks);
        buffer_add(out, at, word);
        at += word;
        at += strspn(at, blanks);
        if (*at != '\0')
            buffer_putc(out, ' ');
    }
}

static void add_headers(struct sigv4_canonical *s, const struct pairs *headers) {
    for (size_t i = 0; i < headers->count; i++) {
        const struct pair *h = &headers->at[i];
        if (i > 0 && strcmp(h->name, headers->at[i - 1].name) == 0) {
            buffer_putc(&s->headers, ',');
        } else {
            if (i > 0) {
                buffer_putc(&s->headers, '\n');
                buffer_putc(&s->signed_headers, ';');
            }
            buffer_puts(&s->headers, h->name);
            buffer_putc(&s->headers, ':');
            buffer_puts(&s->signed_headers, h->name);
        }
        add_trimmed_value(&s->headers, h->value);
    }
}

/* A presigned request carries date and token in its query instead. */
static bool canonical_headers(struct sigv4_canonical *s, const struct sigv4_request *r,
                              const struct sigv4_keys *keys, bool presigned) {
    struct pairs headers = {0};
    bool named = true;
    for (size_t i = 0; i < r->header_count; i++) {
        named = named && r->headers[i].name[0] != '\0';
        pairs_add(&headers, lower_case(r->headers[i].name), mem_string(r->headers[i].value));
    }
    if (!presigned) {
        pairs_add(&headers, mem_string("x-amz-date"), mem_string(s->date));
        if (keys->session_token != NULL)
            pairs_add(&headers, mem_string("x-amz-security-token"),
                      mem_string(keys->session_token));
    }
    pairs_sort(&headers, compare_header_pairs);
    add_headers(s, &headers);
    pairs_free(&headers);
    return named && !s->headers.failed && !s->signed_headers.failed;
}

/* --- Canonical query -------------------------------------------------------------------------- */

/*
 * Decodes and encodes again, as AWS does with a parameter that it has read, so that %7e, %7E and ~
 * are signed alike. A '%' without two digits stands for itself.
 */
static char *encode_again(const char *s, size_t n) {
    struct buffer b;
    buffer_init(&b, 3 * n);
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%' && i + 2 < n && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0) {
            c = (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]));
            i += 2;
        }
        buffer_percent_encode(&b, &c, 1);
    }
    return buffer_take(&b);
}

static void split_query(struct pairs *out, const char *query) {
    for (const char *at = query; *at != '\0'; at += *at == '&') {
        const char *name = at;
        size_t n = strcspn(at, "&");
        at += n;
        if (n == 0)
            continue;
        const char *equals = memchr(name, '=', n);
        const char *value = equals != NULL ? equals + 1 : at;
        size_t name_len = equals != NULL ? (size_t)(equals - name) : n;
        pairs_add(out, encode_again(name, name_len), encode_again(value, (size_t)(at - value)));
    }
}

static void add_parameter(struct pairs *out, const char *name, const char *value) {
    size_t n = strlen(value);
    struct buffer encoded;
    buffer_init(&encoded, 3 * n);
    buffer_percent_encode(&encoded, value, n);
    pairs_add(out, mem_string(name), buffer_take(&encoded));
}

static void add_presign_parameters(const struct sigv4_canonical *s, const struct sigv4_keys *keys,
                                   int64_t expires_seconds, struct pairs *out) {
    struct buffer credential;
    buffer_init(&credential, strlen(keys->access_key_id) + 1 + s->scope.len);
    buffer_printf(&credential, "%s/%s", keys->access_key_id, buffer_text(&s->scope));
    add_parameter(out, "X-Amz-Credential", buffer_text(&credential));
    buffer_free(&credential);

    char expires[24];
    snprintf(expires, sizeof expires, "%" PRId64, expires_seconds);
    add_parameter(out, "X-Amz-Expires", expires);
    add_parameter(out, "X-Amz-Algorithm", SIGV4_ALGORITHM);
    add_parameter(out, "X-Amz-Date", s->date);
    add_parameter(out, "X-Amz-SignedHeaders", buffer_text(&s->signed_headers));
    if (keys->session_token != NULL)
        add_parameter(out, "X-Amz-Security-Token", keys->session_token);
}

static bool canonical_query(struct sigv4_canonical *s, const struct sigv4_request *r,
                            const struct sigv4_keys *keys, int64_t expires_seconds) {
    struct pairs parameters = {0};
    if (r->query != NULL)
        split_query(&parameters, r->query);
    if (expires_seconds != 0)
        add_presign_parameters(s, keys, expires_seconds, &parameters);
    pairs_sort(&parameters, compare_query_pairs);
    for (size_t i = 0; i < parameters.count; i++) {
        if (i > 0)
            buffer_putc(&s->query, '&');
        buffer_puts(&s->query, parameters.at[i].name);
        buffer_putc(&s->query, '=');
        buffer_puts(&s->query, parameters.at[i].value);
    }
    pairs_free(&parameters);
    return !s->query.failed;
}

/* --- Steps 1 and 2 ---------------------------------------------------------------------------- */

static void add_hash(struct buffer *out, const void *bytes, size_t n) {
    uint8_t hash[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    sha256(bytes, n, hash);
    hex_write(hash, sizeof hash, hex);
    buffer_puts(out, hex);
}

static bool format_date(int64_t time_s, char date[17]) {
    time_t t = (time_t)time_s;
    struct tm utc;
    return gmtime_r(&t, &utc) != NULL && strftime(date, 17, "%Y%m%dT%H%M%SZ", &utc) == 16;
}

static void add_scope(struct buffer *out, const struct sigv4_request *r, const char *date) {
    buffer_add(out, date, DAY_LEN);
    buffer_putc(out, '/');
    buffer_puts(out, r->region);
    buffer_putc(out, '/');
    buffer_puts(out, r->service);
    buffer_puts(out, "/" SIGV4_TERMINATOR);
}

static void canonical_init(struct sigv4_canonical *s) {
    *s = (struct sigv4_canonical){0};
    buffer_init(&s->scope, SIGV4_CANONICAL_MAX);
    buffer_init(&s->headers, SIGV4_CANONICAL_MAX);
    buffer_init(&s->signed_headers, SIGV4_CANONICAL_MAX);
    buffer_init(&s->query, SIGV4_CANONICAL_MAX);
    buffer_init(&s->request, SIGV4_CANONICAL_MAX);
}

void sigv4_canonical_free(struct sigv4_canonical *s) {
    buffer_free(&s->scope);
    buffer_free(&s->headers);
    buffer_free(&s->signed_headers);
    buffer_free(&s->query);
    buffer_free(&s->request);
}

bool sigv4_canonicalize(struct sigv4_canonical *s, const struct sigv4_request *r,
                        const struct sigv4_keys *keys, int64_t expires_seconds) {
    canonical_init(s);
    if (expires_seconds < 0 || !format_date(r->time, s->date))
        return false;
    add_scope(&s->scope, r, s->date);
    if (s->scope.failed || !canonical_headers(s, r, keys, expires_seconds != 0) ||
        !canonical_query(s, r, keys, expires_seconds))
        return false;

    struct buffer *c = &s->request;
    buffer_puts(c, r->method);
    buffer_putc(c, '\n');
    canonical_path(c, r);
    buffer_putc(c, '\n');
    buffer_puts(c, buffer_text(&s->query));
    buffer_putc(c, '\n');
    buffer_puts(c, buffer_text(&s->headers));
    buffer_puts(c, "\n\n");
    buffer_puts(c, buffer_text(&s->signed_headers));
    buffer_putc(c, '\n');
    add_hash(c, r->body, r->body_len);
    return !c->failed;
}

bool sigv4_string_to_sign(const struct sigv4_request *r, const char *canonical_request,
                          struct buffer *out) {
    char date[17];
    if (!format_date(r->time, date))
        return false;
    buffer_puts(out, SIGV4_ALGORITHM "\n");
    buffer_puts(out, date);
    buffer_putc(out, '\n');
    add_scope(out, r, date);
    buffer_putc(out, '\n');
    add_hash(out, canonical_request, strlen(canonical_request));
    return !out->failed;
}
