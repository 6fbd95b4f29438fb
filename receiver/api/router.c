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

/* RFC 9112, 3.2.2: a server must take the absolute form, too; scheme and authority are cut off. */
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
            continue; /* unknown parameters are ignored */
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

/* --- the paths -------------------------------------------------------------------------------- */

enum {
    METHODS_MAX = 2
};

struct path {
    const char *text;
    bool has_id;       /* a queryId follows, up to the end */
    const char *allow; /* the methods, for the header Allow */
    struct {
        const char *name; /* NULL: no more of them */
        enum route_kind kind;
    } methods[METHODS_MAX];
};

static const struct path paths[] = {
    {"/athena/query", false, "POST", {{"POST", ROUTE_POST_QUERY}}},
    {"/athena/query/", true, "GET, HEAD", {{"GET", ROUTE_LOOK_UP}, {"HEAD", ROUTE_LOOK_UP}}},
    {"/openapi.json", false, "GET, HEAD", {{"GET", ROUTE_OPENAPI}, {"HEAD", ROUTE_OPENAPI}}},
};

static bool path_matches(const struct path *path, struct span s, struct span *id) {
    if (!path->has_id)
        return equals(s, path->text);
    *id = s;
    return take_prefix(id, path->text) && id->n > 0 && memchr(id->at, '/', id->n) == NULL;
}

static enum route_kind path_method(const struct path *path, const char *method) {
    for (size_t i = 0; i < METHODS_MAX && path->methods[i].name != NULL; i++)
        if (strcmp(path->methods[i].name, method) == 0)
            return path->methods[i].kind;
    return ROUTE_WRONG_METHOD;
}

static bool read_id(struct span id, struct route *out) {
    if (decode(id, out->query_id) && out->query_id[0] != '\0')
        return true;
    out->detail = id_detail;
    return false;
}

static void find_path(const char *method, struct span path, struct span query, struct route *out) {
    struct span id = {0};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (!path_matches(&paths[i], path, &id))
            continue;
        out->kind = path_method(&paths[i], method);
        if (out->kind == ROUTE_WRONG_METHOD)
            out->allow = paths[i].allow;
        else if (paths[i].has_id && !(read_id(id, out) && read_user(query, out)))
            out->kind = ROUTE_MALFORMED;
        return;
    }
    out->kind = ROUTE_NOT_FOUND;
}

static bool is_sound_target(const char *target) {
    for (const char *c = target; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            return false;
    return true;
}

static bool take_stage(struct span *path, const char *stage) {
    struct span rest = *path;
    if (stage[0] == '\0' || !take_prefix(&rest, "/") || !take_prefix(&rest, stage) || rest.n == 0 ||
        rest.at[0] != '/')
        return false;
    *path = rest;
    return true;
}

void route_find(const char *method, const char *target, const char *stage, struct route *out) {
    memset(out, 0, sizeof *out);
    if (!is_sound_target(target)) {
        out->kind = ROUTE_MALFORMED;
        out->detail = target_detail;
        return;
    }
    target = origin_form(target);
    size_t path_len = strcspn(target, "?");
    struct span path = {target, path_len};
    struct span query = {target + path_len, strlen(target + path_len)};
    take_prefix(&query, "?");
    out->staged = take_stage(&path, stage);
    find_path(method, path, query, out);
}
