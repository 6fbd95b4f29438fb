#include "common/model/status_view.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/age_heap.h"
#include "common/base/hash_index.h"
#include "common/base/log.h"
#include "common/base/memory.h"

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
    uint32_t hash; /* of its key */
    uint16_t key_len;
    uint8_t state;
    uint8_t has;
    int64_t attempt;
    int64_t updated_at_ms;
    bool covered; /* a later record of the pair was ignored */
    bool republished;
    uint8_t sha256[32];
    char text[]; /* userId, queryId, …, each with its NUL; the first two are the key */
};

enum {
    KEY_MAX = 2 * (QUERY_ID_MAX + 1),
    KEY_WORDS = (KEY_MAX + 3) / 4 /* of 32 bits */
};

/* An entry has a number, its place in `entries`, that the heap and the index know it by. */
struct status_view {
    struct entry **entries; /* the first `used`; those that are free are NULL, … */
    uint32_t *free;         /* … and here */
    uint32_t used, free_count, room;
    struct age_heap leaving; /* who leaves a full view first */
    struct hash_index by_pair;
    size_t entries_max;
    uint64_t seed[KEY_WORDS];
};

struct view_key {
    const struct status_view *view;
    uint32_t hash;
    size_t n;
    char bytes[KEY_MAX];
};

/* --- finding ---------------------------------------------------------------------------------- */

/*
 * Multiply and shift over words of 32 bits, with random factors that only this process knows
 * (Dietzfelbinger 1996: two keys share a cell by chance only). Clients choose the ids.
 */
static uint32_t view_hash(const struct status_view *v, const char *key, size_t n) {
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
    return (uint32_t)(sum >> 32);
}

/* Both ids with their NULs, which no id has inside: no two pairs share a key. False: too long. */
static bool make_key(const struct status_view *v, const char *user_id, const char *query_id,
                     struct view_key *key) {
    size_t user_size = strlen(user_id) + 1, query_size = strlen(query_id) + 1;
    if (user_size > QUERY_ID_MAX + 1 || query_size > QUERY_ID_MAX + 1)
        return false;
    memcpy(key->bytes, user_id, user_size);
    memcpy(key->bytes + user_size, query_id, query_size);
    key->view = v;
    key->n = user_size + query_size;
    key->hash = view_hash(v, key->bytes, key->n);
    return true;
}

static bool view_has_key(const void *arg, uint32_t number) {
    const struct view_key *key = arg;
    const struct entry *e = key->view->entries[number];
    return e->key_len == key->n && memcmp(e->text, key->bytes, key->n) == 0;
}

/* HASH_INDEX_NONE: the pair is not known. */
static int64_t view_find_key(const struct status_view *v, const struct view_key *key) {
    return hash_index_find(&v->by_pair, key->hash, view_has_key, key);
}

static struct entry *view_find(const struct status_view *v, const char *user_id,
                               const char *query_id) {
    struct view_key key;
    int64_t number =
        make_key(v, user_id, query_id, &key) ? view_find_key(v, &key) : HASH_INDEX_NONE;
    return number != HASH_INDEX_NONE ? v->entries[number] : NULL;
}

/* --- entering and leaving --------------------------------------------------------------------- */

static enum rank rank_of(enum status_state state) {
    if (status_is_final(state) || state == STATUS_REJECTED)
        return RANK_ENDED;
    return state == STATUS_STARTED ? RANK_STARTED : RANK_WAITING;
}

static void view_enter(struct status_view *v, uint32_t number, struct entry *e) {
    v->entries[number] = e;
    hash_index_add(&v->by_pair, e->hash, number);
    age_heap_add(&v->leaving, number, rank_of((enum status_state)e->state), e->updated_at_ms);
}

/* The number stays taken. */
static void view_leave(struct status_view *v, uint32_t number) {
    struct entry *e = v->entries[number];
    age_heap_remove(&v->leaving, number);
    hash_index_remove(&v->by_pair, e->hash, number);
    v->entries[number] = NULL;
    free(e);
}

static uint32_t view_new_number(struct status_view *v) {
    if (v->free_count > 0)
        return v->free[--v->free_count];
    if (v->used == v->room) {
        v->room = v->room > 0 ? 2 * v->room : 64;
        v->entries = mem_resize(v->entries, v->room, sizeof *v->entries);
        v->free = mem_resize(v->free, v->room, sizeof *v->free);
    }
    return v->used++;
}

static void view_drop(struct status_view *v, uint32_t number) {
    view_leave(v, number);
    v->free[v->free_count++] = number;
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

static struct entry *entry_pack(const struct status *s, const struct view_key *key) {
    const char *texts[] = {s->user_id, s->query_id, s->query_execution_id, s->output_location,
                           s->reason};
    size_t n = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        n += packed_size(texts[i]);
    /* The texts begin within the padding at the end of the struct. */
    size_t size = offsetof(struct entry, text) + n;
    struct entry *e = mem_alloc(size > sizeof *e ? size : sizeof *e);
    e->hash = key->hash;
    e->key_len = (uint16_t)key->n;
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
    for (uint32_t i = 0; i < v->used; i++)
        free(v->entries[i]);
    free(v->entries);
    free(v->free);
    age_heap_free(&v->leaving);
    hash_index_free(&v->by_pair);
    free(v);
}

/* Whether a pair that is not known yet would be the first to leave a full view. */
static bool view_has_no_room_for(const struct status_view *v, enum rank rank,
                                 int64_t updated_at_ms) {
    if (status_view_count(v) < v->entries_max)
        return false;
    const struct age *first = age_heap_first(&v->leaving);
    return first->rank == rank && updated_at_ms < first->at_ms;
}

bool status_view_has_no_room_for_ended(const struct status_view *v, int64_t updated_at_ms) {
    return view_has_no_room_for(v, RANK_ENDED, updated_at_ms);
}

bool status_view_knows(const struct status_view *v, const char *user_id, const char *query_id) {
    return view_find(v, user_id, query_id) != NULL;
}

size_t status_view_entries_max(const struct status_view *v) {
    return v->entries_max;
}

/* Nothing would change, as where a receiver reads a QUEUED of its own. */
static bool is_same_state(const struct status *a, const struct status *b) {
    return a->state == STATUS_QUEUED && b->state == STATUS_QUEUED && a->reason == NULL &&
           b->reason == NULL && a->attempt == b->attempt && a->updated_at_ms == b->updated_at_ms;
}

bool status_view_apply(struct status_view *v, const struct status *s) {
    struct view_key key;
    if (!make_key(v, s->user_id, s->query_id, &key))
        return false;
    int64_t number = view_find_key(v, &key);
    struct entry *known = number != HASH_INDEX_NONE ? v->entries[number] : NULL;
    struct status was;
    if (known != NULL)
        entry_unpack(known, &was);
    if (!status_may_follow(known != NULL ? &was : NULL, s)) {
        if (known != NULL)
            known->covered = true;
        return false;
    }
    if (known != NULL && is_same_state(&was, s)) {
        known->covered = false; /* the pair's last record, again */
        return true;
    }
    if (known == NULL && view_has_no_room_for(v, rank_of(s->state), s->updated_at_ms))
        return true;
    struct entry *e = entry_pack(s, &key); /* before `known` is freed: `s` may borrow from it */
    if (known != NULL) {
        view_leave(v, (uint32_t)number);
    } else {
        while (status_view_count(v) >= v->entries_max)
            view_drop(v, age_heap_first(&v->leaving)->number);
        number = view_new_number(v);
    }
    view_enter(v, (uint32_t)number, e);
    return true;
}

void status_view_forget(struct status_view *v, const char *user_id, const char *query_id) {
    struct view_key key;
    int64_t number =
        make_key(v, user_id, query_id, &key) ? view_find_key(v, &key) : HASH_INDEX_NONE;
    if (number != HASH_INDEX_NONE)
        view_drop(v, (uint32_t)number);
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
    return v->leaving.count;
}
