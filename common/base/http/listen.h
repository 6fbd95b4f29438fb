/*
 * Listening TCP sockets.
 */
#ifndef COMMON_BASE_HTTP_LISTEN_H
#define COMMON_BASE_HTTP_LISTEN_H

#include <stddef.h>

#include "common/base/must_check.h"

enum {
    LISTEN_ADDRESS_MAX = 64 /* of a bound address, with its NUL */
};

/*
 * `address` is "host:port", IPv6 in brackets. Returns a bound, listening, non-blocking socket that
 * exec() closes, the caller's to close; -1 on failure, with the reason in `error`. `bound` gets the
 * numeric address, with the port that the kernel chose where `address` has port 0. A host name is
 * resolved, which may block: call it at start only.
 */
MUST_CHECK int http_listen(const char *address, char *bound, size_t bound_size, char *error,
                           size_t error_size);

#endif
