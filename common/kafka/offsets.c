#include "common/kafka/offsets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

enum {
    ROOM_MIN = 64
};

static const char metadata_tag[] = "aq1 ";

/* --- reading metadata ------------------------------------------------------------------------- */

/* Digits only, no sign, no leading zero; `*at` moves behind them. */
static bool read_number(const char **at, int64_t *out) {
    const char *p = *at;
    int64_t value = 0;
    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        int digit = *p - '0';
        if (value > (INT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *at = p;
    *out = value;
    return true;
}

/* One ` unfinished:finished`; `*end` is where the last one ended. */
static bool read_pair(const char **at, bool first, int64_t *end, struct offsets_run *run) {
    int64_t unfinished, finished;
    if (*(*at)++ != ' ' || !read_number(at, &unfinished))
        return false;
    if (*(*at)++ != ':' || !read_number(at, &finished))
        return false;
    /* Only the first run may begin at once: that is when no offset was in work at the commit. */
    if ((unfinished == 0 && !first) || finished == 0 || unfinished > INT64_MAX - *end ||
        finished > INT64_MAX - *end - unfinished)
        return false;
    run->from = *end + unfinished;
    run->below = run->from + finished;
    *end = run->below;
    return true;
}

static bool read_metadata(struct offsets *o, const char *metadata) {
    size_t tag_len = sizeof metadata_tag - 1;
    if (strncmp(metadata, metadata_tag, tag_len) != 0)
        return false;
    const char *at = metadata + tag_len;
    int64_t position;
    if (!read_number(&at, &position) || position != o->committed)
        return false;
    size_t pairs = 0;
    for (const char *p = at; *p != '\0'; p++)
        pairs += *p == ':';
    o->skips = mem_resize(NULL, pairs, sizeof *o->skips);
    for (int64_t end = position; *at != '\0'; o->skip_count++)
        if (!read_pair(&at, o->skip_count == 0, &end, &o->skips[o->skip_count]))
            return false;
    return true;
}

static void forget_skips(struct offsets *o) {
    free(o->skips);
    o->skips = NULL;
    o->skip_count = 0;
}

void offsets_init(struct offsets *o, int64_t committed, const char *metadata) {
    *o = (struct offsets){.next = -1, .committed = committed >= 0 ? committed : -1};
    if (committed >= 0 && metadata != NULL && !read_metadata(o, metadata))
        forget_skips(o);
}

void offsets_free(struct offsets *o) {
    free(o->entries);
    free(o->skips);
    *o = (struct offsets){.next = -1, .committed = -1};
}

/* --- receiving and finishing ------------------------------------------------------------------ */

/* The first run that ends behind `offset`. */
static size_t find_skip(const struct offsets *o, int64_t offset) {
    size_t low = 0, high = o->skip_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (o->skips[middle].below <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_skipped(const struct offsets *o, int64_t offset) {
    size_t at = find_skip(o, offset);
    return at < o->skip_count && o->skips[at].from <= offset;
}

static void remove_done(struct offsets *o) {
    size_t kept = 0;
    for (size_t i = o->head; i < o->count; i++)
        if (!o->entries[i].done)
            o->entries[kept++] = o->entries[i];
    o->head = 0;
    o->count = kept;
}

/* A pass over all of them makes room for at least half as many more, which is what pays for it. */
static void make_room(struct offsets *o) {
    if (o->count < o->room)
        return;
    remove_done(o);
    if (o->count > o->room / 2 || o->room == 0) {
        o->room = o->room > 0 ? o->room * 2 : ROOM_MIN;
        o->entries = mem_resize(o->entries, o->room, sizeof *o->entries);
    }
}

static void forget_all(struct offsets *o) {
    forget_skips(o);
    o->head = o->count = o->unfinished = 0;
    o->next = o->committed = -1;
}

enum offsets_news offsets_receive(struct offsets *o, int64_t offset) {
    if (offset < 0 || offset == INT64_MAX) /* no offset of Kafka's */
        return OFFSETS_REPEATED;
    bool restarted = offset < offsets_position(o);
    if (restarted)
        forget_all(o);
    else if (offset < o->next)
        return OFFSETS_REPEATED;
    o->next = offset + 1;
    if (is_skipped(o, offset))
        return OFFSETS_FINISHED;
    make_room(o);
    o->entries[o->count++] = (struct offsets_entry){offset, false};
    o->unfinished++;
    return restarted ? OFFSETS_RESTARTED : OFFSETS_NEW;
}

static struct offsets_entry *find_entry(const struct offsets *o, int64_t offset) {
    size_t low = o->head, high = o->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (o->entries[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < o->count && o->entries[low].offset == offset ? &o->entries[low] : NULL;
}

bool offsets_finish(struct offsets *o, int64_t offset) {
    struct offsets_entry *entry = find_entry(o, offset);
    if (entry == NULL || entry->done)
        return false;
    entry->done = true;
    o->unfinished--;
    while (o->head < o->count && o->entries[o->head].done)
        o->head++;
    return true;
}

int64_t offsets_position(const struct offsets *o) {
    if (o->head < o->count)
        return o->entries[o->head].offset;
    return o->next >= 0 ? o->next : o->committed;
}

size_t offsets_unfinished(const struct offsets *o) {
    return o->unfinished;
}

/* --- writing metadata ------------------------------------------------------------------------- */

struct metadata_writer {
    char *out;
    size_t size, len;
    int64_t written;        /* all below this is in `out`, from the position on */
    struct offsets_run run; /* not yet in it: the next may adjoin */
    bool full;
};

static void write_text(struct metadata_writer *w, const char *text) {
    size_t n = strlen(text);
    w->full = w->full || n >= w->size - w->len;
    if (!w->full) {
        memcpy(w->out + w->len, text, n + 1);
        w->len += n;
    }
}

static void write_run(struct metadata_writer *w) {
    if (w->run.from == w->run.below)
        return;
    char text[64];
    if (w->len == 0) {
        snprintf(text, sizeof text, "%s%" PRId64 " %" PRId64 ":%" PRId64, metadata_tag, w->written,
                 w->run.from - w->written, w->run.below - w->run.from);
    } else {
        snprintf(text, sizeof text, " %" PRId64 ":%" PRId64, w->run.from - w->written,
                 w->run.below - w->run.from);
    }
    write_text(w, text);
    w->written = w->run.below;
}

static void write_finished(struct metadata_writer *w, int64_t from, int64_t below) {
    if (from >= below)
        return;
    if (from != w->run.below) {
        write_run(w);
        w->run.from = from;
    }
    w->run.below = below;
}

void offsets_metadata(const struct offsets *o, char *out, size_t size) {
    if (size == 0)
        return;
    out[0] = '\0';
    int64_t position = offsets_position(o);
    struct metadata_writer w = {
        .out = out, .size = size, .written = position, .run = {position, position}};
    int64_t behind = position; /* the last unfinished one */
    for (size_t i = o->head; i < o->count && !w.full; i++) {
        if (o->entries[i].done)
            continue;
        write_finished(&w, behind, o->entries[i].offset);
        behind = o->entries[i].offset + 1;
    }
    if (o->next >= 0)
        write_finished(&w, behind, o->next);
    /* What an earlier owner finished and this one has not received yet is passed on. */
    int64_t seen = o->next >= 0 ? o->next : position;
    for (size_t i = find_skip(o, seen); i < o->skip_count && !w.full; i++)
        write_finished(&w, o->skips[i].from > seen ? o->skips[i].from : seen, o->skips[i].below);
    write_run(&w);
}
