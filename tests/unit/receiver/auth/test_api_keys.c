#include "receiver/auth/api_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* printf %s key | sha256sum */
#define HASH_A "6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090" /* abc123 */
#define HASH_E "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" /* (empty) */

static struct api_keys *read_text(const char *text, char faults[512]) {
    struct buffer b;
    buffer_init(&b, 511);
    struct api_keys *keys = api_keys_read(text, strlen(text), &b);
    if (faults != NULL)
        strcpy(faults, buffer_text(&b));
    else
        assert_string_equal(buffer_text(&b), "");
    buffer_free(&b);
    return keys;
}

static void test_files(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        const char *fault; /* a part of it; NULL: sound */
    } cases[] = {
        {"a:" HASH_A, 1, NULL},
        {"a:" HASH_A "\n\n # comment\n  b:" HASH_E ":0.5:3 \t\r\n", 2, NULL},
        {"a:" HASH_A ":0", 1, NULL},
        {"a:" HASH_A ":10\n", 1, NULL},
        {"", 0, "line 1: there is no key"},
        {"# a:" HASH_A "\n", 0, "there is no key"},
        {"a", 0, "line 1: needs the key's SHA-256"},
        {"a:b\n:" HASH_A, 0, "line 2: needs a name"},
        {"a:" HASH_A "0", 0, "64 hex digits"},
        {"a:g" HASH_A, 0, "64 hex digits"},
        {"a:" HASH_A ":", 0, "requests-per-second"},
        {"a:" HASH_A ":-1", 0, "requests-per-second"},
        {"a:" HASH_A ":1e3", 0, "requests-per-second"},
        {"a:" HASH_A ":nan", 0, "requests-per-second"},
        {"a:" HASH_A ":1.2.3", 0, "requests-per-second"},
        {"a:" HASH_A ":1:0", 0, "burst"},
        {"a:" HASH_A ":1:", 0, "burst"},
        {"a:" HASH_A ":1:2:3", 0, "has more than"},
        {"a:" HASH_A "\na:" HASH_E, 0, "line 2: has the name"},
        {"a:" HASH_A "\nb:" HASH_A, 0, "line 2: has the name or the hash"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char faults[512];
        struct api_keys *keys = read_text(cases[i].text, faults);
        if ((keys != NULL) != (cases[i].fault == NULL) ||
            (cases[i].fault != NULL && strstr(faults, cases[i].fault) == NULL))
            fail_msg("case %zu: %s", i, faults);
        if (keys != NULL)
            assert_int_equal(api_keys_count(keys), cases[i].count);
        api_keys_free(keys);
    }
}

static void test_who(void **state) {
    (void)state;
    struct api_keys *keys = read_text("a:" HASH_A "\nnobody:" HASH_E ":0", NULL);
    assert_int_equal(api_keys_check(keys, "abc123", 0).verdict, API_KEY_TAKEN);
    assert_string_equal(api_keys_check(keys, "abc123", 0).name, "a");
    assert_int_equal(api_keys_check(keys, "", 0).verdict, API_KEY_SHUT);
    assert_int_equal(api_keys_check(keys, "abc12", 0).verdict, API_KEY_UNKNOWN);
    assert_int_equal(api_keys_check(keys, HASH_A, 0).verdict, API_KEY_UNKNOWN);
    assert_int_equal(api_keys_check(keys, NULL, 0).verdict, API_KEY_UNKNOWN);
    api_keys_free(keys);
}

static void take(struct api_keys *keys, int64_t now_ms, int64_t wait_ms) {
    struct api_key_check a = api_keys_check(keys, "abc123", now_ms);
    assert_int_equal(a.verdict, wait_ms == 0 ? API_KEY_TAKEN : API_KEY_BUSY);
    assert_int_equal(a.wait_ms, wait_ms);
}

static void test_how_often(void **state) {
    (void)state;
    struct api_keys *keys = read_text("a:" HASH_A ":2:3", NULL); /* one each 500 ms */
    take(keys, 1000, 0);
    take(keys, 1000, 0);
    take(keys, 1000, 0);
    take(keys, 1000, 500);
    take(keys, 1400, 100);
    take(keys, 1500, 0);
    take(keys, 1500, 500);
    take(keys, 1000, 500); /* a clock that went back takes nothing away and gives nothing */
    take(keys, 100000, 0);
    take(keys, 100000, 0);
    take(keys, 100000, 0);
    take(keys, 100000, 500); /* no more than the burst however long it was */
    api_keys_free(keys);

    keys = read_text("a:" HASH_A ":0.5", NULL); /* a burst of one without a word on it */
    take(keys, 0, 0);
    take(keys, 0, 2000);
    api_keys_free(keys);
}

static void test_a_reload_does_not_fill_buckets(void **state) {
    (void)state;
    struct api_keys *old = read_text("a:" HASH_A ":1:2", NULL);
    take(old, 0, 0);
    take(old, 0, 0);
    struct api_keys *same = read_text("x:" HASH_E "\na:" HASH_A ":1:2", NULL);
    struct api_keys *renamed = read_text("b:" HASH_A ":1:2", NULL);
    api_keys_inherit(same, old);
    api_keys_inherit(renamed, old);
    take(same, 0, 1000);
    take(renamed, 0, 0);
    api_keys_free(old);
    api_keys_free(same);
    api_keys_free(renamed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_who),
        cmocka_unit_test(test_how_often),
        cmocka_unit_test(test_a_reload_does_not_fill_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
