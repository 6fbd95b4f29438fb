#include "receiver/auth/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

/* SHA-256 of "a" and of "b". */
#define HASH_A "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
#define HASH_B "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"

static char path[] = "/tmp/test_access.XXXXXX";

static void write_keys(const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static struct access *open_keys(const char *text) {
    struct buffer faults;
    buffer_init(&faults, 4096);
    write_keys(text);
    struct access *a = access_open(path, &faults);
    assert_string_equal(buffer_text(&faults), "");
    assert_non_null(a);
    buffer_free(&faults);
    return a;
}

/* The status of the refusal; 0: it is allowed. */
static int status_of(struct access *a, bool client_trusted, const char *key, int64_t now_ms) {
    struct access_request r = {client_trusted, key};
    struct http_response refusal = {0};
    bool allowed = access_allows(a, &r, now_ms, &refusal);
    int status = refusal.status;
    assert_true(allowed == (status == 0));
    assert_true((status == 401) == (refusal.authenticate != NULL));
    assert_true((status == 429) == (refusal.retry_after_s > 0));
    http_response_free(&refusal);
    return status;
}

static void test_who_may(void **state) {
    (void)state;
    static const struct {
        bool client_trusted;
        const char *key;
        int status;
    } cases[] = {{true, "a", 0},   {true, NULL, 401}, {true, "", 401},   {true, "x", 401},
                 {true, "b", 403}, {false, "a", 403}, {false, NULL, 403}};
    struct access *a = open_keys("one:" HASH_A "\ntwo:" HASH_B ":0\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(status_of(a, cases[i].client_trusted, cases[i].key, 0), cases[i].status);
    access_close(a);
}

static void test_without_keys(void **state) {
    (void)state;
    struct access *a = access_open(NULL, NULL);
    assert_int_equal(status_of(a, true, NULL, 0), 0);
    assert_int_equal(status_of(a, true, "x", 0), 0);
    assert_int_equal(status_of(a, false, NULL, 0), 403);
    assert_true(access_reload(a));
    access_close(a);
    access_close(NULL);
}

static void test_reload(void **state) {
    (void)state;
    struct access *a = open_keys("one:" HASH_A ":1\n");
    assert_int_equal(status_of(a, true, "a", 0), 0);
    assert_int_equal(status_of(a, true, "a", 0), 429);
    write_keys("one:" HASH_A ":1\ntwo:" HASH_B "\n");
    assert_true(access_reload(a));
    assert_int_equal(status_of(a, true, "a", 0), 429); /* its rate goes on */
    assert_int_equal(status_of(a, true, "b", 0), 0);
    write_keys("no keys\n");
    assert_false(access_reload(a));
    assert_int_equal(status_of(a, true, "b", 0), 0); /* the old ones stay */
    access_close(a);
}

static void test_faults(void **state) {
    (void)state;
    struct buffer faults;
    buffer_init(&faults, 4096);
    write_keys("one\n");
    assert_null(access_open(path, &faults));
    assert_non_null(strstr(buffer_text(&faults), "line 1: "));
    buffer_free(&faults);
}

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_may),
        cmocka_unit_test(test_without_keys),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
