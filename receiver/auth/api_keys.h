/*
 * The API keys and how often each may be used (pure but for api_keys_load).
 *
 * One key a line: name:sha256-hex[:requests-per-second[:burst]]. The hash is that of the key as it
 * stands in the header x-api-key. Without a rate a key has no limit; with a rate of 0 every request
 * is refused. Without a burst it is the rate, rounded up. Empty lines and lines that begin with #
 * are skipped.
 */
#ifndef RECEIVER_AUTH_API_KEYS_H
#define RECEIVER_AUTH_API_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

struct api_keys;

/*
 * NULL where anything is wrong: every fault is in `faults`, a line each, `line N: …`. A text
 * without a key is a fault too: it would shut everybody out.
 */
struct api_keys *api_keys_read(const char *text, size_t n, struct buffer *faults);
struct api_keys *api_keys_load(const char *path, struct buffer *faults);
void api_keys_free(struct api_keys *keys);
size_t api_keys_count(const struct api_keys *keys);

enum api_key_verdict {
    API_KEY_TAKEN,
    API_KEY_UNKNOWN, /* 401 */
    API_KEY_SHUT,    /* 403 */
    API_KEY_BUSY,    /* 429 */
};

struct api_key_check {
    enum api_key_verdict verdict;
    const char *name; /* borrowed; NULL where unknown */
    int64_t wait_ms;  /* API_KEY_BUSY: until the next request is taken */
};

/*
 * Takes one request's worth from the key's bucket. `now_ms` is any clock that does not go back.
 * Every key is compared whole, so that the time it takes does not depend on how much of a hash
 * matches.
 */
struct api_key_check api_keys_check(struct api_keys *keys, const char *key, int64_t now_ms);

/* Keys that have the same name and hash in `from` get what is left in their buckets there. */
void api_keys_inherit(struct api_keys *keys, const struct api_keys *from);

#endif
