/*
 * The reader against nst/JSONTestSuite (test_parsing): files y_… must be taken, n_… refused, i_…
 * may go either way. They are looked for in $JSON_TEST_SUITE, or else beside the repository; where
 * they are absent this says so and skips.
 *
 * The reader wants an object, and most of the files are something else. So each is read as the
 * value of a member too, which leaves every sound value sound. It also leaves every n_ file
 * unsound: none closes the object early, or is sound but for where it begins or ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/json.h"

#define FILES_MIN 300
#define BYTES_MAX (4 << 20)

/* Taken by RFC 8259 and refused here, as they can mean two things to two readers. */
static const char *const refused_anyway[] = {
    "y_object_duplicated_key.json",           /* which of the two values? */
    "y_object_duplicated_key_and_value.json", /* no harm in these two, but one rule */
    "y_object_escaped_null_in_key.json",      /* C ends a string at NUL */
    "y_string_null_escape.json",              /* C ends a string at NUL */
};

struct tally {
    int files, taken, refused, free, exceptions;
};

static const char *suite(void) {
    const char *given = getenv("JSON_TEST_SUITE");
    return given != NULL ? given : "../shared/data/json";
}

static bool is_refused_anyway(const char *name) {
    for (size_t i = 0; i < sizeof refused_anyway / sizeof *refused_anyway; i++)
        if (strcmp(name, refused_anyway[i]) == 0)
            return true;
    return false;
}

static void read_file(const char *name, struct buffer *b) {
    char path[1000], piece[4096];
    snprintf(path, sizeof path, "%s/%s", suite(), name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s cannot be opened", path);
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        buffer_add(b, piece, n);
    assert_false(ferror(file));
    assert_false(b->failed);
    fclose(file);
}

/* Walks what the reader told, so that decoding and arrays see every file too. */
static bool walk_element(void *arg, struct json_value value) {
    if (value.type == JSON_STRING) {
        size_t n;
        char *text = json_decode_string(value, &n);
        assert_int_equal(strlen(text), n);
        free(text);
    }
    return value.type != JSON_ARRAY || json_read_array(value, walk_element, arg);
}

static bool walk_member(void *arg, const char *key, size_t key_len, struct json_value value) {
    (void)key;
    (void)key_len;
    return walk_element(arg, value);
}

static bool is_taken(const struct buffer *b, char *detail, size_t detail_size) {
    char *copy = malloc(b->len > 0 ? b->len : 1); /* of that size, for the sanitizers */
    assert_non_null(copy);
    memcpy(copy, buffer_text(b), b->len);
    bool ok =
        json_read_object(copy, b->len, JSON_DEPTH_MAX, walk_member, NULL, detail, detail_size);
    free(copy);
    return ok;
}

static bool is_object(const struct buffer *b) {
    const char *text = buffer_text(b);
    return text[strspn(text, " \t\r\n")] == '{';
}

static bool is_taken_within(const struct buffer *b, char *detail, size_t detail_size) {
    struct buffer outer;
    buffer_init(&outer, BYTES_MAX + 100);
    buffer_puts(&outer, "{\"k\":");
    buffer_add(&outer, b->data, b->len);
    buffer_puts(&outer, "}");
    bool ok = is_taken(&outer, detail, detail_size);
    buffer_free(&outer);
    return ok;
}

static void check_file(const char *name, struct tally *tally) {
    char detail[200] = "";
    struct buffer b;
    buffer_init(&b, BYTES_MAX);
    read_file(name, &b);
    bool alone = is_taken(&b, detail, sizeof detail);
    bool within = is_taken_within(&b, detail, sizeof detail);
    bool wanted = name[0] == 'y' && !is_refused_anyway(name);
    tally->files++;
    tally->exceptions += is_refused_anyway(name);
    if (name[0] == 'i') {
        tally->free++;
    } else {
        if (within != wanted)
            fail_msg("%s: %s", name, within ? "taken" : detail);
        if (alone != (wanted && is_object(&b)))
            fail_msg("%s, alone: %s", name, alone ? "taken" : "refused");
        tally->taken += wanted;
        tally->refused += !wanted;
    }
    buffer_free(&b);
}

static void test_suite(void **state) {
    (void)state;
    DIR *directory = opendir(suite());
    if (directory == NULL) {
        print_message("skipped: no JSONTestSuite in %s (JSON_TEST_SUITE names another place)\n",
                      suite());
        skip();
    }
    struct tally tally = {0};
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (strchr("yni", entry->d_name[0]) != NULL && entry->d_name[1] == '_')
            check_file(entry->d_name, &tally);
    closedir(directory);
    print_message("%d files: %d taken, %d refused, %d free\n", tally.files, tally.taken,
                  tally.refused, tally.free);
    assert_true(tally.files >= FILES_MIN);
    assert_int_equal(tally.exceptions, sizeof refused_anyway / sizeof *refused_anyway);
    assert_true(tally.taken > 80 && tally.refused > 180);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
