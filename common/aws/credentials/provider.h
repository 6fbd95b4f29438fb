/*
 * The credentials provider: what requests are signed with now.
 *
 * A provider asks its sources in order, and the first that is configured decides. A source that is
 * configured and broken is an error: no other identity is taken in its place.
 * common/aws/credentials/chain.h opens a provider with all sources there are.
 *
 * Nothing here waits. A source answers at once, or says CREDENTIALS_COMING, continues on the loop
 * and is asked again. The held credentials are used until they expire or are refused, so a refresh
 * under way delays no call, and there is one refresh however many calls ask.
 *
 * All of this belongs to the thread of the loop.
 */
#ifndef COMMON_AWS_CREDENTIALS_PROVIDER_H
#define COMMON_AWS_CREDENTIALS_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/credentials/credentials.h"

struct aws_clock;
struct aws_region;
struct loop;

struct credentials_source {
    const char *name; /* for messages: "the environment" */
    /*
     * On FOUND fills `out`, which is zeroed, with strings that the caller frees; else leaves `out`
     * alone. On BROKEN `detail` says why; on NOT_CONFIGURED it may. It never holds a secret.
     */
    enum credentials_found (*fetch)(void *state, struct credentials *out, char *detail,
                                    size_t detail_size);
    void *state; /* borrowed; NULL for a source without one */
};

struct credentials_provider;

/* A provider without a loop: it asks its sources only when it is asked. Copies the rows. */
struct credentials_provider *credentials_open(const struct credentials_source *sources,
                                              size_t count);

/* What a provider needs that refreshes by itself. All but `loop` may be NULL. */
struct credentials_background {
    struct loop *loop;
    struct aws_clock *clock;   /* AWS's time; borrowed */
    struct aws_region *region; /* borrowed */
    /* From where source `i` had its credentials, in words for people; "": its name says it. */
    const char *(*from)(void *arg, size_t i);
    void (*close)(void *arg); /* called last by credentials_close() */
    void *arg;
};
struct credentials_provider *credentials_open_background(const struct credentials_source *sources,
                                                         size_t count,
                                                         const struct credentials_background *b);
/* For a source, from the loop: what was COMING has come. */
void credentials_wake(struct credentials_provider *p);

void credentials_close(struct credentials_provider *p); /* wipes what it holds; takes NULL */

/*
 * The credentials to sign with now, borrowed until the next call or the loop's next iteration. NULL
 * while there are none, or no region is known: `*why` gives the reason, borrowed as long. `now`:
 * seconds since the epoch by this machine's clock.
 *
 * The sources are asked when nothing is held, when what is held was refused, and ahead of its
 * expiry: from a random moment 15 to 10 minutes before it on (as in the SDKs), then once a minute,
 * more often where credentials live for less than two, and once a second while none can be used.
 */
const struct credentials *credentials_get(struct credentials_provider *p, int64_t now,
                                          const char **why);

/* The same, whether a region is known or not. */
const struct credentials *credentials_held(struct credentials_provider *p, int64_t now,
                                           const char **why);
bool credentials_are_coming(const struct credentials_provider *p); /* being fetched */

/*
 * AWS refused the credentials: they are fetched again, after a pause that grows up to 10 s while it
 * refuses them again and again. Does nothing where none are held. `serial` is the one that the call
 * was signed with, so that a late refusal does not discard newer credentials; credentials_refused()
 * means the ones held now.
 */
void credentials_refused(struct credentials_provider *p);
void credentials_refused_serial(struct credentials_provider *p, unsigned serial);
/* A number for the held credentials: another one whenever they are replaced, never 0. */
unsigned credentials_serial(const struct credentials_provider *p);

/* From where the held credentials are, in words for people; "": none are held. */
const char *credentials_from(const struct credentials_provider *p);
struct aws_clock *credentials_clock(const struct credentials_provider *p);   /* NULL: none */
struct aws_region *credentials_region(const struct credentials_provider *p); /* NULL: none */

#endif
