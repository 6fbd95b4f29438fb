/*
 * The stand-in's HTTP edge: libmicrohttpd on the program's own loop in its one thread.
 *
 * An answer may be held back without holding up others, and a connection may be cut instead of
 * answered.
 */
#ifndef STANDINS_ATHENA_SIM_HTTP_H
#define STANDINS_ATHENA_SIM_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "standins/athena_sim/verify.h"

struct sim_answer {
    unsigned status;
    const char *content_type; /* borrowed for good */
    char *body;               /* owned, from malloc(); NULL: empty */
    size_t body_len;
    int64_t delay_ms;
    char request_id[37];
    bool cut; /* no answer: the connection is closed */
};

/* Fills in the answer; the request is gone when it returns. */
typedef void sim_answer_fn(void *arg, const struct sim_request *r, struct sim_answer *answer);

enum {
    SIM_BODY_MAX = 4 << 20 /* a query of 262,144 bytes, each as \u00XX, and more */
};

struct sim_http;

/* `address` is host:port. NULL: `detail` says why not. */
struct sim_http *sim_http_open(struct loop *loop, const char *address, sim_answer_fn *fn, void *arg,
                               char *detail, size_t detail_size);
/* The address it really listens on: host:port. */
const char *sim_http_address(const struct sim_http *http);

/* Takes no new connections, and answers at once what was held back. */
void sim_http_quiesce(struct sim_http *http);
size_t sim_http_pending(const struct sim_http *http); /* answers not sent yet */
void sim_http_close(struct sim_http *http);

#endif
