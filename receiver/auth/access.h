/*
 * Who may send requests: client certificates, API keys and their rates.
 */
#ifndef RECEIVER_AUTH_ACCESS_H
#define RECEIVER_AUTH_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/http/response.h"

struct access;

/* What a request shows of its sender. */
struct access_request {
    bool client_trusted; /* by its TLS certificate, or none is asked for */
    const char *api_key; /* the header x-api-key where it came exactly once, else NULL */
};

/*
 * `keys_file` (API_KEYS_FILE) must stay; NULL: every client may send requests. Returns NULL where
 * the file has faults: they are in `faults`, a line each.
 */
struct access *access_open(const char *keys_file, struct buffer *faults);
void access_close(struct access *a); /* takes NULL */

/*
 * False: the request is refused with `refusal`, which must be zeroed. Takes one request's worth
 * from the rate of its key. `now_ms` is loop_now()'s clock.
 */
bool access_allows(struct access *a, const struct access_request *r, int64_t now_ms,
                   struct http_response *refusal);

/*
 * Reads the keys' file again. Keys that stay keep what is left of their rate. False: the file has
 * faults, the first is logged, and the keys stay as they were.
 */
bool access_reload(struct access *a);

#endif
