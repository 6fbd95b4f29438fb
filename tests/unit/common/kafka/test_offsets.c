#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/kafka/offsets.h"

/* --- tables ----------------------------------------------------------------------------------- */

/*
 * Steps, one a character and number: `r10` receives 10 as new, `s10` as finished by an earlier
 * owner, `d10` as repeated, `f10` finishes, `x10` fails to finish, `p10` expects the position.
 */
struct story {
    const char *name;
    int64_t committed;
    const char *metadata, *steps;
    int64_t position;
    size_t unfinished;
    const char *written;
};

static const struct story stories[] = {
    {"nothing known", -1, NULL, "", -1, 0, ""},
    {"librdkafka's OFFSET_INVALID", -1001, "", "", -1, 0, ""},
    {"committed only", 7, NULL, "", 7, 0, ""},
    {"one in work", 7, NULL, "r7", 7, 1, ""},
    {"one finished", 7, NULL, "r7 f7", 8, 0, ""},
    {"several in work, none finished", -1, NULL, "r0 r1 r2", 0, 3, ""},
    {"in order", -1, NULL, "r0 r1 r2 f0 p1 f1 p2 f2", 3, 0, ""},
    {"out of order", -1, NULL, "r0 r1 r2 r3 f2 p0 f1 p0", 0, 2, "aq1 0 1:2"},
    {"the front last", -1, NULL, "r0 r1 r2 r3 f2 f1 f0", 3, 1, ""},
    {"finished twice, or never received", -1, NULL, "r0 r1 f1 x1 x5 f0 x0", 2, 0, ""},
    {"repeated", -1, NULL, "r5 r6 r7 d5 d6 f6 d6 d7", 5, 2, "aq1 5 1:1"},
    {"sparse: the front is a gap", 10, NULL, "r50", 50, 1, ""},
    {"sparse: a gap counts as finished", -1, NULL, "r10 r20 r30", 10, 3, "aq1 10 1:9 1:9"},
    {"sparse: position", -1, NULL, "r10 r20 f10", 20, 1, ""},
    {"a repeated gap", -1, NULL, "r10 r20 d15", 10, 2, "aq1 10 1:9"},
    {"set back below what was committed", 100, "aq1 100 1:5", "z3 r4 f3 r100 r101", 4, 3, NULL},
    {"made anew while it ran", -1, NULL, "r0 r1 f0 f1 z0", 0, 1, ""},
    {"cut short while it ran", 90, NULL, "r90 r91 r92 f90 z80", 80, 1, ""},
    {"no offset", 5, NULL, "d-1 d-1001", 5, 0, ""},

    {"resumed", 10, "aq1 10 1:2 1:1", "r10 s11 s12 r13 s14 r15", 10, 3, "aq1 10 1:2 1:1"},
    {"resumed: the front finishes", 10, "aq1 10 1:2", "r10 f10 p11 s11 p12 s12 r13", 13, 1, ""},
    {"resumed: told on before it is reached", 10, "aq1 10 1:2 3:4", "r10", 10, 1, "aq1 10 1:2 3:4"},
    {"resumed and nothing received", 10, "aq1 10 1:2 3:4", "", 10, 0, "aq1 10 1:2 3:4"},
    {"resumed: the rest after the first is finished", 10, "aq1 10 1:2 3:4", "r10 f10", 11, 0,
     "aq1 11 0:2 3:4"},
    {"resumed where nothing was in work", 11, "aq1 11 0:2 3:4", "s11 s12 r13", 13, 1, "aq1 13 3:4"},
    {"resumed: within a run that adjoins", 10, "aq1 10 1:2 1:3", "r10 s11 s12 r13 f13 s14", 10, 1,
     "aq1 10 1:6"},
    {"resumed: sparse", 10, "aq1 10 1:9 1:9", "r10 r20 s25 r30", 10, 3, "aq1 10 1:9 1:9"},
    {"resumed behind all that is told", 10, "aq1 10 1:2", "r99", 99, 1, ""},
};

static void tell(const struct story *s, struct offsets *o) {
    for (const char *at = s->steps; *at != '\0'; at += strspn(at, " ")) {
        char step = *at, *end;
        long long offset = strtoll(at + 1, &end, 10);
        long long got = step == 'f' || step == 'x' ? offsets_finish(o, offset)
                        : step == 'p'              ? offsets_position(o)
                                                   : (long long)offsets_receive(o, offset);
        long long wanted = step == 'r'   ? OFFSETS_NEW
                           : step == 'z' ? OFFSETS_RESTARTED
                           : step == 's' ? OFFSETS_FINISHED
                           : step == 'd' ? OFFSETS_REPEATED
                           : step == 'f' ? 1
                           : step == 'x' ? 0
                                         : offset;
        if (got != wanted)
            fail_msg("%s: %c%lld gave %lld", s->name, step, offset, got);
        at = end;
    }
}

static void test_stories(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        const struct story *s = &stories[i];
        struct offsets o;
        char written[OFFSETS_METADATA_MAX];
        offsets_init(&o, s->committed, s->metadata);
        tell(s, &o);
        if (offsets_position(&o) != s->position)
            fail_msg("%s: position %" PRId64, s->name, offsets_position(&o));
        if (offsets_unfinished(&o) != s->unfinished)
            fail_msg("%s: unfinished %zu", s->name, offsets_unfinished(&o));
        offsets_metadata(&o, written, sizeof written);
        if (s->written != NULL && strcmp(written, s->written) != 0)
            fail_msg("%s: wrote \"%s\"", s->name, written);
        offsets_free(&o);
    }
}

/* Each of these belongs to nobody: what follows 10 is new. */
static const char *const junk[] = {
    "",
    " ",
    "hello",
    "aq1",
    "aq1 ",
    "aq2 10 1:5",
    "AQ1 10 1:5",
    "aq1 9 1:5",
    "aq1 11 1:5",
    "aq1 010 1:5",
    "aq1 +10 1:5",
    "aq1 10 1",
    "aq1 10 1:",
    "aq1 10 :5",
    "aq1 10  1:5",
    "aq1 10 1:5 ",
    "aq1 10 1:5 2",
    "aq1 10 1:5 2:",
    "aq1 10 1:0",
    "aq1 10 1:5 0:5",
    "aq1 10 -1:5",
    "aq1 10 1:-5",
    "aq1 10 1:5,1:5",
    "aq1 10 1:5\n",
    "aq1 10 1:9223372036854775807",
    "aq1 10 9223372036854775807:1",
    "aq1 10 1:99999999999999999999",
    "aq1 10 1:5 x",
    "{\"next\":12}",
    "\xff\xfe",
};

static void test_junk_is_as_none(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
        struct offsets o;
        offsets_init(&o, 10, junk[i]);
        for (int64_t offset = 10; offset < 20; offset++)
            if (offsets_receive(&o, offset) != OFFSETS_NEW)
                fail_msg("\"%s\" was believed", junk[i]);
        assert_int_equal(offsets_position(&o), 10);
        offsets_free(&o);
    }
}

static void test_metadata_without_commit_is_ignored(void **state) {
    (void)state;
    struct offsets o;
    offsets_init(&o, -1, "aq1 0 0:5");
    assert_int_equal(offsets_receive(&o, 0), OFFSETS_NEW);
    offsets_free(&o);
}

static void test_size_limit_tells_of_fewer(void **state) {
    (void)state;
    struct offsets o;
    offsets_init(&o, 1000, NULL);
    for (int64_t offset = 1000; offset < 1012; offset++)
        assert_int_equal(offsets_receive(&o, offset), OFFSETS_NEW);
    for (int64_t offset = 1001; offset < 1012; offset += 2)
        assert_true(offsets_finish(&o, offset));
    const char whole[] = "aq1 1000 1:1 1:1 1:1 1:1 1:1 1:1";
    char written[64];
    for (size_t size = 1; size <= sizeof whole; size++) {
        memset(written, '#', sizeof written);
        offsets_metadata(&o, written, size);
        assert_true(strlen(written) < size);
        assert_memory_equal(written, whole, strlen(written));
        assert_true(written[0] == '\0' || written[strlen(written) - 1] == '1');
        for (size_t i = size; i < sizeof written; i++)
            assert_int_equal(written[i], '#');
        /* As many pairs as fit. */
        size_t pairs = size > 12 ? (size - 1 - 8) / 4 : 0;
        assert_int_equal(strlen(written), pairs > 0 ? 8 + 4 * pairs : 0);
    }
    assert_string_equal(written, whole);
    offsets_metadata(&o, NULL, 0);
    offsets_free(&o);
}

/* A pair that does not fit ends the text, though a shorter one behind it would fit. */
static void test_nothing_follows_what_did_not_fit(void **state) {
    (void)state;
    static const int64_t sparse[] = {0, 2, 5000, 5002, 5004};
    const char whole[] = "aq1 0 1:1 1:4997 1:1 1:1";
    struct offsets o;
    offsets_init(&o, -1, NULL);
    for (size_t i = 0; i < sizeof sparse / sizeof *sparse; i++)
        assert_int_equal(offsets_receive(&o, sparse[i]), OFFSETS_NEW);
    for (size_t size = 1; size <= sizeof whole; size++) {
        char written[sizeof whole];
        offsets_metadata(&o, written, size);
        size_t n = strlen(written);
        assert_memory_equal(written, whole, n);
        assert_true(n == 0 || whole[n] == ' ' || whole[n] == '\0');
    }
    offsets_free(&o);
}

/* One slow offset at the front, a million behind it: neither the memory nor the time may follow. */
static void test_memory_follows_the_unfinished(void **state) {
    (void)state;
    struct offsets o;
    offsets_init(&o, 0, NULL);
    assert_int_equal(offsets_receive(&o, 0), OFFSETS_NEW);
    for (int64_t offset = 1; offset <= 1000000; offset++) {
        assert_int_equal(offsets_receive(&o, offset), OFFSETS_NEW);
        if (offset > 20)
            assert_true(offsets_finish(&o, offset - 20));
    }
    assert_int_equal(offsets_unfinished(&o), 21);
    assert_true(o.room <= 128);
    assert_int_equal(offsets_position(&o), 0);
    char written[OFFSETS_METADATA_MAX];
    offsets_metadata(&o, written, sizeof written);
    assert_string_equal(written, "aq1 0 1:999980");
    offsets_free(&o);
}

/* --- properties ------------------------------------------------------------------------------- */

enum {
    LOG_RECORDS = 400,
    STEPS = 3000,
    RUNS = 200
};

struct world {
    uint64_t seed;
    int64_t log[LOG_RECORDS]; /* ascending offsets, sparse */
    bool done[LOG_RECORDS];   /* by whomever */
    bool known[LOG_RECORDS];  /* done by this owner, or told to it when it began */
    bool told[LOG_RECORDS];   /* known at the last commit, where all its metadata fitted */
    bool in_work[LOG_RECORDS];
    size_t read; /* the next to be received */
    int64_t committed;
    char metadata[OFFSETS_METADATA_MAX];
    int64_t position; /* the highest this owner has seen */
    struct offsets offsets;
};

static uint64_t draw(struct world *w, uint64_t below) {
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 7;
    w->seed ^= w->seed << 17;
    return w->seed % below;
}

static void check_position(struct world *w) {
    int64_t position = offsets_position(&w->offsets);
    assert_true(position >= w->position);
    w->position = position;
    for (size_t i = 0; i < LOG_RECORDS && w->log[i] < position; i++)
        if (!w->done[i])
            fail_msg("position %" PRId64 " passes the unfinished %" PRId64, position, w->log[i]);
}

static void receive_next(struct world *w) {
    if (w->read == LOG_RECORDS)
        return;
    size_t i = w->read++;
    enum offsets_news news = offsets_receive(&w->offsets, w->log[i]);
    if (news == OFFSETS_NEW)
        w->in_work[i] = true;
    else if (news != OFFSETS_FINISHED || !w->done[i])
        fail_msg("%" PRId64 " is not done, and was told as %d", w->log[i], (int)news);
    if (news == OFFSETS_NEW && w->told[i])
        fail_msg("%" PRId64 " was told as finished, and is to be done again", w->log[i]);
}

static void finish_one(struct world *w) {
    size_t start = draw(w, LOG_RECORDS);
    for (size_t n = 0; n < LOG_RECORDS; n++) {
        size_t i = (start + n) % LOG_RECORDS;
        if (!w->in_work[i])
            continue;
        w->in_work[i] = false;
        w->done[i] = w->known[i] = true;
        assert_true(offsets_finish(&w->offsets, w->log[i]));
        assert_false(offsets_finish(&w->offsets, w->log[i]));
        return;
    }
}

static void commit(struct world *w) {
    size_t size = draw(w, 2) == 0 ? sizeof w->metadata : 1 + draw(w, 80);
    int64_t position = offsets_position(&w->offsets);
    assert_true(position >= w->committed);
    w->committed = position;
    offsets_metadata(&w->offsets, w->metadata, size);
    bool whole = size == sizeof w->metadata;
    for (size_t i = 0; i < LOG_RECORDS; i++)
        w->told[i] = whole && w->known[i];
}

static void resume(struct world *w) {
    offsets_free(&w->offsets);
    memset(w->in_work, 0, sizeof w->in_work);
    memcpy(w->known, w->told, sizeof w->known);
    offsets_init(&w->offsets, w->committed, w->metadata);
    w->position = offsets_position(&w->offsets);
    for (w->read = 0; w->read < LOG_RECORDS && w->log[w->read] < w->committed;)
        w->read++;
}

static void live(uint64_t seed) {
    struct world *w = mem_zero(sizeof *w);
    w->seed = seed;
    w->committed = w->position = -1;
    uint64_t gap = 1 + draw(w, 4);
    for (size_t i = 0; i < LOG_RECORDS; i++)
        w->log[i] = (i > 0 ? w->log[i - 1] + 1 : (int64_t)draw(w, 3)) + (int64_t)draw(w, gap);
    offsets_init(&w->offsets, -1, NULL);
    uint64_t eager = 1 + draw(w, 8);
    for (int step = 0; step < STEPS; step++) {
        uint64_t what = draw(w, 20);
        if (what < eager)
            receive_next(w);
        else if (what < 17)
            finish_one(w);
        else if (what < 19)
            commit(w);
        else if (draw(w, 10) == 0)
            resume(w);
        check_position(w);
    }
    while (w->read < LOG_RECORDS)
        receive_next(w);
    for (int i = 0; i < LOG_RECORDS; i++)
        finish_one(w);
    assert_int_equal(offsets_unfinished(&w->offsets), 0);
    assert_int_equal(offsets_position(&w->offsets), w->log[LOG_RECORDS - 1] + 1);
    offsets_free(&w->offsets);
    free(w);
}

static void test_nothing_is_skipped_that_is_not_done(void **state) {
    (void)state;
    for (uint64_t run = 1; run <= RUNS; run++)
        live(run * 0x9E3779B97F4A7C15u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_junk_is_as_none),
        cmocka_unit_test(test_metadata_without_commit_is_ignored),
        cmocka_unit_test(test_size_limit_tells_of_fewer),
        cmocka_unit_test(test_nothing_follows_what_did_not_fit),
        cmocka_unit_test(test_memory_follows_the_unfinished),
        cmocka_unit_test(test_nothing_is_skipped_that_is_not_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
