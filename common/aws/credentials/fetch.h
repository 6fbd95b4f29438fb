/*
 * Fetching credentials without waiting: what the sources that take time have in common.
 *
 * imds_start(), container_start() and the like begin a fetch. Either they return it, and `fn` is
 * called once, from the loop, unless it is cancelled; the fetch is gone when `fn` returns. Or they
 * return NULL, and `now` holds the result already. All of this belongs to the thread of the loop.
 */
#ifndef COMMON_AWS_CREDENTIALS_FETCH_H
#define COMMON_AWS_CREDENTIALS_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/clock.h"
#include "common/aws/credentials/credentials.h"
#include "common/base/http/client.h"
#include "common/base/loop.h"

struct aws_options;
struct aws_region;

/* What all fetches use. All are borrowed and outlive the fetch. */
struct fetch_context {
    struct loop *loop;
    struct http_client *http;
    const struct aws_options *options;
    struct aws_clock *clock;
    struct aws_region *region; /* for the endpoint of STS */
};

struct fetch_result {
    enum credentials_found found;   /* never COMING */
    struct credentials credentials; /* where FOUND; whoever takes them over zeroes this */
    char detail[512];               /* where BROKEN, and why NOT_CONFIGURED; never a secret */
    char from[400];                 /* where FOUND: from where, in words for people */
    char region[64];                /* where a region was asked for */
};

typedef void fetch_done_fn(void *arg, struct fetch_result *result);

/* The first member of each kind of fetch. */
struct fetch {
    void (*release)(struct fetch *f); /* cancels what is under way, frees what its kind holds */
    struct fetch_context ctx;
    fetch_done_fn *fn;
    void *arg;
};

/* --- for callers ------------------------------------------------------------------------------ */

/* `fn` will not be called. Not from within `fn`. Takes NULL. */
void fetch_cancel(struct fetch *f);

/* --- for the kinds of fetch, from the loop only ----------------------------------------------- */

/* `size` bytes, zeroed but for the struct fetch at their beginning. */
void *fetch_new(size_t size, void (*release)(struct fetch *f), const struct fetch_context *ctx,
                fetch_done_fn *fn, void *arg);
/* Calls `fn`, then wipes the credentials that it did not take over, and frees the fetch. */
void fetch_finish(struct fetch *f, struct fetch_result *result);
/* fetch_finish() as BROKEN, with this `detail`. */
void fetch_fail(struct fetch *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * fetch_finish() with these credentials, which are taken over and zeroed. Where they have expired
 * by our clock but not by the service's (`date`: seconds since the epoch, -1: not known), the clock
 * is set; where they have expired for both, the fetch is BROKEN. `fmt`: from where they are.
 */
void fetch_found(struct fetch *f, struct credentials *credentials, int64_t date, const char *fmt,
                 ...) __attribute__((format(printf, 4, 5)));
/* For a start function that fails at once: fills `now` as BROKEN and returns NULL. */
struct fetch *fetch_broken(struct fetch_result *now, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
