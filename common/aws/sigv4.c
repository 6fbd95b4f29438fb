#include "common/aws/sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hex.h"
#include "common/base/memory.h"

enum {
    DAY_LEN = 8, /* the first part of a date, 20260102 */
    HASH_LEN = 32,
    LINKS = 5 /* of the chain of HMACs */
};

/* --- Steps 3 and 4 ---------------------------------------------------------------------------- */

static bool sigv4_hmac(EVP_MAC_CTX *ctx, const void *key, size_t key_len, const char *text,
                       unsigned char mac[HASH_LEN]) {
    return EVP_MAC_init(ctx, key, key_len, NULL) == 1 &&
           EVP_MAC_update(ctx, (const unsigned char *)text, strlen(text)) == 1 &&
           EVP_MAC_final(ctx, mac, NULL, HASH_LEN) == 1;
}

/* One context for all links of a chain: looking up the algorithm takes longer than running it. */
static EVP_MAC_CTX *sigv4_hmac_open(void) {
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = algorithm != NULL ? EVP_MAC_CTX_new(algorithm) : NULL;
    EVP_MAC_free(algorithm);
    char digest[] = "SHA256";
    const OSSL_PARAM sha256[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0),
                                 OSSL_PARAM_construct_end()};
    if (ctx != NULL && EVP_MAC_CTX_set_params(ctx, sha256) != 1) {
        EVP_MAC_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/*
 * Steps 3 and 4 are one chain of HMACs: the key of the first is the secret, that of each other one
 * the result before it. The last but one gives the signing key, the last the signature.
 */
static bool sign_string(const struct sigv4_request *r, const struct sigv4_keys *keys,
                        const char *date, const char *string_to_sign,
                        char signature[2 * HASH_LEN + 1]) {
    char day[DAY_LEN + 1] = {0};
    memcpy(day, date, DAY_LEN);
    const char *const parts[LINKS] = {day, r->region, r->service, SIGV4_TERMINATOR, string_to_sign};
    unsigned char links[LINKS][HASH_LEN];

    size_t secret_len = strlen("AWS4") + strlen(keys->secret_access_key);
    char *secret = mem_alloc(secret_len + 1);
    memcpy(secret, "AWS4", 4);
    memcpy(secret + 4, keys->secret_access_key, secret_len - 4);
    EVP_MAC_CTX *ctx = sigv4_hmac_open();
    bool ok = ctx != NULL && sigv4_hmac(ctx, secret, secret_len, parts[0], links[0]);
    mem_wipe_free(secret, secret_len);

    for (size_t i = 1; ok && i < LINKS; i++)
        ok = sigv4_hmac(ctx, links[i - 1], HASH_LEN, parts[i], links[i]);
    EVP_MAC_CTX_free(ctx);
    if (ok)
        hex_write(links[LINKS - 1], HASH_LEN, signature);
    OPENSSL_cleanse(links, sizeof links);
    return ok;
}

/* All steps. Free `s`, which it fills, in both cases. */
static bool sigv4_sign(struct sigv4_canonical *s, const struct sigv4_request *r,
                       const struct sigv4_keys *keys, int64_t expires_seconds,
                       char signature[2 * HASH_LEN + 1]) {
    struct buffer text;
    buffer_init(&text, SIGV4_CANONICAL_MAX);
    bool ok = sigv4_canonicalize(s, r, keys, expires_seconds) &&
              sigv4_string_to_sign(r, buffer_text(&s->request), &text) &&
              sign_string(r, keys, s->date, buffer_text(&text), signature);
    buffer_free(&text);
    return ok;
}

/* --- What callers use ------------------------------------------------------------------------- */

bool sigv4_canonical_request(const struct sigv4_request *r, const struct sigv4_keys *keys,
                             int64_t expires_seconds, struct buffer *out) {
    struct sigv4_canonical s;
    bool ok = sigv4_canonicalize(&s, r, keys, expires_seconds);
    if (ok)
        buffer_add(out, s.request.data, s.request.len);
    sigv4_canonical_free(&s);
    return ok && !out->failed;
}

bool sigv4_sign_headers(const struct sigv4_request *r, const struct sigv4_keys *keys,
                        struct sigv4_signed *out) {
    *out = (struct sigv4_signed){0};
    struct sigv4_canonical s;
    bool ok = sigv4_sign(&s, r, keys, 0, out->signature);
    if (ok) {
        struct buffer header;
        buffer_init(&header, SIGV4_CANONICAL_MAX);
        buffer_puts(&header, SIGV4_ALGORITHM " Credential=");
        buffer_puts(&header, keys->access_key_id);
        buffer_putc(&header, '/');
        buffer_puts(&header, buffer_text(&s.scope));
        buffer_puts(&header, ", SignedHeaders=");
        buffer_puts(&header, buffer_text(&s.signed_headers));
        buffer_puts(&header, ", Signature=");
        buffer_puts(&header, out->signature);
        ok = !header.failed;
        out->authorization = buffer_take(&header);
        memcpy(out->date, s.date, sizeof out->date);
    }
    if (!ok)
        sigv4_signed_free(out);
    sigv4_canonical_free(&s);
    return ok;
}

void sigv4_signed_free(struct sigv4_signed *s) {
    free(s->authorization);
    *s = (struct sigv4_signed){0};
}

bool sigv4_presign(const struct sigv4_request *r, const struct sigv4_keys *keys,
                   int64_t expires_seconds, struct buffer *out) {
    if (expires_seconds <= 0)
        return false;
    struct sigv4_canonical s;
    char signature[2 * HASH_LEN + 1];
    bool ok = sigv4_sign(&s, r, keys, expires_seconds, signature);
    if (ok) {
        buffer_add(out, s.query.data, s.query.len);
        buffer_puts(out, "&X-Amz-Signature=");
        buffer_puts(out, signature);
    }
    sigv4_canonical_free(&s);
    return ok && !out->failed;
}
