#include "common/model/status_view.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/age_heap.h"
#include "common/base/log.h"
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

/* In the order in which they leave a full view. */
enum rank {
    RANK_ENDED,   /* final, or REJECTED */
    RANK_WAITING, /* QUEUED, THROTTLED */
    RANK_STARTED,
    RANKS
};

struct entry {
    UT_hash_handle hh;
    struct age age;
    int64_t attempt;
    int64_t updated_at_ms;
    uint8_t state;
    uint8_t has;
    bool covered; /* a later record of the pair was ignored */
    bool republished;
    uint8_t sha256[32];
    char text[]; /* userId, queryId, …, each with its NUL; the first two are the key */
};

enum {
    KEY_MAX = 2 * (QUERY_ID_MAX + 1),
    KEY_WORDS = (KEY_MAX + 3) / 4 /* of 32 bits */
};

struct status_view {
    struct entry *by_pair;
    struct age_heap of_rank[RANKS];
    size_t entries_max;
    uint64_t seed[KEY_WORDS];
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

/*
 * Multiply and shift over words of 32 bits, with random factors that only this process knows
 * (Dietzfelbinger 1996: two keys share a bucket by chance only). Clients choose the ids.
 */
static unsigned view_hash(const struct status_view *v, const char *key, size_t n) {
    uint64_t sum = 0;
    uint32_t word;
    size_t i = 0;
    for (; n >= sizeof word; n -= sizeof word, key += sizeof word) {
        memcpy(&word, key, sizeof word);
        sum += word * v->seed[i++];
    }
    if (n > 0) {
        word = 0;
        memcpy(&word, key, n);
        sum += word * v->seed[i];
    }
    return (unsigned)(sum >> 32);
}

static struct entry *view_find_key(const struct status_view *v, const char *key, size_t n,
                                   unsigned hash) {
    struct entry *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, v->by_pair, key, n, hash, found);
    return found;
}

static struct entry *view_find(const struct status_view *v, const char *user_id,
                               const char *query_id) {
    char key[KEY_MAX];
    size_t n = make_key(user_id, query_id, key);
    return n > 0 ? view_find_key(v, key, n, view_hash(v, key, n)) : NULL;
}

static enum rank rank_of(enum status_state state) {
    if (status_is_final(state) || state == STATUS_REJECTED)
        return RANK_ENDED;
    return state == STATUS_STARTED ? RANK_STARTED : RANK_WAITING;
}

static struct age_heap *view_heap_of(struct status_view *v, const struct entry *e) {
    return &v->of_rank[rank_of((enum status_state)e->state)];
}

static void view_drop(struct status_view *v, struct entry *e) {
    age_heap_remove(view_heap_of(v, e), &e->age);
    HASH_DELETE(hh, v->by_pair, e);
    free(e);
}

/* The one that leaves first; NULL: the view is empty. */
static struct entry *view_first_to_leave(const struct status_view *v) {
    for (int rank = 0; rank < RANKS; rank++) {
        struct age *oldest = age_heap_oldest(&v->of_rank[rank]);
        if (oldest != NULL)
            return (struct entry *)((char *)oldest - offsetof(struct entry, age));
    }
    return NULL;
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
    v->entries_max = entries_max > 0 ? entries_max : 1;
    if (getrandom(v->seed, sizeof v->seed, GRND_NONBLOCK) != (ssize_t)sizeof v->seed)
        log_warn("no random numbers: queries are hashed without a seed");
    for (size_t i = 0; i < KEY_WORDS; i++) /* without random numbers: not all the same */
        v->seed[i] ^= (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    return v;
}

void status_view_close(struct status_view *v) {
    if (v == NULL)
        return;
    struct entry *e;
    while ((e = view_first_to_leave(v)) != NULL)
        view_drop(v, e);
    for (int rank = 0; rank < RANKS; rank++)
        age_heap_free(&v->of_rank[rank]);
    free(v);
}

static bool view_is_full(const struct status_view *v) {
    return HASH_COUNT(v->by_pair) >= v->entries_max;
}

/* Whether a pair that is not known yet would be the first to leave a full view. */
static bool view_has_no_room_for(const struct status_view *v, const struct status *s) {
    enum rank rank = rank_of(s->state);
    if (!view_is_full(v))
        return false;
    for (int lower = 0; lower < (int)rank; lower++)
        if (v->of_rank[lower].count > 0)
            return false;
    const struct age_heap *same = &v->of_rank[rank];
    return same->count > 0 && s->updated_at_ms < age_heap_oldest_ms(same);
}

/* Nothing would change, as where a receiver reads a QUEUED of its own. */
static bool is_same_state(const struct status *a, const struct status *b) {
    return a->state == STATUS_QUEUED && b->state == STATUS_QUEUED && a->reason == NULL &&
           b->reason == NULL && a->attempt == b->attempt && a->updated_at_ms == b->updated_at_ms;
}

bool status_view_apply(struct status_view *v, const struct status *s) {
    char key[KEY_MAX];
    size_t n = make_key(s->user_id, s->query_id, key);
    if (n == 0)
        return false;
    unsigned hash = view_hash(v, key, n);
    struct entry *known = view_find_key(v, key, n, hash);
    struct status was;
    if (known != NULL)
        entry_unpack(known, &was);
    if (!status_may_follow(known != NULL ? &was : NULL, s)) {
        if (known != NULL)
            known->covered = true;
        return false;
    }
    if (known != NULL && is_same_state(&was, s))
        return true;
    if (known == NULL && view_has_no_room_for(v, s))
        return true;
    struct entry *e = entry_pack(s); /* before `known` is freed: `s` may borrow from it */
    if (known != NULL)
        view_drop(v, known);
    while (view_is_full(v))
        view_drop(v, view_first_to_leave(v));
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, v->by_pair, e->text, n, hash, e);
    age_heap_add(view_heap_of(v, e), &e->age, e->updated_at_ms);
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
