/*
 * A fetch (common/aws/credentials/fetch.h) as a source of a provider: it begins when the provider
 * asks, and `ready` is called when it has ended.
 *
 * A fetch that took time and failed is repeated after 1 s, then after twice as long each time, up
 * to 30 s, with jitter. One that failed at once (a file that does not exist) is repeated whenever
 * the provider asks.
 */
#ifndef COMMON_AWS_CREDENTIALS_BACKGROUND_H
#define COMMON_AWS_CREDENTIALS_BACKGROUND_H

#include "common/aws/credentials/fetch.h"

typedef struct fetch *fetch_start_fn(const struct fetch_context *ctx, struct fetch_result *now,
                                     fetch_done_fn *fn, void *arg);

struct background;

/* `ready` is called from the loop, once for each fetch that background_fetch() called COMING. */
struct background *background_open(const struct fetch_context *ctx, fetch_start_fn *start,
                                   void (*ready)(void *arg), void *arg);
void background_close(struct background *b); /* takes NULL */

/* The `fetch` of a struct credentials_source; its `state` is the struct background. */
enum credentials_found background_fetch(void *state, struct credentials *out, char *detail,
                                        size_t detail_size);
/* From where the last credentials that it gave are, in words for people. */
const char *background_from(const struct background *b);

#endif
