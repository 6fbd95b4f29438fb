/*
 * SHA-256, and HMAC with it (pure; any thread).
 *
 * OpenSSL's older functions: those of EVP look their algorithm up at each call, which takes four
 * times as long as a hash of 250 bytes.
 */
#ifndef COMMON_BASE_SHA256_H
#define COMMON_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum {
    SHA256_LEN = 32
};

/* `bytes` may be NULL where `n` is 0. */
void sha256(const void *bytes, size_t n, uint8_t out[SHA256_LEN]);
/* RFC 2104. `out` may be `key`. */
void sha256_hmac(const void *key, size_t key_len, const void *bytes, size_t n,
                 uint8_t out[SHA256_LEN]);

#endif
