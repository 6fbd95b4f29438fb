/*
 * Who we are to AWS.
 *
 * A provider asks its sources in order; the first that is configured decides: one that is
 * configured and broken is an error and never falls through to another identity. For now there is
 * one source, the environment; others are rows of the table in credentials.c.
 *
 * Nobody waits here: a source answers at once or says CREDENTIALS_COMING, goes on by itself (on the
 * loop), and is asked again. What is held stays good until it expires or is refused, so a refresh
 * under way delays no call.
 */
#ifndef COMMON_AWS_CREDENTIALS_H
#define COMMON_AWS_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed = none. */
struct credentials {
    char *access_key_id;
    char *secret_access_key;
    char *session_token; /* NULL: none */
    int64_t expires;     /* seconds since the epoch, 0: never */
};

enum credentials_found {
    CREDENTIALS_FOUND,
    CREDENTIALS_NOT_CONFIGURED, /* ask the next source */
    CREDENTIALS_COMING,         /* being fetched: do not ask another source, ask this one again */
    CREDENTIALS_BROKEN,         /* configured and unusable: stop here, `detail` says why */
};

/* One place where credentials may come from. Stateless sources have a NULL state. */
struct credentials_source {
    const char *name; /* for messages: "the environment" */
    /*
     * Fills `out`, which is zeroed, with strings the caller frees when it returns FOUND; else
     * leaves it alone. `detail` never holds a secret.
     */
    enum credentials_found (*fetch)(void *state, struct credentials *out, char *detail,
                                    size_t detail_size);
    void *state; /* borrowed */
};

struct credentials_provider;

/* Copies the rows, not their states. */
struct credentials_provider *credentials_open(const struct credentials_source *sources,
                                              size_t count);
/* All sources there are, in the SDKs' order. */
struct credentials_provider *credentials_open_default(void);
void credentials_close(struct credentials_provider *p); /* wipes what it held; NULL is fine */

/*
 * What to sign with now, borrowed until the next call; NULL while none can be had, with the
 * reason in `*why`, borrowed as long. `now`: seconds since the epoch.
 *
 * Asks the sources when nothing is held, when what is held was refused, and from 15 minutes before
 * it expires: then once a minute, and once a second while nothing that is held can be used.
 */
const struct credentials *credentials_get(struct credentials_provider *p, int64_t now,
                                          const char **why);
/* AWS refused what it had: fetch again at the next credentials_get(). */
void credentials_refused(struct credentials_provider *p);

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. */
struct credentials_source credentials_environment(void);

/* Wipes and frees; leaves it zeroed. */
void credentials_wipe(struct credentials *c);

#endif
