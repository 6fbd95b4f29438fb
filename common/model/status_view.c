#include "common/model/status_view.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/memory.h"

#define uthash_malloc(size)  mem_alloc(size)
#define uthash_free(p, size) free(p)
#include <uthash.h>

/* Which optional members an entry has. Its texts follow the two ids in `text`, in this order. */
enum {
    HAS_EXECUTION_ID = 1,
    HAS_LOCATION = 2,
    HAS_REASON = 4,
    HAS_SHA256 = 8
};

struct entry {
    UT_hash_handle hh;
    TAILQ_ENTRY(entry) in_list;
    int64_t attempt;
    int64_t updated_at_ms;
    uint8_t state;
    uint8_t has;
    bool covered; /* a later record of the pair was ignored */
    bool republished;
    uint8_t sha256[32];
    char text[]; /* userId, queryId, …, each with its NUL; the first two are the key */
};

TAILQ_HEAD(entry_list, entry);

struct status_view {
    struct entry *by_pair;
    struct entry_list final, open; /* the oldest first */
    size_t entries_max;
};

enum {
    KEY_MAX = 2 * (QUERY_ID_MAX + 1)
};

/* Both ids with their NULs, which no id has inside: no two pairs share a key. 0: too long. */
static size_t make_key(const char *user_id, const char *query_id, char out[KEY_MAX]) {
    size_t user_size = strlen(user_id) + 1, query_size = strlen(query_id) + 1;
    if (user_size > QUERY_ID_MAX + 1 || query_size > QUERY_ID_MAX + 1)
        return 0;
    memcpy(out, user_id, user_size);
    memcpy(out + user_size, query_id, query_size);
    return user_size + query_size;
}

static struct entry *view_find(const struct status_view *v, const char *user_id,
                               const char *query_id) {
    char key[KEY_MAX];
    size_t n = make_key(user_id, query_id, key);
    struct entry *found = NULL;
    if (n > 0)
        HASH_FIND(hh, v->by_pair, key, n, found);
    return found;
}

static struct entry_list *view_list_of(struct status_view *v, const struct entry *e) {
    return status_is_final((enum status_state)e->state) ? &v->final : &v->open;
}

static void view_drop(struct status_view *v, struct entry *e) {
    TAILQ_REMOVE(view_list_of(v, e), e, in_list);
    HASH_DELETE(hh, v->by_pair, e);
    free(e);
}

/* --- packing ---------------------------------------------------------------------------------- */

static size_t packed_size(const char *text) {
    return text != NULL ? strlen(text) + 1 : 0;
}

static char *pack_text(char *to, const char *text) {
    size_t n = packed_size(text);
    if (n > 0)
        memcpy(to, text, n);
    return to + n;
}

static struct entry *entry_pack(const struct status *s) {
    const char *texts[] = {s->user_id, s->query_id, s->query_execution_id, s->output_location,
                           s->reason};
    size_t n = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        n += packed_size(texts[i]);
    /* The texts begin within the padding at the end of the struct. */
    size_t size = offsetof(struct entry, text) + n;
    struct entry *e = mem_alloc(size > sizeof *e ? size : sizeof *e);
    e->covered = e->republished = false;
    e->attempt = s->attempt;
    e->updated_at_ms = s->updated_at_ms;
    e->state = (uint8_t)s->state;
    e->has = (uint8_t)((s->query_execution_id != NULL ? HAS_EXECUTION_ID : 0) |
                       (s->output_location != NULL ? HAS_LOCATION : 0) |
                       (s->reason != NULL ? HAS_REASON : 0) | (s->has_sha256 ? HAS_SHA256 : 0));
    memcpy(e->sha256, s->sha256, sizeof e->sha256);
    char *to = e->text;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        to = pack_text(to, texts[i]);
    return e;
}

static char *unpack_text(char **at) {
    char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

static void entry_unpack(struct entry *e, struct status *out) {
    char *at = e->text;
    out->user_id = unpack_text(&at);
    out->query_id = unpack_text(&at);
    out->query_execution_id = e->has & HAS_EXECUTION_ID ? unpack_text(&at) : NULL;
    out->output_location = e->has & HAS_LOCATION ? unpack_text(&at) : NULL;
    out->reason = e->has & HAS_REASON ? unpack_text(&at) : NULL;
    out->state = (enum status_state)e->state;
    out->attempt = e->attempt;
    out->updated_at_ms = e->updated_at_ms;
    out->has_sha256 = (e->has & HAS_SHA256) != 0;
    memcpy(out->sha256, e->sha256, sizeof out->sha256);
}

/* --- the view --------------------------------------------------------------------------------- */

struct status_view *status_view_open(size_t entries_max) {
    struct status_view *v = mem_zero(sizeof *v);
    TAILQ_INIT(&v->final);
    TAILQ_INIT(&v->open);
    v->entries_max = entries_max > 0 ? entries_max : 1;
    return v;
}

void status_view_close(struct status_view *v) {
    if (v == NULL)
        return;
    while (!TAILQ_EMPTY(&v->final))
        view_drop(v, TAILQ_FIRST(&v->final));
    while (!TAILQ_EMPTY(&v->open))
        view_drop(v, TAILQ_FIRST(&v->open));
    free(v);
}

static void view_make_room(struct status_view *v) {
    while (HASH_COUNT(v->by_pair) >= v->entries_max)
        view_drop(v, !TAILQ_EMPTY(&v->final) ? TAILQ_FIRST(&v->final) : TAILQ_FIRST(&v->open));
}

bool status_view_apply(struct status_view *v, const struct status *s) {
    char key[KEY_MAX];
    size_t n = make_key(s->user_id, s->query_id, key);
    if (n == 0)
        return false;
    struct entry *known = NULL;
    HASH_FIND(hh, v->by_pair, key, n, known);
    struct status was;
    if (known != NULL)
        entry_unpack(known, &was);
    if (!status_may_follow(known != NULL ? &was : NULL, s)) {
        if (known != NULL)
            known->covered = true;
        return false;
    }
    struct entry *e = entry_pack(s); /* before `known` is freed: `s` may borrow from it */
    if (known != NULL)
        view_drop(v, known);
    else
        view_make_room(v);
    HASH_ADD_KEYPTR(hh, v->by_pair, e->text, n, e);
    TAILQ_INSERT_TAIL(view_list_of(v, e), e, in_list);
    return true;
}

void status_view_forget(struct status_view *v, const char *user_id, const char *query_id) {
    struct entry *e = view_find(v, user_id, query_id);
    if (e != NULL)
        view_drop(v, e);
}

bool status_view_find(const struct status_view *v, const char *user_id, const char *query_id,
                      struct status *out) {
    struct entry *e = view_find(v, user_id, query_id);
    if (e != NULL)
        entry_unpack(e, out);
    return e != NULL;
}

bool status_view_find_covered(const struct status_view *v, const char *user_id,
                              const char *query_id, struct status *out) {
    struct entry *e = view_find(v, user_id, query_id);
    if (e == NULL || !e->covered || e->republished)
        return false;
    e->republished = true;
    entry_unpack(e, out);
    return true;
}

bool status_view_is_covered(const struct status_view *v, const char *user_id,
                            const char *query_id) {
    const struct entry *e = view_find(v, user_id, query_id);
    return e != NULL && e->covered;
}

size_t status_view_count(const struct status_view *v) {
    return HASH_COUNT(v->by_pair);
}
