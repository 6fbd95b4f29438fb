/*
 * /healthz, /readyz and /metrics on a port of their own (ADMIN_LISTEN), so that connections of the
 * public port cannot take theirs. On the program's loop and thread.
 */
#ifndef COMMON_BASE_HTTP_ADMIN_H
#define COMMON_BASE_HTTP_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/base/loop.h"
#include "common/base/must_check.h"

struct admin;

/* Both are called on the loop's thread, for each request. */
struct admin_source {
    /* True: 200. False: 503, with what is missing in `why`, a line each. */
    bool (*ready)(void *arg, struct buffer *why);
    /* The text of /metrics. */
    void (*metrics)(void *arg, struct buffer *out);
    void *arg;
    const char *stage; /* borrowed; not empty: the paths are served under /STAGE too. May be NULL */
};

/*
 * `listen` is "host:port"; the address that was bound is logged as `admin on HOST:PORT`. `source`
 * is copied. NULL on failure, with the reason in `error`. /healthz is 200 for as long as the loop
 * runs. GET and HEAD only.
 */
MUST_CHECK struct admin *admin_open(struct loop *loop, const char *listen,
                                    const struct admin_source *source, char *error,
                                    size_t error_size);
const char *admin_address(const struct admin *a); /* HOST:PORT as bound; borrowed */
void admin_close(struct admin *a);                /* takes NULL; breaks off what is under way */

#endif
