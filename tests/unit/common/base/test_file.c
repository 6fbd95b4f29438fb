#include "common/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/memory.h"

static char directory[64];

static void path_in_directory(const char *name, char path[128]) {
    snprintf(path, 128, "%s/%s", directory, name);
}

static void write_file(const char *path, const char *bytes, size_t n) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void test_contents(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n, max;
        bool is_read;
    } cases[] = {
        {"", 0, 0, true},     {"", 0, 8, true},         {"a\nb\n", 4, 8, true},
        {"a\0b", 3, 8, true}, {"12345678", 8, 8, true}, {"123456789", 9, 8, false},
        {"1", 1, 0, false},
    };
    char path[128], detail[256];
    path_in_directory("file", path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = 99;
        write_file(path, cases[i].bytes, cases[i].n);
        char *text = file_read(path, cases[i].max, &len, detail, sizeof detail);
        assert_int_equal(text != NULL, cases[i].is_read);
        assert_int_equal(len, cases[i].is_read ? cases[i].n : 0);
        if (text == NULL) {
            assert_non_null(strstr(detail, path));
            assert_non_null(strstr(detail, "too large"));
            continue;
        }
        assert_memory_equal(text, cases[i].bytes, cases[i].n + 1);
        mem_wipe_free(text, len);
    }
    unlink(path);
}

static void test_no_file(void **state) {
    (void)state;
    char path[128], detail[256];
    size_t len;
    path_in_directory("none", path);
    assert_null(file_read(path, 8, &len, detail, sizeof detail));
    assert_non_null(strstr(detail, path));
    assert_non_null(strstr(detail, "No such file"));
    assert_null(file_read(directory, 8, &len, detail, sizeof detail));
    assert_non_null(strstr(detail, "directory"));
}

/* A FIFO that nobody writes to would hold up the whole program. */
static void test_fifo_does_not_block(void **state) {
    (void)state;
    char path[128], detail[256];
    size_t len;
    path_in_directory("fifo", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    char *text = file_read(path, 8, &len, detail, sizeof detail);
    assert_non_null(text);
    assert_int_equal(len, 0);
    free(text);
    unlink(path);
}

static int make_directory(void **state) {
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/file-XXXXXX", parent != NULL ? parent : "/tmp");
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state) {
    (void)state;
    return rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_fifo_does_not_block),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
