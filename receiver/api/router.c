#include "receiver/api/router.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/base/hex.h"
#include "common/base/json_string.h"

static const char id_detail[] =
    "The path must end with a queryId: 1 to 128 bytes of UTF-8 without NUL, percent-encoded.";
static const char user_detail[] =
    "userId must be at most 128 bytes of UTF-8 without NUL, percent-encoded.";
static const char target_detail[] =
    "The path must hold no blanks, control characters or bytes beyond ASCII: percent-encode them.";
static const char twice_detail[] = "userId must not be given more than once.";

struct span {
    const char *at;
    size_t n;
};

/* False for a broken escape, a NUL, what is no UTF-8, or more than fits in. */
static bool decode(struct span from, char out[QUERY_ID_MAX + 1]) {
    int decoded = hex_percent_decode(from.at, from.n, out, QUERY_ID_MAX);
    if (decoded < 0)
        return false;
    size_t n = (size_t)decoded;
    for (size_t i = 0, step; i < n; i += step)
        if ((step = json_utf8_sequence(out + i, n - i)) == 0)
            return false;
    return true;
}

static bool take_prefix(struct span *s, const char *prefix) {
    size_t n = strlen(prefix);
    if (s->n < n || memcmp(s->at, prefix, n) != 0)
        return false;
    s->at += n;
    s->n -= n;
    return true;
}

static bool equals(struct span s, const char *text) {
    return s.n == strlen(text) && memcmp(s.at, text, s.n) == 0;
}

/* Absolute form: scheme and authority go; RFC 9112, 3.2.2 wants it taken. */
static const char *origin_form(const char *target) {
    size_t scheme = strncasecmp(target, "http://", 7) == 0    ? 7
                    : strncasecmp(target, "https://", 8) == 0 ? 8
                                                              : 0;
    if (scheme == 0)
        return target;
    target += scheme;
    target += strcspn(target, "/?");
    return target;
}

static bool read_user(struct span query, struct route *out) {
    bool seen = false;
    while (query.n > 0) {
        const char *end = memchr(query.at, '&', query.n);
        struct span one = {query.at, end != NULL ? (size_t)(end - query.at) : query.n};
        query.at += one.n;
        query.n -= one.n;
        if (query.n > 0) {
            query.at++;
            query.n--;
        }
        if (!take_prefix(&one, "userId="))
            continue; /* what we do not know is not ours to refuse */
        if (seen) {
            out->detail = twice_detail;
            return false;
        }
        seen = true;
        if (!decode(one, out->user_id)) {
            out->detail = user_detail;
            return false;
        }
    }
    return true;
}

static void find_look_up(struct span id, struct span query, struct route *out) {
    if (!decode(id, out->query_id) || out->query_id[0] == '\0') {
        out->kind = ROUTE_MALFORMED;
        out->detail = id_detail;
        return;
    }
    out->kind = read_user(query, out) ? ROUTE_LOOK_UP : ROUTE_MALFORMED;
}

static bool is_one_of(const char *method, const char *first, const char *second) {
    return strcmp(method, first) == 0 || (second != NULL && strcmp(method, second) == 0);
}

void route_find(const char *method, const char *target, const char *stage, struct route *out) {
    memset(out, 0, sizeof *out);
    for (const char *c = target; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f) {
            out->kind = ROUTE_MALFORMED;
            out->detail = target_detail;
            return;
        }
    target = origin_form(target);
    size_t path_len = strcspn(target, "?");
    struct span path = {target, path_len};
    struct span query = {target + path_len, strlen(target + path_len)};
    take_prefix(&query, "?");

    struct span rest = path;
    if (stage[0] != '\0' && take_prefix(&rest, "/") && take_prefix(&rest, stage) && rest.n > 0 &&
        rest.at[0] == '/') {
        out->staged = true;
        path = rest;
    }

    struct span id = path;
    if (equals(path, "/athena/query")) {
        out->kind = ROUTE_POST_QUERY;
        out->allow = is_one_of(method, "POST", NULL) ? NULL : "POST";
    } else if (equals(path, "/openapi.json")) {
        out->kind = ROUTE_OPENAPI;
        out->allow = is_one_of(method, "GET", "HEAD") ? NULL : "GET, HEAD";
    } else if (take_prefix(&id, "/athena/query/") && id.n > 0 && memchr(id.at, '/', id.n) == NULL) {
        out->allow = is_one_of(method, "GET", "HEAD") ? NULL : "GET, HEAD";
        if (out->allow == NULL)
            find_look_up(id, query, out);
    } else {
        out->kind = ROUTE_NOT_FOUND;
    }
    if (out->allow != NULL)
        out->kind = ROUTE_WRONG_METHOD;
}
