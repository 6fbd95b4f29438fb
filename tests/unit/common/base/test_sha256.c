#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/base/hex.h"
#include "common/base/sha256.h"

static void check(const uint8_t got[SHA256_LEN], const char *wanted) {
    char hex[2 * SHA256_LEN + 1];
    hex_write(got, SHA256_LEN, hex);
    assert_string_equal(hex, wanted);
}

/* FIPS 180-2, and the empty message. */
static void test_sha256(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    uint8_t out[SHA256_LEN];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sha256(cases[i][0], strlen(cases[i][0]), out);
        check(out, cases[i][1]);
    }
    sha256(NULL, 0, out);
    check(out, cases[0][1]);
}

/* RFC 4231: cases 1, 2 and 6, whose key is longer than a block. */
static void test_hmac(void **state) {
    (void)state;
    uint8_t out[SHA256_LEN], key[131];
    memset(key, 0x0b, 20);
    sha256_hmac(key, 20, "Hi There", 8, out);
    check(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    sha256_hmac("Jefe", 4, "what do ya want for nothing?", 28, out);
    check(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    static const char text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    memset(key, 0xaa, sizeof key);
    sha256_hmac(key, sizeof key, text, strlen(text), out);
    check(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    memcpy(out, "Jefe", 4); /* the result over the key */
    sha256_hmac(out, 4, "what do ya want for nothing?", 28, out);
    check(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_hmac),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
