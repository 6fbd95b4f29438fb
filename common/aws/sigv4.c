#include "common/aws/sigv4.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hex.h"
#include "common/base/memory.h"
#include "common/base/sha256.h"

enum {
    DAY_LEN = 8, /* the first part of a date, 20260102 */
    LINKS = 5    /* of the chain of HMACs */
};

/* --- Steps 3 and 4 ---------------------------------------------------------------------------- */

/*
 * Steps 3 and 4 are one chain of HMACs: the key of the first is the secret, that of each other one
 * the result before it. The last but one gives the signing key, the last the signature.
 */
static void sign_string(const struct sigv4_request *r, const struct sigv4_keys *keys,
                        const char *date, const char *string_to_sign,
                        char signature[2 * SHA256_LEN + 1]) {
    char day[DAY_LEN + 1] = {0};
    memcpy(day, date, DAY_LEN);
    const char *const parts[LINKS] = {day, r->region, r->service, SIGV4_TERMINATOR, string_to_sign};
    uint8_t link[SHA256_LEN];

    size_t secret_len = strlen("AWS4") + strlen(keys->secret_access_key);
    char *secret = mem_alloc(secret_len + 1);
    memcpy(secret, "AWS4", 4);
    memcpy(secret + 4, keys->secret_access_key, secret_len - 4);
    sha256_hmac(secret, secret_len, parts[0], strlen(parts[0]), link);
    mem_wipe_free(secret, secret_len);

    for (size_t i = 1; i < LINKS; i++)
        sha256_hmac(link, sizeof link, parts[i], strlen(parts[i]), link);
    hex_write(link, sizeof link, signature);
    OPENSSL_cleanse(link, sizeof link);
}

/* All steps. Free `s`, which it fills, in both cases. */
static bool sigv4_sign(struct sigv4_canonical *s, const struct sigv4_request *r,
                       const struct sigv4_keys *keys, int64_t expires_seconds,
                       char signature[2 * SHA256_LEN + 1]) {
    struct buffer text;
    buffer_init(&text, SIGV4_CANONICAL_MAX);
    bool ok = sigv4_canonicalize(s, r, keys, expires_seconds) &&
              sigv4_string_to_sign(r, buffer_text(&s->request), &text);
    if (ok)
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
    char signature[2 * SHA256_LEN + 1];
    bool ok = sigv4_sign(&s, r, keys, expires_seconds, signature);
    if (ok) {
        buffer_add(out, s.query.data, s.query.len);
        buffer_puts(out, "&X-Amz-Signature=");
        buffer_puts(out, signature);
    }
    sigv4_canonical_free(&s);
    return ok && !out->failed;
}
