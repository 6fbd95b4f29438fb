/*
 * /healthz, /readyz and /metrics on a port of their own (ADMIN_LISTEN), in the program's loop, so
 * that a busy front door cannot starve them.
 */
#ifndef COMMON_ADMIN_H
#define COMMON_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/loop.h"

struct admin;

struct admin_source {
    /* True: 200. False: 503, with what is missing in `why`, a line each. */
    bool (*ready)(void *arg, struct buffer *why);
    /* The text of /metrics. */
    void (*metrics)(void *arg, struct buffer *out);
    void *arg;
};

/*
 * `listen` is "host:port"; the port that was bound is logged as `admin on HOST:PORT`. NULL on
 * failure, with the reason in `error`. /healthz is 200 for as long as the loop turns.
 */
struct admin *admin_open(struct loop *loop, const char *listen, const struct admin_source *source,
                         char *error, size_t error_size);
void admin_close(struct admin *a);

/* A bound, listening, non-blocking TCP socket, -1 on failure; also for the receiver. */
int admin_listen_socket(const char *listen, char *bound, size_t bound_size, char *error,
                        size_t error_size);

#endif
