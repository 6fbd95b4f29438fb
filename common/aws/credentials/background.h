/*
 * A fetch (common/aws/credentials/fetch.h) as a source of a provider: begun when it is asked, told
 * when it has come. What took time and failed is not tried again at once: after 1 s, then twice as
 * long each time up to 30 s, with jitter; what failed at once (a file that is not there) always is.
 */
#ifndef COMMON_AWS_CREDENTIALS_BACKGROUND_H
#define COMMON_AWS_CREDENTIALS_BACKGROUND_H

#include "common/aws/credentials/fetch.h"

typedef struct fetch *fetch_start_fn(const struct fetch_context *ctx, struct fetch_result *now,
                                     fetch_done_fn *fn, void *arg);

struct background;

/* `ready` is called from the loop when what was COMING has come. */
struct background *background_open(const struct fetch_context *ctx, fetch_start_fn *start,
                                   void (*ready)(void *arg), void *arg);
void background_close(struct background *b); /* NULL is fine */

/* The `fetch` of a struct credentials_source, whose state is the struct background. */
enum credentials_found background_fetch(void *state, struct credentials *out, char *detail,
                                        size_t detail_size);
const char *background_from(const struct background *b); /* of the last that was FOUND */

#endif
