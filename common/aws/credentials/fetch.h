/*
 * Fetching credentials without waiting: what all places have in common that need time to answer.
 *
 * `imds_start()` and its like begin a fetch. They return it, and then `fn` is told once, from the
 * loop; or NULL, and then `now` says at once what came of it. The fetch is gone when `fn` returns.
 */
#ifndef COMMON_AWS_CREDENTIALS_FETCH_H
#define COMMON_AWS_CREDENTIALS_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/clock.h"
#include "common/aws/credentials/provider.h"
#include "common/base/http/client.h"
#include "common/base/loop.h"

struct aws_options;
struct aws_place;

/* What fetches use; all borrowed, and outlives them. */
struct fetch_context {
    struct loop *loop;
    struct http_client *http;
    const struct aws_options *options;
    struct aws_clock *clock;
    struct aws_place *place; /* where STS is */
};

struct fetch_result {
    enum credentials_found found;   /* never COMING */
    struct credentials credentials; /* where FOUND; whoever wants them takes them and zeroes this */
    char detail[512];               /* where BROKEN, and why NOT_CONFIGURED; never a secret */
    char from[400];                 /* where FOUND: in words, for people */
    char region[64];                /* where a region was asked for */
};

typedef void fetch_done_fn(void *arg, struct fetch_result *result);

struct fetch;

/* The first member of each kind of fetch. */
struct fetch {
    void (*release)(struct fetch *f); /* cancels what is under way, frees what its kind holds */
    struct fetch_context ctx;
    fetch_done_fn *fn;
    void *arg;
};

/* `size` bytes, zeroed but for the struct fetch that they begin with. */
void *fetch_new(size_t size, void (*release)(struct fetch *f), const struct fetch_context *ctx,
                fetch_done_fn *fn, void *arg);
/* Tells, releases and frees; takes the credentials that nobody took with it. From the loop only. */
void fetch_finish(struct fetch *f, struct fetch_result *result);
/* Finishes it as broken. */
void fetch_fail(struct fetch *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* `fn` will not be called. Not from within `fn`. NULL is fine. */
void fetch_cancel(struct fetch *f);
/* For what is known at once: fills `now`, and returns NULL. */
struct fetch *fetch_broken(struct fetch_result *now, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Finishes with what came in, and takes it: what has expired already is broken, but where the
 * service's clock (`date`, -1: not known) says otherwise, ours is set right. `fmt`: where from.
 */
void fetch_found(struct fetch *f, struct credentials *credentials, int64_t date, const char *fmt,
                 ...) __attribute__((format(printf, 4, 5)));

#endif
