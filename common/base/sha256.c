#include "common/base/sha256.h"

#define OPENSSL_API_COMPAT 0x10100000L /* they are deprecated, for EVP's, since 3.0 */
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

void sha256(const void *bytes, size_t n, uint8_t out[SHA256_LEN]) {
    SHA256_CTX ctx;
    SHA256_Init(&ctx);
    SHA256_Update(&ctx, bytes, n);
    SHA256_Final(out, &ctx);
}

/* The hash of a block that is `key` with `pad` over it, and of `n` bytes behind it. */
static void hash_padded(const uint8_t key[SHA256_CBLOCK], uint8_t pad, const void *bytes, size_t n,
                        uint8_t out[SHA256_LEN]) {
    uint8_t block[SHA256_CBLOCK];
    SHA256_CTX ctx;
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = key[i] ^ pad;
    SHA256_Init(&ctx);
    SHA256_Update(&ctx, block, sizeof block);
    SHA256_Update(&ctx, bytes, n);
    SHA256_Final(out, &ctx);
    OPENSSL_cleanse(block, sizeof block);
    OPENSSL_cleanse(&ctx, sizeof ctx);
}

void sha256_hmac(const void *key, size_t key_len, const void *bytes, size_t n,
                 uint8_t out[SHA256_LEN]) {
    uint8_t block[SHA256_CBLOCK] = {0}, inner[SHA256_LEN];
    if (key_len > sizeof block)
        sha256(key, key_len, block);
    else if (key_len > 0)
        memcpy(block, key, key_len);
    hash_padded(block, 0x36, bytes, n, inner);
    hash_padded(block, 0x5c, inner, sizeof inner, out);
    OPENSSL_cleanse(block, sizeof block);
    OPENSSL_cleanse(inner, sizeof inner);
}
